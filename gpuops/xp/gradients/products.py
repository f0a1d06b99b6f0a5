"""Matrix products and other contractions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops import xp
from gpuops.xp._axes import axis_of
from gpuops.xp._einsum import parsed_subscripts
from gpuops.xp.gradients._rules import conjugate, gradients

__all__: list[str] = []


def _adjoint(x: Any) -> Any:
    return conjugate(xp.matrix_transpose(x))


# Where operands were broadcast against each other, the engine sums.
def _matmul_1(g: Any, x2: Any, x1_ndim: int) -> Any:
    if x2.ndim == 1:
        return g * conjugate(x2) if x1_ndim == 1 else g[..., None] * conjugate(x2)
    if x1_ndim == 1:
        return xp.matmul(conjugate(x2), g[..., None])[..., 0]
    return xp.matmul(g, _adjoint(x2))


def _matmul_2(g: Any, x1: Any, x2_ndim: int) -> Any:
    if x1.ndim == 1:
        return g * conjugate(x1) if x2_ndim == 1 else conjugate(x1)[:, None] * g[..., None, :]
    if x2_ndim == 1:
        return xp.matmul(_adjoint(x1), g[..., None])[..., 0]
    return xp.matmul(_adjoint(x1), g)


gradients("matmul", x1=_matmul_1, x2=_matmul_2)

gradients(
    "vecdot",
    x1=lambda g, x2, axis: conjugate(xp.expand_dims(g, axis)) * x2,
    x2=lambda g, x1, axis: xp.expand_dims(g, axis) * x1,
)


def _outer_1(g: Any, x2: Any, x1_shape: Any) -> Any:
    return xp.reshape(xp.matmul(g, conjugate(xp.reshape(x2, (-1,)))), x1_shape)


def _outer_2(g: Any, x1: Any, x2_shape: Any) -> Any:
    return xp.reshape(xp.matmul(conjugate(xp.reshape(x1, (-1,))), g), x2_shape)


gradients("outer", x1=_outer_1, x2=_outer_2)
gradients("linalg_outer", x1=_outer_1, x2=_outer_2)


# -- tensordot and dot -----------------------------------------------------------------------------


def _rest(ndim: int, axes: Sequence[int]) -> list[int]:
    return [axis for axis in range(ndim) if axis not in axes]


def _contract_1(g: Any, x2: Any, ndim: int, first: Sequence[int], second: Sequence[int]) -> Any:
    """The gradient of the first operand of a contraction, from g and the second operand."""
    first = [axis_of(axis, ndim) for axis in first]
    second = [axis_of(axis, x2.ndim) for axis in second]
    kept = ndim - len(first)
    others = _rest(x2.ndim, second)
    # The axes of the result: those that the first operand keeps, then those of the second.
    found = xp.tensordot(
        g, conjugate(x2), axes=(tuple(range(kept, kept + len(others))), tuple(others))
    )
    # What comes out: the kept axes, then the contracted ones in the order of the second operand.
    places = _rest(ndim, first) + [first[second.index(axis)] for axis in sorted(second)]
    return _placed(found, places)


def _contract_2(g: Any, x1: Any, ndim: int, first: Sequence[int], second: Sequence[int]) -> Any:
    first = [axis_of(axis, x1.ndim) for axis in first]
    second = [axis_of(axis, ndim) for axis in second]
    others = _rest(x1.ndim, first)
    found = xp.tensordot(conjugate(x1), g, axes=(tuple(others), tuple(range(len(others)))))
    places = [second[first.index(axis)] for axis in sorted(first)] + _rest(ndim, second)
    return _placed(found, places)


def _placed(x: Any, places: Sequence[int]) -> Any:
    """Move axis i to ``places[i]``."""
    return xp.permute_dims(x, tuple(np.argsort(places).tolist())) if len(places) > 1 else x


gradients(
    "tensordot",
    x1=lambda g, x2, x1_ndim, first, second: _contract_1(g, x2, x1_ndim, first, second),
    x2=lambda g, x1, x2_ndim, first, second: _contract_2(g, x1, x2_ndim, first, second),
)


def _dot_1(g: Any, x2: Any, x1_ndim: int) -> Any:
    if x1_ndim == 0 or x2.ndim == 0:
        return g * conjugate(x2)
    return _contract_1(g, x2, x1_ndim, [x1_ndim - 1], [max(x2.ndim - 2, 0)])


def _dot_2(g: Any, x1: Any, x2_ndim: int) -> Any:
    if x1.ndim == 0 or x2_ndim == 0:
        return g * conjugate(x1)
    return _contract_2(g, x1, x2_ndim, [x1.ndim - 1], [max(x2_ndim - 2, 0)])


gradients("dot", x1=_dot_1, x2=_dot_2)


# -- einsum ----------------------------------------------------------------------------------------


def _einsum(g: Any, subscripts: str, operands: Any) -> list[Any]:
    """For each operand, the sum over the indices that it does not have."""
    inputs, output = parsed_subscripts(subscripts, operands)
    return [_einsum_operand(g, inputs, output, operands, index) for index in range(len(inputs))]


def _einsum_operand(
    g: Any, inputs: Sequence[str], output: str, operands: Sequence[Any], index: int
) -> Any:
    labels, shape = inputs[index], operands[index].shape
    distinct = "".join(dict.fromkeys(labels))
    others = [(inputs[i], operands[i]) for i in range(len(inputs)) if i != index]
    known = set(output).union(*(other for other, _ in others))
    present = "".join(label for label in distinct if label in known)
    letters = _letters("".join([output, present, *(other for other, _ in others)]))
    text = ",".join(_spelled(labels, letters) for labels in [output, *(o for o, _ in others)])
    text = f"{text}->{_spelled(present, letters)}"
    found = xp.einsum(text, g, *(conjugate(operand) for _, operand in others))
    # Indices that only this operand has were summed over: each element has the same gradient.
    sizes = dict(zip(labels, shape, strict=True))
    if present != distinct:
        missing = tuple(i for i, label in enumerate(distinct) if label not in known)
        found = xp.expand_dims(found, missing)
        found = xp.broadcast_to(found, tuple(sizes[label] for label in distinct))
    return found if distinct == labels else _on_diagonal(found, labels, distinct, shape)


def _letters(labels: str) -> dict[str, str]:
    """Letters for labels, some of which stand for axes of an ellipsis and are none."""
    free = (c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in labels)
    return {label: label if label.isascii() else next(free) for label in dict.fromkeys(labels)}


def _spelled(labels: str, letters: dict[str, str]) -> str:
    return "".join(letters[label] for label in labels)


def _on_diagonal(x: Any, labels: str, distinct: str, shape: Any) -> Any:
    """Put what was read along a diagonal (a repeated index) there, zeros elsewhere."""
    for axis, label in enumerate(labels):
        before = labels[:axis]
        if label not in before:
            continue
        first = before.index(label)
        size = shape[axis]
        # A new axis at its place, on which only the element with the other's index is not zero.
        x = xp.expand_dims(x, axis)
        eye = xp.eye(size, dtype=x.dtype, device=x.device)
        x = x * xp.reshape(
            eye, tuple(size if place in (first, axis) else 1 for place in range(x.ndim))
        )
    return x


gradients("einsum", operands=_einsum)
gradients(
    "linalg_cross",
    x1=lambda g, x2, axis: xp.linalg.cross(conjugate(x2), g, axis=axis),
    x2=lambda g, x1, axis: xp.linalg.cross(g, conjugate(x1), axis=axis),
)

# -- matrices and vectors, stacked -----------------------------------------------------------------

gradients(
    "matvec",
    x1=lambda g, x2: g[..., :, None] * conjugate(x2)[..., None, :],
    x2=lambda g, x1: xp.matmul(_adjoint(x1), g[..., None])[..., 0],
)
# The vector is conjugated.
gradients(
    "vecmat",
    x1=lambda g, x2: xp.matmul(x2, conjugate(g)[..., None])[..., 0],
    x2=lambda g, x1: x1[..., :, None] * g[..., None, :],
)

# -- convolution -----------------------------------------------------------------------------------


def _full(g: Any, sizes: tuple[Any, Any], mode: str, *, reversed_: bool = False) -> Any:
    """A gradient of the result of a mode as one of the full convolution, zero beside it."""
    least = min(sizes)
    # Where the results of the mode begin in the full ones.
    start = {"full": 0, "valid": least - 1, "same": (least - 1) // 2}[mode]
    if reversed_ and mode == "same":
        start = least - 1 - start
    whole = sizes[0] + sizes[1] - 1
    return xp.pad(g, (start, whole - start - g.shape[0]))


gradients(
    "convolve",
    x1=lambda g, x2, x1_shape, mode: xp.correlate(
        _full(g, (x1_shape[0], x2.shape[0]), mode), x2, "valid"
    ),
    x2=lambda g, x1, x2_shape, mode: xp.correlate(
        _full(g, (x1.shape[0], x2_shape[0]), mode), x1, "valid"
    ),
)


def _correlate_1(g: Any, x2: Any, x1_shape: Any, mode: str) -> Any:
    """``correlate(a, v)`` is the convolution with v reversed and conjugated."""
    sizes = (x1_shape[0], x2.shape[0])
    full = _full(g, sizes, mode, reversed_=sizes[1] > sizes[0])
    return xp.correlate(full, conjugate(xp.flip(x2)), "valid")


def _correlate_2(g: Any, x1: Any, x2_shape: Any, mode: str) -> Any:
    sizes = (x1.shape[0], x2_shape[0])
    full = _full(g, sizes, mode, reversed_=sizes[1] > sizes[0])
    return xp.flip(conjugate(xp.correlate(full, x1, "valid")))


gradients("correlate", x1=_correlate_1, x2=_correlate_2)
