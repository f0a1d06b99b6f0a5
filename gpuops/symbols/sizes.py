"""Rules of sizes that hold for ints and for symbols alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gpuops.errors import ShapeError
from gpuops.symbols.symint import SymBool, is_symbolic

__all__ = ["broadcast_shapes", "broadcast_sizes", "known_equal", "product", "require_equal"]

Size = Any
"""An int or a `SymInt`."""


def known_equal(a: Size, b: Size) -> bool:
    """Whether two sizes are equal whatever the symbols in them are; records and raises nothing.

    >>> known_equal(3, 3), known_equal(3, 4)
    (True, False)
    """
    return (a == b) is True


def require_equal(a: Size, b: Size, what: str) -> Size:
    """Let two sizes be equal: what is unknown becomes a recorded condition.

    Args:
        a: a size.
        b: another.
        what: the start of the error's text, such as ``"matmul: the inner sizes differ"``.

    Returns:
        The size; an int if one of the two is.

    Raises:
        ShapeError: they differ for certain, or as the inputs are that are traced with.

    >>> require_equal(3, 3, "rows")
    3
    >>> require_equal(3, 4, "matmul: the inner sizes differ")
    Traceback (most recent call last):
    ...
    gpuops.errors.ShapeError: matmul: the inner sizes differ: 3 and 4
    """
    equal = a == b
    if equal is not True:
        if not isinstance(equal, SymBool):
            raise ShapeError(f"{what}: {a} and {b}")
        equal.env.require(equal, what)
    return b if is_symbolic(a) and not is_symbolic(b) else a


def broadcast_sizes(a: Size, b: Size) -> Size:
    """The size of an axis that two arrays share after broadcasting.

    Of two sizes that are not known to be equal, one that is 1 for the inputs that are traced with
    is recorded to be 1; otherwise they are recorded to be equal. A size that depends on data is
    not taken to be 1.

    Raises:
        ShapeError: they differ and neither is 1.

    >>> broadcast_sizes(1, 3), broadcast_sizes(3, 3)
    (3, 3)
    """
    if type(a) is int and type(b) is int:
        if a == b or b == 1:
            return a
        if a == 1:
            return b
        raise ShapeError(f"sizes {a} and {b} cannot be broadcast together")
    return _broadcast_symbols(a, b)


def _broadcast_symbols(a: Size, b: Size) -> Size:
    if known_equal(a, b) or known_equal(b, 1):
        return a
    if known_equal(a, 1):
        return b
    hints = [size.env.hint(size) if is_symbolic(size) else size for size in (a, b)]
    if None not in hints and hints[0] != hints[1]:
        # Only where they differ does it matter that one is 1; which, becomes a condition.
        for one, other, hint in ((b, a, hints[1]), (a, b, hints[0])):
            if hint == 1 and one == 1:
                return other
    return require_equal(a, b, "sizes cannot be broadcast together")


def broadcast_shapes(*shapes: Sequence[Size]) -> tuple[Size, ...]:
    """The shape of arrays of these shapes after broadcasting.

    Raises:
        ShapeError: they cannot be broadcast together; the message has all shapes.

    >>> broadcast_shapes((2, 1), (3,), ())
    (2, 3)
    """
    result: list[Size] = [1] * max((len(shape) for shape in shapes), default=0)
    for shape in shapes:
        offset = len(result) - len(shape)
        for axis, size in enumerate(shape, offset):
            try:
                result[axis] = broadcast_sizes(result[axis], size)
            except ShapeError:
                listed = " ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
                raise ShapeError(f"shapes cannot be broadcast together: {listed}") from None
    return tuple(result)


def product(sizes: Iterable[Size]) -> Size:
    """The number of elements of a shape.

    >>> product((2, 3, 4)), product(())
    (24, 1)
    """
    total: Size = 1
    for size in sizes:
        total = total * size
    return total
