"""The paths that a walk back from a detection follows are modules of every detector of the zoo."""

from __future__ import annotations

import ast
import inspect

import pytest

from convlens.learn import tracing
from convlens.zoo.building import built_on_meta
from convlens.zoo.detection import DETECTORS, anatomy

PATHS = (
    *(anatomy.RESIZING, anatomy.BACKBONE, anatomy.PROPOSALS, anatomy.HEADS),
    *(anatomy.PROPOSAL_HEAD, anatomy.PROPOSAL_SCORES, anatomy.PROPOSAL_CODES),
    *(anatomy.BOX_POOL, anatomy.BOX_PREDICTOR, anatomy.BOX_SCORES, anatomy.BOX_CODES),
)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_path_is_a_module(name: str) -> None:
    network = built_on_meta(name)
    modules = dict(network.named_modules())
    added = [head.part.layer for head in network.roi_heads.heads if head.part]  # type: ignore[union-attr]
    assert {*PATHS, *added} <= modules.keys()


def test_tracing_names_no_module_itself() -> None:
    names = {part for path in PATHS for part in path.split(".")}
    tree = ast.parse(inspect.getsource(tracing))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not {text for text in texts if isinstance(text, str) and set(text.split(".")) & names}
