"""What any differentiable step can be told by: run again in float64, with its slopes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.steps import Recording, Ref, Step, run_again
from convlens.lens.terms import Account, Cost, Terms, floats

# What is made in the likeness of a tensor holds none of its numbers.
FACTORIES = frozenset(
    """new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like full_like empty_like
    rand_like randn_like bernoulli zero""".split()
)

# Running these again draws other numbers.
RANDOM = frozenset(
    """alpha_dropout feature_alpha_dropout gumbel_softmax multinomial normal poisson
    fractional_max_pool2d fractional_max_pool3d rrelu_with_noise""".split()
)


class Universal:
    """A slope for each element the value depends on; never arithmetic."""

    name = "universal"

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element with a slope."""
        out = recording.values[step.outputs[slot]]
        if step.op in RANDOM:
            raise _unexplained(step, "it draws random numbers")
        if not out.dtype.is_floating_point:
            raise _unexplained(step, f"it gives {out.dtype} by a rule of its own")
        leaves: dict[int, Tensor] = {}

        def leaf(ref: Ref) -> Tensor:
            if ref.id not in leaves:
                recorded = recording.values[ref.id].tensor.detach()
                if recorded.is_floating_point():
                    recorded = recorded.double().requires_grad_()
                leaves[ref.id] = recorded
            return leaves[ref.id].clone()

        try:
            with torch.enable_grad():
                result = run_again(step, leaf, slot)
                wanted = [x for x in leaves.values() if x.requires_grad]
                slopes = (
                    torch.autograd.grad(result[index], wanted, allow_unused=True)
                    if wanted and result.requires_grad
                    else [None] * len(wanted)
                )
        except (RuntimeError, TypeError, IndexError) as error:
            raise _unexplained(step, f"it cannot be run again in float64: {error}") from error
        total = float(result[index].detach())
        sources, positions, numbers, weights = [], [], [], []
        ids = [id for id, x in leaves.items() if x.requires_grad]
        for id, slope in zip(ids, slopes, strict=True):
            if slope is None:
                continue
            flat, x = floats(slope).reshape(-1), floats(recording.values[id].tensor).reshape(-1)
            place = np.flatnonzero(flat)
            sources.append(np.full(place.size, id))
            positions.append(place)
            numbers.append(x[place])
            weights.append(flat[place])
        if sources:
            terms = Terms.build(*map(np.concatenate, (sources, positions, numbers, weights)))
        else:
            terms = Terms.none()
        magnitude = abs(total) + float(np.abs(terms.product).sum())
        note = "slopes of this one step at these inputs, not terms of a sum"
        formula = f"{step.op}(...)"
        return Account("slope", terms, total, magnitude, len(terms) + 1, formula=formula, note=note)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Everything: which elements matter is not known."""
        return {
            id: masks.everything(mask, recording.values[id].shape)
            for id in dict.fromkeys(step.inputs)
        }

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One operation for each element made."""
        return Cost(operations=sum(recording.values[id].tensor.numel() for id in step.outputs))


class Given:
    """A value no input decides: a factory, a random number."""

    name = "given"

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """No terms: the number itself."""
        recorded = float(recording.values[step.outputs[slot]].tensor[index])
        return Account("given", Terms.none(), recorded, exact=True, formula=step.op)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Nothing."""
        return {}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Nothing worth counting."""
        return Cost()


def _unexplained(step: Step, why: str) -> NotImplementedError:
    return NotImplementedError(
        f"step {step.index} (`{step.op}`, module `{step.module}`) cannot be taken apart: {why}"
    )
