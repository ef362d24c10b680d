"""Pascal VOC's XML files: from where pixels are counted, which parts, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlens.learn.data.finding import find_data
from convlens.learn.data.voc import find_voc
from tests.cases.labelled import picture

Figure = tuple[str, tuple[float, float, float, float], int]


def xml(figures: list[Figure], size: tuple[int, int] = (20, 10)) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>"
        f"<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>"
        "</bndbox><part><name>head</name><bndbox><xmin>0</xmin></bndbox></part></object>"
        for name, box, difficult in figures
    )
    width, height = size
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height></size>"
        f"{objects}</annotation>"
    )


def voc(root: Path, files: dict[str, list[Figure]], **parts: str) -> Path:
    for name, figures in files.items():
        picture(root / "JPEGImages" / f"{name}.jpg", 9, (20, 10))
        path = root / "Annotations" / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(xml(figures))
    for part, names in parts.items():
        path = root / "ImageSets" / "Main" / f"{part}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(names)
    return root


CAT: Figure = ("cat", (1, 1, 5, 4), 0)
DOG: Figure = ("dog", (3, 2, 20, 10), 1)


def test_pixels_are_counted_from_1_and_both_ends_are_inside(tmp_path: Path) -> None:
    samples = find_voc(voc(tmp_path, {"b": [CAT, DOG], "a": []}))["whole"](None)
    assert samples.classes == ("cat", "dog")
    one = samples.read(1)
    assert one.key == "b.jpg"
    assert one.boxes.tolist() == [[0, 0, 5, 4], [2, 1, 20, 10]]
    assert one.labels.tolist() == [1, 2]
    assert one.crowd.tolist() == [False, True]
    assert one.area.tolist() == [20, 162]
    assert samples.read(0).boxes.shape == (0, 4)
    assert samples.warnings == ()
    assert samples.ids == ()


def test_a_0_anywhere_leaves_all(tmp_path: Path) -> None:
    samples = find_voc(voc(tmp_path, {"a": [CAT], "b": [("cat", (4, 0, 6, 3), 0)]}))["whole"](None)
    assert samples.read(0).boxes.tolist() == [[1, 1, 5, 4]]
    assert samples.read(1).boxes.tolist() == [[4, 0, 6, 3]]
    assert len(samples.warnings) == 1
    assert "a box begins at 0" in samples.warnings[0]


def test_lists_of_parts(tmp_path: Path) -> None:
    files = {"a": [CAT], "b": [DOG, CAT], "c": [DOG], "two words": [CAT]}
    voc(tmp_path, files, train="a\nb  1\n", val="c\n\ntwo words\n", cat_train="a 1")
    data = find_data(tmp_path)
    assert [data.train.read(n).key for n in range(2)] == ["a.jpg", "b.jpg"]
    assert [data.held_out.read(n).key for n in range(2)] == ["c.jpg", "two words.jpg"]
    assert data.held_out.classes == ("cat", "dog")


def test_train_and_val_in_one_list(tmp_path: Path) -> None:
    voc(tmp_path, {"a": [CAT], "b": [CAT]}, trainval="a", test="b")
    assert sorted(find_voc(tmp_path)) == ["test", "train"]


def test_a_class_in_the_part_held_out_alone(tmp_path: Path) -> None:
    voc(tmp_path, {"a": [CAT], "b": [DOG]}, train="a", val="b")
    with pytest.raises(ValueError, match=r"\(val\.txt\).*'dog' is not one"):
        find_data(tmp_path)


def test_a_list_that_names_another_picture(tmp_path: Path) -> None:
    voc(tmp_path, {"a": [CAT]}, train="a\nz\n")
    with pytest.raises(ValueError, match=r"\(train\.txt\) must name pictures.*'z' has none"):
        find_voc(tmp_path)["train"](None)
    voc(tmp_path, {}, train="\n")
    with pytest.raises(ValueError, match=r"\(train\.txt\) must name pictures; add some"):
        find_voc(tmp_path)["train"](None)


def test_files_next_to_their_pictures(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        picture(tmp_path / part / "a.png", 1, (20, 10))
        (tmp_path / part / "a.xml").write_text(xml([CAT]))
    data = find_data(tmp_path)
    assert data.train.read(0).key == "a.png"
    assert list(find_voc(tmp_path / "train")) == ["whole"]


def test_boxes_of_no_area_are_left_out(tmp_path: Path) -> None:
    boxes: list[Figure] = [("cat", (5, 5, 4, 6), 0), ("cat", (25, 1, 30, 4), 0)]
    boxes += [("cat", (15, 8, 30, 30), 0)]
    samples = find_voc(voc(tmp_path, {"a": boxes}))["whole"](None)
    assert samples.read(0).boxes.tolist() == [[14, 7, 20, 10]]
    assert samples.warnings == (
        "`data` (Annotations): 2 boxes have no area and are left out, the first: a (5, 5, 4, 6)",
    )


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB, "it has a DOCTYPE"),
        ("<annotation>", "no element found"),
        ("", "no element found"),
        ("<annotation></annotation>", "size/width is not a number"),
        (xml([], (0, 5)), "its size is 0 x 5"),
        (xml([("", (1, 1, 2, 2), 0)]), "an object has no name"),
        (xml([("cat", (1, float("nan"), 2, 2), 0)]), "bndbox/ymin is not a number"),
        (xml([CAT]).replace("<xmax>5", "<xmax>five"), "could not convert string to float"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, content: str, says: str) -> None:
    voc(tmp_path, {"a": [CAT], "b": []})
    (tmp_path / "Annotations" / "b.xml").write_text(content)
    with pytest.raises(ValueError, match=rf"`data` \(b\.xml\) must be a file of Pascal.*{says}"):
        find_voc(tmp_path)["whole"](None)


def test_a_picture_of_another_size(tmp_path: Path) -> None:
    voc(tmp_path, {"a": [CAT]})
    picture(tmp_path / "JPEGImages" / "a.jpg", 1, (10, 20))
    with pytest.raises(ValueError, match=r"`picture` \(a\.jpg\) must be 20 x 10"):
        find_voc(tmp_path)["whole"](None).read(0)
