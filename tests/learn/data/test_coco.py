"""COCO's JSON: its categories, boxes, masks and points, and what is wrong with them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from convlens.learn.data.boxed import BoxedSamples
from convlens.learn.data.checking import check_data
from convlens.learn.data.coco import find_coco, read_coco
from convlens.learn.data.finding import find_data, found_parts
from tests.cases.labelled import picture, write_json

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools

SQUARE = [2, 1, 8, 1, 8, 5, 2, 5]


def figure(id: int, image: int = 1, category: int = 7, **fields: Any) -> dict[str, Any]:
    box = {"bbox": [1, 2, 4, 3], "iscrowd": 0, "area": 12}
    return {"id": id, "image_id": image, "category_id": category, **box, **fields}


def labels(*figures: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A file of two pictures, 12 x 8 and 6 x 4, and the categories 90 and 7."""
    images = [
        {"id": 2, "file_name": "b.png", "width": 6, "height": 4},
        {"id": 1, "file_name": "a.png", "width": 12, "height": 8},
    ]
    categories = [{"id": 90, "name": "cat"}, {"id": 7, "name": "dog"}]
    return {
        "info": {"images": "none"},
        "images": images,
        "annotations": list(figures),
        "categories": categories,
        **fields,
    }


def read(tmp_path: Path, content: dict[str, Any]) -> BoxedSamples:
    picture(tmp_path / "a.png", 5, (12, 8))
    picture(tmp_path / "b.png", 6, (6, 4))
    return read_coco(write_json(tmp_path / "labels.json", content))


def test_categories_become_1_to_n_and_keep_their_ids(tmp_path: Path) -> None:
    samples = read(tmp_path, labels(figure(1), figure(2, category=90), figure(3, 2, 90)))
    assert samples.classes == ("dog", "cat")
    assert samples.ids == (7, 90)
    one, two = samples.read(1), samples.read(0)
    assert (one.key, two.key) == ("a.png", "b.png")
    assert one.labels.tolist() == [1, 2]
    assert two.labels.tolist() == [2]
    assert one.boxes.tolist() == [[1, 2, 5, 5]] * 2
    assert (one.masks, one.points, one.pairs) == (None, None, None)
    assert [x.dtype for x in (one.boxes, one.labels, one.crowd, one.area)] == [
        *(torch.float32, torch.int64, torch.bool, torch.float32)
    ]


def test_a_picture_without_figures_is_a_sample(tmp_path: Path) -> None:
    none = read(tmp_path, labels(figure(1, segmentation=[SQUARE]))).read(0)
    assert none.boxes.shape == (0, 4)
    assert none.masks is not None
    assert none.masks.shape == (0, 4, 6)


def test_crowds(tmp_path: Path) -> None:
    samples = read(tmp_path, labels(figure(1, iscrowd=1), figure(2)))
    assert samples.read(1).crowd.tolist() == [True, False]


def runs(mask: Any, compressed: bool) -> dict[str, Any]:
    given: Any = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    if compressed:
        return {"size": given["size"], "counts": given["counts"].decode()}
    flat = np.append(mask.T.reshape(-1), 2)
    lengths, value = [0], 0
    for pixel in flat[:-1]:
        if pixel != value:
            lengths, value = [*lengths, 0], 1 - value
        lengths[-1] += 1
    return {"size": given["size"], "counts": lengths}


def test_all_forms_of_masks_are_those_of_pycocotools(tmp_path: Path) -> None:
    blob = np.random.default_rng(0).random((8, 12)) < 0.5
    forms = [
        [SQUARE],
        SQUARE,
        [SQUARE, [0.3, 0.2, 3.7, 0.9, 2.2, 6.6]],
        runs(blob, False),
        runs(blob, True),
    ]
    content = labels(*[figure(n, segmentation=form) for n, form in enumerate(forms, 1)])
    samples = read(tmp_path, content)
    masks = samples.read(1).masks
    assert masks is not None
    content["annotations"][1]["segmentation"] = [SQUARE]  # pycocotools refuses a bare one
    theirs = COCO()
    theirs.dataset = content
    theirs.createIndex()
    for number in range(1, 6):
        expected = theirs.annToMask(theirs.anns[number]).astype(bool)
        assert np.array_equal(masks[number - 1].numpy(), expected), number
    assert np.array_equal(masks[4].numpy(), blob)
    assert not np.array_equal(masks[0].numpy(), masks[2].numpy())


def test_a_missing_area_is_the_masks_or_the_boxes(tmp_path: Path) -> None:
    without = [figure(1, segmentation=[SQUARE]), figure(2), figure(3), figure(4)]
    for one in without[:3]:
        del one["area"]
    without[2]["area"] = [3, 4]
    samples = read(tmp_path, labels(*without))
    assert samples.read(1).area.tolist() == [24, 12, 12, 12]


def test_some_figures_without_masks(tmp_path: Path) -> None:
    samples = read(tmp_path, labels(figure(1, segmentation=[SQUARE]), figure(2), figure(3)))
    assert samples.read(1).masks is None
    assert samples.warnings == (
        "`data` (labels.json): 2 figures lack a mask, so that no masks are read, the first: "
        "annotation 2",
    )
    crowd = figure(2, iscrowd=1)
    assert read(tmp_path, labels(figure(1, segmentation=[SQUARE]), crowd)).read(1).masks is not None


def test_boxes_are_cut_at_the_border_and_dropped_if_empty(tmp_path: Path) -> None:
    boxes = [
        [-3, -1, 5, 4],
        [10, 6, 9, 9],
        [3, 3, 0, 2],
        [2, 2, -1, 2],
        [12, 1, 2, 2],
        [0, 0, 12, 8],
    ]
    given = [figure(n, bbox=box) for n, box in enumerate(boxes, 1)]
    samples = read(tmp_path, labels(*given))
    assert samples.read(1).boxes.tolist() == [[0, 0, 2, 3], [10, 6, 12, 8], [0, 0, 12, 8]]
    assert samples.warnings == (
        "`data` (labels.json): 2 boxes have no area and are left out, the first: annotation 3 of "
        "a.png (3, 3, 0, 2)",
        "`data` (labels.json): 1 boxes lie outside their picture and are left out, the first: "
        "annotation 5 of a.png (12, 1, 2, 2)",
    )
    assert [(what, count) for what, count, _ in samples.faults][2:] == [
        ("boxes reach beyond their picture and are cut", 2)
    ]


def test_points_and_their_pairs(tmp_path: Path) -> None:
    categories = [{"id": 7, "name": "dog", "keypoints": ["nose", "left_eye", "right_eye"]}]
    given = [figure(1, keypoints=[1, 2, 2, 3, 4, 1, 0, 0, 0]), figure(2)]
    samples = read(tmp_path, labels(*given, categories=categories))
    assert samples.points == ("nose", "left_eye", "right_eye")
    one = samples.read(1)
    assert one.points is not None
    assert one.points.tolist() == [[[1, 2, 2], [3, 4, 1], [0, 0, 0]], [[0, 0, 0]] * 3]
    assert one.pairs == ((1, 2),)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bbox": [1, 2, 3]}, r"annotation 1 cannot be read, as its bbox is \[1, 2, 3\], not four"),
        ({"bbox": [1, 2, 3, float("nan")]}, "annotation 1 cannot be read, as its bbox"),
        ({"bbox": None}, "annotation 1 cannot be read, as "),
        (
            {"category_id": 8},
            "annotation 1 must be of a category that the file lists, and 8 is not",
        ),
        ({"category_id": "7"}, "category_id is '7', not a whole number"),
        ({"image_id": 9}, "annotation 1 must be of a picture that the file lists, and 9 is not"),
        ({"image_id": [9]}, r"its image_id is \[9\]"),
        ({"keypoints": [1, 2]}, "keypoints are not three numbers each"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "an outline of 7 numbers has no area"),
        ({"segmentation": [["a"] * 6]}, "annotation 1 cannot be read, as could not convert"),
        ({"segmentation": {"size": [8, 12], "counts": [95]}}, "do not fill 12 x 8 pixels"),
        ({"segmentation": {"size": [8, 12], "counts": [-1, 97]}}, "do not fill 12 x 8 pixels"),
        ({"segmentation": {"size": [8, 12], "counts": "zz"}}, "not COCO's compressed text"),
        ({"segmentation": {"size": [8, 12]}}, "it lacks 'counts'"),
        (
            {"segmentation": {"size": [12, 8], "counts": [96]}},
            "annotation 1 must have a mask of its picture's size, 12 x 8, and has 8 x 12",
        ),
    ],
)
def test_wrong_annotations_are_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=rf"^`data` \(labels\.json\): .*{says}") as refused:
        read(tmp_path, labels(figure(1, **change)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": []}, "must list `images`"),
        ({"categories": []}, "must list `categories`"),
        ({"images": [{"id": 1, "file_name": "a.png"}]}, "picture 1 cannot be read, as it lacks"),
        ({"images": [{"id": 1, "file_name": "", "width": 1, "height": 1}]}, "file_name is ''"),
        ({"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}]}, "size is 0 x 1"),
        ({"images": ["a.png"]}, "picture that is no object cannot be read"),
        ({"categories": [{"id": 1}]}, "category 1 cannot be read, as it lacks 'name'"),
        (
            {"categories": [{"id": k, "name": "a", "keypoints": ["x"] * k} for k in (1, 2)]},
            "the same keypoints",
        ),
    ],
)
def test_wrong_lists_are_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=rf"^`data` \(labels\.json\).*{says}"):
        read(tmp_path, labels(**change))


def test_points_beyond_the_list(tmp_path: Path) -> None:
    categories = [{"id": 7, "name": "dog", "keypoints": ["nose"]}]
    with pytest.raises(ValueError, match=r"annotation 1 must have the 1 keypoints .* and has 2"):
        read(tmp_path, labels(figure(1, keypoints=[1, 2, 2] * 2), categories=categories))


def test_two_pictures_of_one_id(tmp_path: Path) -> None:
    content = labels()
    content["images"][0]["id"] = 1
    with pytest.raises(ValueError, match="picture 1 cannot be read, as another has the same id"):
        read(tmp_path, content)


def test_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": [')
    with pytest.raises(ValueError, match=r"`data` \(a\.json\) must be a JSON object, and is not"):
        read_coco(path)
    path.write_bytes(b'{"images": ["\xff"]}')
    with pytest.raises(ValueError, match=r"`data` \(a\.json\) must be text in UTF-8"):
        read_coco(path)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    samples = read(tmp_path, labels(figure(1)))
    turned = Image.new("RGB", (8, 12))
    exif = Image.Exif()
    exif[274] = 6
    turned.save(tmp_path / "a.png", exif=exif)
    assert samples.read(1).picture.shape == (3, 8, 12)
    turned.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"`picture` \(a\.png\) must be 12 x 8 .* and is 8 x 12"):
        samples.read(1)


def test_a_fingerprint_sees_labels(tmp_path: Path) -> None:
    seen = set()
    content = labels(figure(1, segmentation=[SQUARE]))
    for field, value in [("area", 12), ("area", 13), ("bbox", [1, 2, 4, 4]), ("iscrowd", 1)]:
        changed = copy.deepcopy(content)
        changed["annotations"][0][field] = value
        seen.add(read(tmp_path, changed).fingerprint)
    content["annotations"][0]["segmentation"] = [[*SQUARE[:-1], 6]]
    samples = read(tmp_path, content)
    seen.add(samples.fingerprint)
    assert len(seen) == 5
    assert pickle.loads(pickle.dumps(read(tmp_path, content))).fingerprint == samples.fingerprint


@pytest.mark.parametrize(
    ("where", "pictures"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/instances_{}2017.json", "images/{}2017"),
        ("{}.json", "images"),
        ("{}.json", ""),
        ("{}/_annotations.coco.json", "{}"),
    ],
)
def test_where_files_and_pictures_are(tmp_path: Path, where: str, pictures: str) -> None:
    for part in ("train", "val"):
        write_json(tmp_path / where.format(part), labels(figure(1), figure(2, 2)))
        for name, size in (("a.png", (12, 8)), ("b.png", (6, 4))):
            picture(tmp_path / pictures.format(part) / name, 1, size)
    write_json(tmp_path / "annotations" / "captions_train2017.json", {"images": []})
    write_json(tmp_path / "settings.json", {"rate": 1})
    data = find_data(tmp_path)
    assert isinstance(data.train, BoxedSamples)
    assert [len(data.train), len(data.held_out)] == [2, 2]
    assert data.train.read(0).picture.shape == (3, 4, 6)
    alone = find_data(tmp_path / where.format("train"))
    assert alone.held_out is not None
    assert len(alone.train) == (1 if "/_" in where else 2)


def test_files_of_two_kinds(tmp_path: Path) -> None:
    for kind in ("person_keypoints", "instances"):
        path = tmp_path / "annotations" / f"{kind}_train2017.json"
        write_json(path, labels(categories=[{"id": 7, "name": kind}]))
    assert find_coco(tmp_path)["train"](None).classes == ("instances",)
    found = found_parts(tmp_path, "keypoints")[1]
    assert found["train"](None).classes == ("person_keypoints",)
    assert find_coco(path)["whole"](None).classes == ("instances",)


def test_parts_that_disagree(tmp_path: Path) -> None:
    for name, size in (("a.png", (12, 8)), ("b.png", (6, 4))):
        picture(tmp_path / name, 1, size)
    content = labels(figure(1))
    write_json(tmp_path / "train.json", content)
    content["categories"][0]["id"] = 91
    write_json(tmp_path / "val.json", content)
    with pytest.raises(ValueError, match="the same ids in all parts, and they disagree about 91"):
        find_data(tmp_path)
    content["categories"][0].update(id=90, name="tiger")
    write_json(tmp_path / "val.json", content)
    for read in (find_data, check_data):
        with pytest.raises(ValueError, match=r"the same classes .* disagree about 'tiger'"):
            read(tmp_path)


def test_pictures_that_are_not_there(tmp_path: Path) -> None:
    read(tmp_path, labels(figure(1)))
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 labels name files that are not there"):
        find_data(tmp_path)


def test_labels_take_little_memory(tmp_path: Path) -> None:
    many = [figure(n, segmentation=[[*SQUARE, 1, 1] * 3]) for n in range(3000)]
    samples = read(tmp_path, labels(*many))
    assert len(pickle.dumps(samples)) < 3000 * 230
