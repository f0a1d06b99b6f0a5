"""Shapes and layouts of ``einsum``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.symbols import broadcast_sizes
from gpuops.xp._meta import Meta, Size, View, fresh, minor_first, sorted_strides

__all__ = ["einsum_meta", "parsed_subscripts"]

# Characters for the axes that an ellipsis stands for, from the last one on: no letters.
_ELLIPSIS = [chr(0x1000 + index) for index in range(64)]


def einsum_meta(subscripts: str, operands: Sequence[Any]) -> Meta:
    """What ``numpy.einsum`` gives.

    Raises:
        ValueError: subscripts that do not go with the operands.
    """
    inputs, output = parsed_subscripts(subscripts, operands)
    is_view = len(operands) == 1 and set(output) == set(inputs[0])
    views = [_combined(labels, x, is_view) for labels, x in zip(inputs, operands, strict=True)]
    sizes: dict[str, Size] = {}
    for view in views:
        for label, (size, _) in view.items():
            try:
                sizes[label] = broadcast_sizes(sizes[label], size) if label in sizes else size
            except ValueError:
                raise ValueError(
                    "operands could not be broadcast together: the index "
                    f"{label!r} has the sizes {sizes[label]} and {size}"
                ) from None
    shape = tuple(sizes[label] for label in output)
    dtype = np.result_type(*(x.dtype for x in operands))
    if is_view:
        strides = tuple(views[0][label][1] for label in output)
        own = operands[0].dtype
        return View(shape, own if shape else own.newbyteorder("="), strides)
    if dtype.kind not in "?biufc":
        raise TypeError(f"invalid data type for einsum: {dtype}")
    if not shape:
        return fresh((), dtype.newbyteorder("="))
    summed = [label for label in sizes if label not in output]
    axes = [*output, *summed]
    columns = []
    for label in axes:
        column = []
        for view in views:
            size, stride = view.get(label, (1, 0))
            column.append(0 if type(size) is int and size == 1 else stride)
        columns.append(tuple(column))
    count = len(output)
    order = [axis for axis in minor_first(columns) if axis < count]
    native = dtype.newbyteorder("=")
    return Meta(shape, native, sorted_strides(shape, native.itemsize, order))


def _combined(labels: str, x: Any, is_view: bool) -> dict[str, tuple[Size, Size]]:
    """The size and stride of each label; a repeated one walks along the diagonal.

    Raises:
        ValueError: a label that is repeated has two sizes.
    """
    found: dict[str, tuple[Size, Size]] = {}
    for label, size, stride in zip(labels, x.shape, x.strides, strict=True):
        if label in found:
            known, step = found[label]
            if is_view and type(known) is int and known == 0:
                known = size  # NumPy takes a 0 for a size that it has not seen yet
            if known is not size and type(known) is int and type(size) is int and known != size:
                raise ValueError(
                    f"dimensions in operand for collapsing index {label!r} don't match "
                    f"({known} != {size})"
                )
            found[label] = (broadcast_sizes(known, size), step + stride)
        else:
            found[label] = (size, stride)
    return found


def parsed_subscripts(subscripts: str, operands: Sequence[Any]) -> tuple[list[str], str]:
    """The labels of each operand and of the output, one character an axis.

    Raises:
        ValueError: a character that is no label, another number of operands or axes, an output
            label that no operand has, or one twice.
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if not operands or len(terms) != len(operands):
        raise ValueError(
            f"einstein sum subscripts string has {len(terms)} terms for {len(operands)} operands"
        )
    inputs = []
    widest = 0
    for term, x in zip(terms, operands, strict=True):
        labels, extra = _spelled(term, len(x.shape))
        inputs.append(labels)
        widest = max(widest, extra)
    ellipsis = "".join(_ELLIPSIS[:widest][::-1])
    if arrow:
        before, dots, after = right.partition("...")
        if dots and "." in before + after:
            raise ValueError("einstein sum subscripts output has more than one '...'")
        _check_letters(before + after)
        output = before + (ellipsis if dots else "") + after
        if ellipsis and not dots:
            raise ValueError("output has subscripts but no '...' to hold the broadcast dimensions")
    else:
        joined = "".join(inputs)
        once = sorted(c for c in set(joined) if joined.count(c) == 1 and c not in _ELLIPSIS)
        output = ellipsis + "".join(once)
    known = set("".join(inputs))
    for label in output:
        if label not in known:
            raise ValueError(
                f"einstein sum subscripts string included output subscript {label!r} which never "
                "appeared in an input"
            )
        if output.count(label) > 1:
            raise ValueError(
                f"einstein sum subscripts string includes output subscript {label!r} multiple times"
            )
    return inputs, output


def _spelled(term: str, ndim: int) -> tuple[str, int]:
    """A term's labels with its ellipsis spelled out, and for how many axes that stands."""
    before, dots, after = term.partition("...")
    _check_letters(before + after)
    extra = ndim - len(before) - len(after)
    if extra < 0 or (extra and not dots):
        raise ValueError(
            f"einstein sum subscripts string {term!r} does not have as many subscripts as its "
            f"operand has dimensions ({ndim})"
        )
    return before + "".join(_ELLIPSIS[:extra][::-1]) + after, extra


def _check_letters(text: str) -> None:
    for character in text:
        if not (character.isascii() and character.isalpha()):
            raise ValueError(
                f"invalid subscript {character!r} in einstein sum subscripts string, subscripts "
                "must be letters"
            )
