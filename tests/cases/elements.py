"""Pick elements of a recording, and check what is true of every explanation."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.lens import Explanation, Recording, Step, explain

# torch keeps these for the gradient; they are not numbers of the network.
SAVED = {("_scaled_dot_product_flash_attention_for_cpu", 1)}


def elements_of(seen: Recording, each: int) -> Iterator[tuple[Step, int, tuple[int, ...]]]:
    """Yield the first, the last and some random elements of every output of every step."""
    rng = np.random.default_rng(0)
    for step in seen:
        for slot, id in enumerate(step.outputs):
            shape = seen.values[id].shape
            if (step.op, slot) in SAVED or 0 in shape:
                continue
            yield step, slot, tuple(0 for _ in shape)
            yield step, slot, tuple(n - 1 for n in shape)
            for _ in range(each):
                yield step, slot, tuple(int(rng.integers(n)) for n in shape)


def misplaced(explanation: Explanation) -> int:
    """Count the terms and weights that differ from the tensor's number at the place they name."""
    terms, values = explanation.terms, explanation.recording.values
    count = 0
    for sources, positions, numbers in (
        (terms.source, terms.position, terms.value),
        (terms.weight_source, terms.weight_position, terms.weight),
    ):
        if numbers is terms.weight and explanation.kind not in ("windowed", "linear"):
            continue  # elsewhere a weight may be made of the element it names
        for id in {int(i) for i in sources if i >= 0}:
            mine = sources == id
            flat = values[id].tensor.double().reshape(-1).numpy()
            count += int((~np.equal(flat[positions[mine]], numbers[mine])).sum())
    return count


def can_fail(explanation: Explanation) -> bool:
    """Return whether the bound is a small multiple of the terms' rounding, or the note says why."""
    terms, dtype = explanation.terms, explanation.value.dtype
    if not dtype.is_floating_point:
        return explanation.bound == 0
    size = float(np.abs(terms.product).sum()) + abs(explanation.bias) + abs(explanation.total)
    rounding = 2 * (4 + math.sqrt(len(terms) + 16)) * torch.finfo(dtype).eps / 2
    least = 2 * torch.finfo(dtype).smallest_normal * (1 + len(terms))
    noted = "rounded as numbers of size" in explanation.note
    return noted or explanation.bound <= 64 * (rounding * size + least)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def indices_in(shape: tuple[int, ...], count: int, seed: int = 0) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(int(rng.integers(n)) for n in shape) for _ in range(count)]


def raises(seen: Recording, step: Step | int, count: int = 40) -> int:
    """Count the elements, of some random ones, whose terms do not give them."""
    found, step = 0, seen.step(step)
    for index in indices_in(seen.values[step.outputs[0]].shape, count):
        try:
            explain(seen, step, index)
        except ArithmeticError:
            found += 1
    return found


def replaced(seen: Recording, position: int, argument: Any) -> Recording:
    """Return the recording with another argument of its first step."""
    args = list(seen.steps[0].args)
    args[position] = argument
    object.__setattr__(seen.steps[0], "args", tuple(args))
    return seen
