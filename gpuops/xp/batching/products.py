"""Products of matrices, vectors and tensors."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from gpuops.gufunc import parse_signature
from gpuops.registry import Operator
from gpuops.symbols import product
from gpuops.transforms.array_methods import xp
from gpuops.transforms.vmap.axes import aligned, front, logical_ndim, with_batch
from gpuops.transforms.vmap.gufunc import gufunc_rule
from gpuops.transforms.vmap.loop import loop
from gpuops.xp._axes import axes_of
from gpuops.xp._row import ROWS
from gpuops.xp.batching._rules import Rule, beside, moved_axis, rule

__all__ = ["dot", "einsum", "matmul", "matvec", "outer", "tensordot", "vecdot", "vecmat"]


@rule("matmul")
def matmul(operator: Operator) -> Rule:
    """A batch of vectors is a matrix, where the other operand is the same for all of them."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any) -> Any:
        d1, d2 = in_dims
        r1, r2 = logical_ndim(x1, d1), logical_ndim(x2, d2)
        if not r1 or not r2:
            return one_by_one(info, in_dims, x1, x2)
        x1, x2 = front(x1, d1), front(x2, d2)
        if d2 is None and r2 <= 2:
            return call(x1, x2), 0
        if d1 is None and r2 == 1 and r1 <= 2:
            return call(x2, x1 if r1 == 1 else xp.matrix_transpose(x1)), 0
        dropped = []
        if r1 == 1:
            x1, dropped = xp.expand_dims(x1, (-2,)), [-2]
        if r2 == 1:
            x2, dropped = xp.expand_dims(x2, (-1,)), [*dropped, -1]
        out = call(*aligned((x1, x2), [None if d is None else 0 for d in in_dims]))
        return (xp.squeeze(out, tuple(dropped)) if dropped else out), 0

    return batched


@rule("matvec")
def matvec(operator: Operator) -> Rule:
    """One more loop axis."""
    return gufunc_rule(operator, parse_signature("(m,n),(n)->(m)"))


@rule("vecmat")
def vecmat(operator: Operator) -> Rule:
    """One more loop axis."""
    return gufunc_rule(operator, parse_signature("(m),(m,n)->(n)"))


@rule("vecdot")
def vecdot(operator: Operator) -> Rule:
    """The axis of the vectors is put last, where both operands have it."""
    one_by_one, call = loop(operator, copies=True), operator.call

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any, axis: int = -1) -> Any:
        in_dims = in_dims[:2]
        if not all(logical_ndim(x, d) for x, d in zip((x1, x2), in_dims, strict=True)):
            return one_by_one(info, (*in_dims, None), x1, x2, axis)
        if axis == -1:
            return call(*aligned((x1, x2), in_dims), -1), 0
        given = [with_batch(x, d, info.batch_size) for x, d in zip((x1, x2), in_dims, strict=True)]
        last = [xp.moveaxis(x, (moved_axis(x, axis, 0),), (-1,)) for x in given]
        return call(*aligned(last, (0, 0)), -1), 0

    return batched


@rule("tensordot")
def tensordot(operator: Operator) -> Rule:
    """With one batched operand the batch axis is one that is kept; with two, matrices multiply."""
    call = operator.call

    def batched(
        info: Any, in_dims: Sequence[Any], x1: Any, x2: Any, first: Any, second: Any
    ) -> Any:
        d1, d2 = in_dims[0], in_dims[1]
        left = axes_of(first, logical_ndim(x1, d1))
        right = axes_of(second, logical_ndim(x2, d2))
        if d2 is None:
            return call(x1, x2, [beside(a, d1) for a in left], [*right]), d1 - sum(
                beside(a, d1) < d1 for a in left
            )
        if d1 is None:
            moved = [beside(a, d2) for a in right]
            kept = len(x1.shape) - len(left)
            return call(x1, x2, [*left], moved), kept + d2 - sum(a < d2 for a in moved)
        x1, x2 = front(x1, d1), front(x2, d2)
        left, right = tuple(a + 1 for a in left), tuple(a + 1 for a in right)
        rows = [a for a in range(1, len(x1.shape)) if a not in left]
        columns = [a for a in range(1, len(x2.shape)) if a not in right]
        sizes = [x1.shape[a] for a in rows] + [x2.shape[a] for a in columns]
        a = xp.permute_dims(x1, (0, *rows, *left))
        b = xp.permute_dims(x2, (0, *right, *columns))
        inner = [product(x1.shape[i] for i in left), product(x2.shape[i] for i in right)]
        a = xp.reshape(a, (info.batch_size, product(x1.shape[i] for i in rows), inner[0]))
        b = xp.reshape(b, (info.batch_size, inner[1], product(x2.shape[i] for i in columns)))
        return xp.reshape(xp.matmul(a, b), (info.batch_size, *sizes)), 0

    return batched


@rule("dot")
def dot(operator: Operator) -> Rule:
    """A product of numbers, or the sum over one pair of axes."""
    sums = tensordot(ROWS["tensordot"].operator)

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any) -> Any:
        r1, r2 = (logical_ndim(x, dim) for x, dim in zip((x1, x2), in_dims, strict=True))
        if not r1 or not r2:
            return xp.multiply(*aligned((x1, x2), in_dims)), 0
        return sums(info, in_dims, x1, x2, [r1 - 1], [max(r2 - 2, 0)])

    return batched


@rule("linalg_outer", "outer")
def outer(operator: Operator) -> Rule:
    """Columns times rows."""
    one_by_one = loop(operator, copies=True)
    only_vectors = operator.name == "linalg_outer"

    def batched(info: Any, in_dims: Sequence[Any], x1: Any, x2: Any) -> Any:
        ranks = [logical_ndim(x, dim) for x, dim in zip((x1, x2), in_dims, strict=True)]
        if only_vectors and ranks != [1, 1]:
            return one_by_one(info, in_dims, x1, x2)
        x1, x2 = front(x1, in_dims[0]), front(x2, in_dims[1])
        lead1 = () if in_dims[0] is None else x1.shape[:1]
        lead2 = () if in_dims[1] is None else x2.shape[:1]
        column = xp.reshape(x1, (*lead1, product(x1.shape[len(lead1) :]), 1))
        row = xp.reshape(x2, (*lead2, 1, product(x2.shape[len(lead2) :])))
        return xp.multiply(column, row), 0

    return batched


@rule("einsum")
def einsum(operator: Operator) -> Rule:
    """The batch axis gets a letter of its own."""
    call = operator.call

    def batched(info: Any, in_dims: Sequence[Any], subscripts: str, operands: Any) -> Any:
        text = subscripts.replace(" ", "")
        letter = next(c for c in string.ascii_letters if c not in text)
        left, arrow, right = text.partition("->")
        terms = left.split(",")
        if not arrow:
            letters = left.replace("...", "").replace(",", "")
            once = sorted(c for c in set(letters) if letters.count(c) == 1)
            right = ("..." if "..." in left else "") + "".join(once)
        dims = in_dims[1]
        named = [
            term if dim is None else letter + term
            for term, dim in zip(terms, [*dims, *[None] * len(terms)], strict=False)
        ]
        moved = [front(x, dim) for x, dim in zip(operands, dims, strict=True)]
        return call(f"{','.join(named)}->{letter}{right}", moved), 0

    return batched
