"""What any differentiable step can be told by: run again in float64, with its slopes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds import probing
from convlens.lens.kinds.walking import union_of
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.repeating import call_again, without_out
from convlens.lens.terms import Account, Cost, Terms, floats
from convlens.lens.trees import replace_refs

# What is made in the likeness of a tensor holds none of its numbers.
FACTORIES = frozenset(
    """zeros ones empty new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like
    new_empty_strided full_like empty_like rand_like randn_like randint_like bernoulli zero uniform
    random exponential geometric cauchy log_normal kaiming_uniform kaiming_normal xavier_uniform
    xavier_normal trunc_normal orthogonal constant""".split()
)

# Running these again draws other numbers.
RANDOM = frozenset(
    """alpha_dropout feature_alpha_dropout gumbel_softmax multinomial normal poisson
    fractional_max_pool2d fractional_max_pool3d rrelu rrelu_with_noise""".split()
)


# Made of choices beneath, by what is no element of it: its operators do not say what it reads.
WHOLE = frozenset(("one_hot",))
# What computes nothing that is counted as a multiply-add.
_NO_PRODUCTS = frozenset(
    """median nanmedian mode unique _unique2 unique_dim unique_consecutive bincount histc
    searchsorted bucketize cummax cummin cumprod logcumsumexp count_nonzero aminmax
    nll_loss_forward nll_loss2d_forward one_hot isin equal allclose renorm dist std_mean var_mean
    segment_reduce tril_indices triu_indices complex view_as_real view_as_complex resolve_conj
    resolve_neg real imag index_add scatter_add scatter_reduce index_reduce put index_fill
    index_copy put_ max_unpool2d max_unpool3d rrelu_with_noise dropout native_dropout
    alpha_dropout feature_alpha_dropout multinomial normal poisson uniform random bernoulli
    exponential geometric cauchy log_normal randperm mse_loss l1_loss smooth_l1_loss huber_loss
    binary_cross_entropy binary_cross_entropy_with_logits soft_margin_loss multi_margin_loss
    multilabel_margin_loss_forward glu trace diag_embed block_diag native_group_norm std var
    _pack_padded_sequence _ctc_loss fake_quantize_per_tensor_affine dequantize quantize_per_tensor
    _unique _cummax_helper linalg_matrix_norm histogram repeat_interleave nonzero_static
    _weight_norm to_sparse _to_sparse to_dense _to_dense coalesce to_sparse_csr to_sparse_csc
    to_sparse_bsr to_sparse_bsc to_sparse_coo to_mkldnn view
    quantize_per_channel resize resize_as conj indices values crow_indices col_indices
    _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update""".split()
)


class Universal:
    """A slope for each element the value depends on; never arithmetic.

    `why`: of a call that its own rule does not know, what was called.
    """

    name = "universal"
    exact = False

    def __init__(self, why: str = "") -> None:
        self.why = why

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element with a slope."""
        out = recording.values[step.outputs[slot]]
        if step.op in RANDOM:
            raise _unexplained(step, "it draws random numbers")
        if step.op == "view":
            raise _unexplained(step, self.why)
        if not out.dtype.is_floating_point:
            raise _unexplained(step, f"it gives {out.dtype} by a rule of its own")
        one = torch.zeros(out.shape, dtype=torch.float64)
        one[index] = 1
        result, slopes = _sloped(recording, step, slot, one)
        total = float(result[index].detach())
        sources, positions, numbers, weights = [], [], [], []
        for id, slope in slopes.items():
            flat, x = (
                floats(slope.to_dense()).reshape(-1),
                floats(recording.values[id].tensor).reshape(-1),
            )
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
        if self.why:
            note += f"; {self.why}"
        formula = f"{step.op}(...)"
        return Account("slope", terms, total, magnitude, len(terms) + 1, formula=formula, note=note)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Everything, except along axes where changing the rest is seen to change nothing.

        What has a slope is read too: of a symmetric matrix torch's rules give both halves one.
        """
        found = probing.reads(recording, step, slot, mask)
        draw = torch.Generator().manual_seed(0)
        wanted = mask * (1 + torch.rand(mask.shape, generator=draw, dtype=torch.float64))
        try:
            _, slopes = _sloped(recording, step, slot, wanted)
        except NotImplementedError:
            return found
        return union_of(found, {id: slope.to_dense().cpu() != 0 for id, slope in slopes.items()})

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One operation for each element made; multiply-adds are not known."""
        operations = sum(math.prod(recording.values[id].shape) for id in step.outputs)
        if step.op in _NO_PRODUCTS:
            return Cost(operations=operations)
        return Cost(operations=operations, uncounted="no rule counts it")


class Given:
    """A value no input decides: a factory, a random number."""

    name = "given"
    exact = True

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


def _sloped(
    recording: Recording, step: Step, slot: int, wanted: Tensor
) -> tuple[Tensor, dict[int, Tensor]]:
    """A step's result on float64 leaves, and for each leaf the slopes of its sum times `wanted`.

    Raises NotImplementedError, in torch's words, where that cannot be.
    """
    leaves: dict[int, Tensor] = {}

    def leaf(ref: Ref) -> Tensor:
        if ref.id not in leaves:
            recorded = recording.values[ref.id].tensor.detach()
            if recorded.is_floating_point():
                recorded = recorded.double().requires_grad_()
            leaves[ref.id] = recorded
        return leaves[ref.id].clone()

    with torch.enable_grad():
        args, kwargs = replace_refs((step.args, without_out(step)), leaf)
        try:
            result = call_again(step, args, kwargs)[slot]
        except (RuntimeError, TypeError, IndexError, ValueError) as error:
            raise _unexplained(step, f"it cannot be run again in float64: {error}") from error
        given = {id: x for id, x in leaves.items() if x.requires_grad}
        if not given or not result.requires_grad:
            return result, {}
        try:
            found: tuple[Tensor | None, ...] = torch.autograd.grad(
                result, list(given.values()), wanted.to(result), allow_unused=True
            )
        except RuntimeError as error:
            raise _unexplained(step, f"it has no slopes: {error}") from error
    slopes = zip(given, found, strict=True)
    return result, {id: slope for id, slope in slopes if slope is not None}


def _unexplained(step: Step, why: str) -> NotImplementedError:
    return NotImplementedError(
        f"step {step.index} (`{step.op}`, module `{step.module}`) cannot be taken apart: {why}"
    )
