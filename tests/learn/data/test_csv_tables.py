"""CSV files of pictures: headers, columns, parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlens.learn.data.csv_tables import find_csv
from convlens.learn.data.finding import find_data
from tests.cases.labelled import picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "abcd":
        picture(tmp_path / "images" / f"{name}.png", ord(name))
        picture(tmp_path / f"{name}.png", ord(name))
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.png,2\nb.png,10\nc.png,2\nd.png,10\n",
        "\ufeffLabel,Extra,Filename\r\n2,x,a.png\r\n10,y,b.png\r\n2,,c.png\r\n10,,d.png\r\n",
        "a.png;2\nb.png;10\n\nc.png;2\nd.png;10",
        'image\tclass\n"a.png"\t" 2 "\nb.png\t10\nc.png\t2\nd.png\t10\n',
        "FILE,category\nimages\\a.png,2\nimages/b.png,10\nimages/c.png,2\nimages/d.png,10\n",
    ],
)
def test_headers_and_columns(root: Path, text: str) -> None:
    (root / "labels.csv").write_text(text, "utf-8", newline="")
    for path in (root, root / "labels.csv"):
        samples = find_csv(path)["whole"](None)
        assert samples.classes == ("2", "10")
        assert samples.labels().tolist() == [0, 1, 0, 1]
        assert [int(samples.read(n).picture[0, 0, 0]) for n in range(4)] == [97, 98, 99, 100]
        assert samples.read(0).key.endswith("a.png")


def test_pictures_below_images(root: Path) -> None:
    (root / "a.png").unlink()
    rows = ["path,label", "a.png,x", "b.png,y", "c.png,x", "d.png,y"]
    (root / "labels.csv").write_text("\n".join(rows))
    assert find_data(root, share=0.5) is not None


def test_a_column_of_parts(root: Path) -> None:
    rows = ["path,label,split", "a.png,x,train", "b.png,y,Train", "c.png,x,val", "d.png,x,test"]
    (root / "labels.csv").write_text("\n".join(rows).replace("Train", "train"))
    parts = find_csv(root)
    assert sorted(parts) == ["test", "train", "val"]
    data = find_data(root)
    assert [len(data.train), len(data.held_out)] == [2, 1]
    assert data.held_out.read(0).key == "c.png"
    (root / "labels.csv").write_text("\n".join(rows).replace("c.png,x", "c.png,z"))
    with pytest.raises(ValueError, match="'z' is not one"):
        find_data(root)
    (root / "labels.csv").write_text("\n".join(rows).replace("val", "fold 3"))
    with pytest.raises(ValueError, match=r"and one is 'fold 3'; correct it"):
        find_data(root)


def test_a_file_for_each_part(root: Path) -> None:
    (root / "train.csv").write_text("path,label\na.png,x\nb.png,y\n")
    (root / "val.csv").write_text("path,label\nc.png,y\n")
    data = find_data(root)
    assert data.held_out.labels() is not None
    assert data.held_out.classes == ("x", "y")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,label\na.png,x\nb.png\n", r"labels\.csv\): line 3 cannot be read \(it needs a path"),
        ("path,label\n,x\n", "line 2 cannot be read"),
        ('path,label\n"a.png,x\n', "cannot be read"),
        ("path,label\n", "must have a row for each picture, and has none"),
        ("path,label\n" + "a" * 200_000 + ",x\n", "line 2 cannot be read"),
    ],
)
def test_wrong_rows_are_named(root: Path, text: str, says: str) -> None:
    (root / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=says) as refused:
        find_csv(root / "labels.csv")["whole"](None)
    assert "\n" not in str(refused.value)


def test_pictures_that_are_not_there(root: Path) -> None:
    (root / "labels.csv").write_text("path,label\na.png,x\nnowhere.png,y\nb.png,y\n")
    with pytest.raises(ValueError, match=r"1 of 3 labels name files that are not there.*nowhere"):
        find_data(root)


def test_other_tables(root: Path) -> None:
    (root / "prices.csv").write_text("day,price\n1,2\n")
    assert not find_csv(root)
    assert not find_csv(root / "prices.csv")
    (root / "labels.csv").write_text("path,label\na.png,x\nb.png,y\n")
    assert list(find_csv(root)) == ["whole"]
