"""Linear algebra of stacks of matrices: the batch axis is one more axis in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuops.registry import Operator
from gpuops.transforms.array_methods import xp
from gpuops.transforms.vmap.axes import aligned, front, insert_axes, logical_ndim, with_batch
from gpuops.transforms.vmap.loop import loop
from gpuops.xp.batching._rules import Rule, moved_axis, rule

__all__ = ["of_matrices", "solve", "with_tolerance"]


@rule(
    *("linalg_cholesky", "linalg_det", "linalg_eigh", "linalg_eigvalsh", "linalg_inv"),
    *("linalg_matrix_norm", "linalg_matrix_power", "linalg_qr", "linalg_slogdet"),
    *("linalg_svd", "linalg_svdvals", "matrix_transpose"),
)
def of_matrices(operator: Operator) -> Rule:
    """The batch axis in front; elements of too few axes are refused by the operator itself."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, *rest: Any, **options: Any) -> Any:
        if len(x.shape) < 3:
            # A batch of vectors must not be taken for a matrix.
            return one_by_one(info, in_dims, x, *rest, **options)
        return call(front(x, in_dims[0]), *rest, **options), 0

    return batched


@rule("linalg_matrix_rank", "linalg_pinv")
def with_tolerance(operator: Operator) -> Rule:
    """A tolerance per matrix goes with the axes in front of the matrices."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x: Any, *rest: Any, **options: Any) -> Any:
        rtol = rest[0] if rest else options["rtol"]
        rtol_dim = in_dims[1] if rest else info.keyword_in_dims.get("rtol")
        ndim = logical_ndim(x, in_dims[0])
        if ndim < 2:
            return one_by_one(info, in_dims, x, *rest, **options)
        x = with_batch(x, in_dims[0], info.batch_size)
        if rtol_dim is not None:
            rtol = insert_axes(front(rtol, rtol_dim), 1, ndim - 1 - len(rtol.shape))
        return (call(x, rtol) if rest else call(x, rtol=rtol)), 0

    return batched


@rule("linalg_solve")
def solve(operator: Operator) -> Rule:
    """Right sides that are vectors become the columns of one matrix, for one matrix."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any) -> Any:
        r1, r2 = (logical_ndim(x, dim) for x, dim in zip((x1, x2), in_dims, strict=True))
        if r1 < 2 or r2 < 1:
            return one_by_one(info, in_dims, x1, x2)
        if r2 > 1:
            return call(*aligned((x1, x2), in_dims)), 0
        if in_dims[0] is None and r1 == 2:
            return call(x1, xp.moveaxis(x2, (in_dims[1],), (1,))), 1
        column = xp.expand_dims(front(x2, in_dims[1]), (-1,))
        if in_dims[1] is not None:
            column = insert_axes(column, 1, r1 - 2)
        return xp.squeeze(call(front(x1, in_dims[0]), column), (-1,)), 0

    return batched


@rule("linalg_cross")
def cross(operator: Operator) -> Rule:
    """The axis of the vectors is put last, where both have it, and back."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any, *, axis: int = -1) -> Any:
        if axis < 0:
            return call(*aligned((x1, x2), in_dims), axis=axis), 0
        given = [with_batch(x, d, info.batch_size) for x, d in zip((x1, x2), in_dims, strict=True)]
        last = [xp.moveaxis(x, (moved_axis(x, axis, 0),), (-1,)) for x in given]
        out = call(*aligned(last, (0, 0)))
        return xp.moveaxis(out, (-1,), (axis + 1,)), 0

    return batched
