"""A recipe is checked when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from convlens.learn.recipe import Recipe


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        *[(name, -1, ValueError) for name in ("epochs", "batch", "seed", "rate", "decay")],
        *[(name, 1.5, TypeError) for name in ("epochs", "batch", "seed")],
        ("epochs", 0, ValueError),
        ("epochs", True, TypeError),
        ("rate", 0, ValueError),
        ("rate", float("nan"), ValueError),
        ("decay", float("inf"), ValueError),
        ("seed", 2**63, ValueError),
    ],
)
def test_recipes_are_checked(field: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=rf"^`{field}` \(={value}"):
        Recipe(**{field: value})
