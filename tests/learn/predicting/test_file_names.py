"""Every drawing has a file of its own, the same one again in the next run."""

from __future__ import annotations

import os
from pathlib import Path

from convlens.learn.predicting.file_names import Names
from tests.cases.clips import animation, film
from tests.cases.folders import GreyMaps, files, picture, ran, rows_of, save


def test_no_drawing_replaces_another(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    names = ["cat.bmp", "cat.bmp.png", "A.png", "a.png", "d.gif", "e.png", "e.png.map.png"]
    names += ["f.bmp", "f.bmp.png/x.png", "predictions.jsonl.bmp", "é.png", "e\u0301.png"]
    kinds = {".gif": "GIF", ".bmp": "BMP", ".png": "PNG"}
    for number, name in enumerate(names):
        save(folder / name, (300 + number, 260), kinds[name[-4:]])
    animation(folder / "d.gif.mp4.gif", 2)
    film(folder / "d.gif.mp4", 2)
    job, _ = ran(folder, out, GreyMaps())
    assert job.failed == 0
    assert job.predicted == len(names) + 2
    drawn = [picture(path) for path in out.rglob("*.png")]
    for mode in ("RGB", "P"):  # the pictures, and their maps
        widths = sorted(image.width for image in drawn if image.mode == mode)
        assert widths == [300 + number for number in range(len(names))]
    assert len(list(out.rglob("*.mp4"))) == 2
    for row in rows_of(out):  # a line names its drawing unless it has the usual name
        assert (out / row.get("drawing", row["image"])).exists() or "drawing" not in row
    assert rows_of(out)[0]["image"] == "A.png"


def test_a_run_that_goes_on_knows_whose_a_drawing_is(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    first, second = save(folder / "cat.bmp", (300, 260)), save(folder / "cat.bmp.png", (400, 260))
    ran(folder, out)
    whole, before = (out / "predictions.jsonl").read_bytes(), files(out)
    drawing = rows_of(out)[1]["drawing"]
    assert (rows_of(out)[0].get("drawing"), drawing[:8], drawing[-4:]) == (None, "cat.bmp-", ".png")
    (out / "predictions.jsonl").write_bytes(whole[: whole.index(b"\n") + 1])
    (out / drawing).unlink()
    ran(folder, out)
    assert (out / "predictions.jsonl").read_bytes() == whole
    assert files(out) == before
    assert picture(out / "cat.bmp.png").width == picture(first).width
    assert picture(out / drawing).width == picture(second).width
    (job, warned) = ran(folder, out)
    assert (job.finished, warned) == (2, [])


def test_names_at_the_limit_are_shortened(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    save(folder / ("x" * 251 + ".bmp"), (300, 260))
    save(folder / ("x" * 250 + "y.bmp"), (310, 260))
    save(folder / ("é" * 125 + ".png"), (320, 260))
    animation(folder / ("z" * 251 + ".gif"), 2)
    job, _ = ran(folder, out, GreyMaps())
    assert (job.failed, job.predicted) == (0, 4)
    assert len(files(out)) == 2 + 3 * 2 + 1
    assert ran(folder, out, GreyMaps())[0].finished == 4
    assert len(files(out)) == 2 + 3 * 2 + 1


def test_names_are_each_ones_own_and_the_same_again(tmp_path: Path) -> None:
    wanted = ["a.png", "A.png", "a.png/b.png", "c\0.png", "x" * 300 + ".png", "RUN.JSON"]
    given = []
    for _ in range(2):
        names = Names(tmp_path, ("run.json",))
        given.append([names.take(name, f"{n}", Path(name).suffix) for n, name in enumerate(wanted)])
    assert given[0] == given[1]
    assert len({name.lower() for name in given[0]}) == len(wanted)
    assert given[0][0] == "a.png"
    for name in given[0]:
        assert "\0" not in name
        assert all(len(os.fsencode(part)) <= 255 for part in Path(name).parts)
        assert not name.startswith("a.png/")
    assert names.take("a.png", "0", ".png") == "a.png"  # the run that began a clip draws it again
