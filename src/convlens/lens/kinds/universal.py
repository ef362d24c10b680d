"""Explain any differentiable step by its slopes: run it again in float64."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds import probing
from convlens.lens.kinds.arguments import Arguments, KnownAsCalled
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.kinds.walking import union_of
from convlens.lens.recording import Ref, Step
from convlens.lens.repeating import NotRepeated, call_again, without_out
from convlens.lens.terms import Account, Cost, Terms, floats
from convlens.lens.trees import replace_refs

# What is made like a tensor has its shape and dtype, and none of its numbers.
FACTORIES = frozenset(
    """zeros ones empty new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like
    new_empty_strided full_like empty_like rand_like randn_like randint_like bernoulli zero uniform
    random exponential geometric cauchy log_normal kaiming_uniform kaiming_normal xavier_uniform
    xavier_normal trunc_normal orthogonal constant""".split()
)

# Another run of these draws other numbers.
RANDOM = frozenset(
    """alpha_dropout feature_alpha_dropout gumbel_softmax multinomial normal poisson
    fractional_max_pool2d fractional_max_pool3d rrelu rrelu_with_noise""".split()
)
# The operators beneath choose by what is not an element: they do not say what it reads.
WHOLE = frozenset(("one_hot",))
# These compute nothing that is counted as a multiply-add.
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

    `why` is what did not fit, if the call has a kind whose signature it does not fit.
    """

    name = "universal"
    exact = False

    def __init__(self, why: str = "") -> None:
        self.why = why

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each element with a slope."""
        step, out = given.step, given.output(slot)
        if step.op in RANDOM:
            raise StepRefused(step, "it draws random numbers")
        if step.op == "view":
            raise StepRefused(step, self.why)
        if not out.dtype.is_floating_point:
            raise StepRefused(step, f"it gives {out.dtype} by a rule of its own")
        one = torch.zeros(out.shape, dtype=torch.float64)
        one[index] = 1
        result, slopes = _sloped(given, slot, one)
        total = float(result[index].detach())
        terms = _terms(given, slopes)
        magnitude = abs(total) + float(np.abs(terms.product).sum())
        note = "slopes of this one step at these inputs, not terms of a sum"
        note += f"; {self.why}" if self.why else ""
        formula = f"{step.op}(...)"
        return Account("slope", terms, total, magnitude, len(terms) + 1, formula=formula, note=note)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return everything, except along axes where other numbers were seen to change nothing.

        What has a slope is read too: torch gives both halves of a symmetric matrix one.
        """
        found = probing.reads(given, slot, mask)
        draw = torch.Generator().manual_seed(0)
        wanted = mask * (1 + torch.rand(mask.shape, generator=draw, dtype=torch.float64))
        try:
            _, slopes = _sloped(given, slot, wanted)
        except StepRefused:
            return found
        return union_of(found, {id: slope.to_dense().cpu() != 0 for id, slope in slopes.items()})

    def cost(self, given: Arguments) -> Cost:
        """Count one operation for each element made; multiply-adds are not known."""
        values, step = given.recording.values, given.step
        operations = sum(math.prod(values[id].shape) for id in step.outputs)
        if step.op in _NO_PRODUCTS:
            return Cost(operations=operations)
        return Cost(operations=operations, uncounted="no rule counts it")


class Given(KnownAsCalled):
    """A value that no input decides: that of a factory, or a random number."""

    name = "given"
    exact = True

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return no terms, but the number itself."""
        recorded = given.recorded(slot, index)
        return Account("given", Terms.none(), recorded, exact=True, formula=given.step.op)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return nothing."""
        return {}

    def cost(self, given: Arguments) -> Cost:
        """Count nothing."""
        return Cost()


def _terms(given: Arguments, slopes: dict[int, Tensor]) -> Terms:
    """Return a term for each element of the inputs that has a slope."""
    sources, positions, numbers, weights = [], [], [], []
    for id, slope in slopes.items():
        flat = floats(slope.to_dense()).reshape(-1)
        place = np.flatnonzero(flat)
        sources.append(np.full(place.size, id))
        positions.append(place)
        numbers.append(floats(given.recording.values[id].tensor).reshape(-1)[place])
        weights.append(flat[place])
    if not sources:
        return Terms.none()
    return Terms.build(*map(np.concatenate, (sources, positions, numbers, weights)))


def _float64(step: Step, tensor: Tensor) -> Tensor:
    """Return a tensor as a leaf of float64, or raise StepRefused for a layout that has none."""
    try:
        return tensor.double().requires_grad_()
    except NotImplementedError as error:
        raise StepRefused(
            step, "it cannot be run again in float64: torch has none of its layout"
        ) from error


def _sloped(given: Arguments, slot: int, wanted: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
    """Return a step's result on float64 leaves, and each leaf's slopes of its sum times `wanted`.

    Raises StepRefused, in torch's words, if that cannot be.
    """
    step, leaves = given.step, {}

    def leaf(ref: Ref) -> Tensor:
        if ref.id not in leaves:
            recorded = given.recording.values[ref.id].tensor.detach()
            leaves[ref.id] = _float64(step, recorded) if recorded.is_floating_point() else recorded
        return leaves[ref.id].clone()

    with torch.enable_grad():
        args, kwargs = replace_refs((step.args, without_out(step)), leaf)
        try:
            result = call_again(step, args, kwargs)[slot]
        except NotRepeated as error:
            raise StepRefused(step, f"it cannot be run again in float64: {error}") from error
        floating = {id: x for id, x in leaves.items() if x.requires_grad}
        if not floating or not result.requires_grad:
            return result, {}
        try:
            found: tuple[Tensor | None, ...] = torch.autograd.grad(
                result, list(floating.values()), wanted.to(result), allow_unused=True
            )
        except RuntimeError as error:
            raise StepRefused(step, f"it has no slopes: {error}") from error
    slopes = zip(floating, found, strict=True)
    return result, {id: slope for id, slope in slopes if slope is not None}
