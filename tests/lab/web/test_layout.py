"""The row of cards: every step on one card, every link a flow of numbers, and few enough cards."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from convlens.lens import Recording, record
from convlens.zoo import model
from tests.cases.detectors import few_masks
from tests.lab.web.modules import in_node, needs_node, rows

pytestmark = needs_node

PLANNING = """
const net = { ...given.net, values: new Map(given.net.values) };
const plan = page.plan(net, { open: new Set(given.open) });
const path = given.path && page.path(plan, new Map(given.path.map((id) => [id, null])));
return { plan: { ...plan, homes: [...plan.homes] }, path };
"""


@functools.cache
def recorded(name: str) -> Recording:
    if name == "maskrcnn":
        return record(few_masks().network, [torch.rand(3, 80, 100)])
    return record(model(name, weights=None).eval(), torch.rand(1, 3, 32, 32))


@functools.cache
def net(name: str) -> dict[str, list[Any]]:
    return rows(recorded(name))


def planned(name: str, *open: str, path: list[int] | None = None) -> Any:
    return in_node("layout.js", PLANNING, {"net": net(name), "open": open, "path": path})


def check(plan: Any, name: str) -> None:
    """Raise unless every place holds one card, and the links are the flows between the cards."""
    cards = {card["key"]: card for card in plan["cards"]}
    assert len({(card["rank"], card["lane"]) for card in cards.values()}) == len(plan["cards"])
    assert plan["ranks"] == 1 + max(card["rank"] for card in cards.values())
    assert plan["lanes"] == 1 + max(card["lane"] for card in cards.values())
    owners: dict[int, str] = {}
    for key, card in cards.items():
        for step in range(*card["steps"]):
            assert step not in owners
            owners[step] = key
    flows: set[tuple[str, str]] = set()
    inputs = {card["value"]: key for key, card in cards.items() if card["kind"] == "input"}
    sources: dict[int, set[str]] = {value: {key} for value, key in inputs.items()}
    for step in net(name)["steps"]:
        given = set().union(*(sources.get(id, set()) for id in step["x"]))
        owner = owners.get(step["index"])
        assert owner or step["plumbing"] or not step["outputs"]
        flows |= {(one, owner) for one in given if owner and one != owner}
        sources |= {id: {owner} if owner else given for id in step["outputs"]}
    assert {(link["from"], link["to"]) for link in plan["links"]} == flows
    assert all(cards[one]["rank"] < cards[other]["rank"] for one, other in flows)
    assert all(key in sources[id] for id, key in plan["homes"])
    steps = net(name)["steps"]
    assert all(steps[index]["plumbing"] for link in plan["links"] for index in link["through"])


def test_resnet_152_is_a_row_of_stages_and_equal_blocks() -> None:
    plan = planned("resnet152")["plan"]
    check(plan, "resnet152")
    seen = [(card["title"], card["count"]) for card in plan["cards"] if card["folded"]]
    assert seen == [("Bottleneck", each) for each in (1, 2, 1, 7, 1, 35, 1, 2)]
    assert (len(plan["cards"]), plan["lanes"]) == (15, 1)
    assert [card["label"] for card in plan["cards"][-2:]] == ["avgpool", "fc"]


def test_a_block_opens_in_place_with_its_skip() -> None:
    before = planned("resnet152")["plan"]
    plan = planned("resnet152", "layer2.0")["plan"]
    check(plan, "resnet152")
    keys = [card["key"] for card in before["cards"]]
    at = keys.index("layer2.0")
    inside = [card for card in plan["cards"] if card["key"] not in keys]
    assert [card["key"] for card in plan["cards"] if card not in inside] == keys[:at] + keys[
        at + 1 :
    ]
    assert [card["label"].removeprefix("layer2.0.") for card in inside] == [
        *("conv1", "bn1", "relu", "conv2", "bn2", "relu#2", "conv3", "bn3"),
        *("downsample", "add", "relu#3"),
    ]
    assert [card["label"] for card in inside if card["lane"]] == ["layer2.0.downsample"]
    deeper = planned("resnet152", "layer2.0", "layer2.0.downsample")["plan"]
    assert len(deeper["cards"]) == len(plan["cards"]) + 1


def test_never_more_than_150_cards() -> None:
    net_calls = net("resnet152")["calls"]
    names = [call["label"] for call in net_calls] + ["layer3.1×35", "layer2.1×7", "layer1.1×2"]
    plan = planned("resnet152", *names)["plan"]
    check(plan, "resnet152")
    assert 130 < len(plan["cards"]) <= 150


@pytest.mark.parametrize("open", [(), ("rpn",), ("rpn", "transform", "roi_heads.mask_roi_pool")])
def test_a_detector_is_readable(open: tuple[str, ...]) -> None:
    plan = planned("maskrcnn", *open)["plan"]
    check(plan, "maskrcnn")
    assert len(plan["cards"]) <= 60
    assert plan["lanes"] <= 8
    assert len(recorded("maskrcnn")) > 800


def test_the_path_of_a_value_closes_up() -> None:
    recording = recorded("maskrcnn")
    boxes = recording.made("roi_heads.box_predictor.cls_score")[0]
    ancestors = {boxes}
    for step in reversed(recording.steps):
        if ancestors & set(step.outputs):
            ancestors |= set(step.inputs)
    answer = planned("maskrcnn", path=sorted(ancestors))
    homes = dict(answer["plan"]["homes"])
    path, whole = answer["path"], answer["plan"]
    assert {card["key"] for card in path["cards"]} == {homes[i] for i in ancestors if i in homes}
    assert path["aside"] == len(whole["cards"]) - len(path["cards"]) > 3
    assert {card["rank"] for card in path["cards"]} == set(range(path["ranks"]))
    assert path["ranks"] < whole["ranks"]
