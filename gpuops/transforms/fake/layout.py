"""Strides and contiguity as NumPy computes them, for sizes that may be symbolic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gpuops.symbols import known_equal

__all__ = ["Flags", "contiguous_strides", "is_contiguous"]

Size = Any
"""An int or a `SymInt`."""

OWNDATA, WRITEABLE, ALIGNED = 1, 2, 4


def contiguous_strides(shape: Sequence[Size], itemsize: int, order: str = "C") -> tuple[Size, ...]:
    """The strides, in bytes, of a new array.

    Those of an array without elements mean nothing, and differ between versions of NumPy, which is
    asked for them. A symbolic size is taken not to be 0.

    Args:
        shape: its sizes.
        itemsize: bytes per element.
        order: ``"C"`` (last axis densest) or ``"F"`` (first axis densest).

    >>> contiguous_strides((2, 3, 4), 8)
    (96, 32, 8)
    >>> contiguous_strides((2, 3, 4), 8, "F")
    (8, 16, 48)
    """
    strides = []
    step: Size = itemsize
    for size in shape if order == "F" else reversed(shape):
        if type(size) is int and size == 0:
            return _strides_of_empty(shape, itemsize, order)
        strides.append(step)
        step = step * size
    return tuple(strides) if order == "F" else tuple(strides[::-1])


def _strides_of_empty(shape: Sequence[Size], itemsize: int, order: str) -> tuple[int, ...]:
    sizes = [size if type(size) is int else 1 for size in shape]
    return np.empty(sizes, np.dtype(("V", itemsize)), "F" if order == "F" else "C").strides


def is_contiguous(
    shape: Sequence[Size], strides: Sequence[Size], itemsize: int, order: str = "C"
) -> bool:
    """Whether elements lie densely in memory in that order; strides of axes of size 1 are ignored.

    Symbolic sizes and strides are compared as expressions: the answer is yes only if it holds
    whatever the sizes are.

    >>> is_contiguous((3, 1, 2), (16, 999, 8), 8)
    True
    >>> is_contiguous((3, 2), (8, 24), 8), is_contiguous((3, 2), (8, 24), 8, "F")
    (False, True)
    """
    if any(type(size) is int and size == 0 for size in shape):
        return True
    step: Size = itemsize
    pairs = list(zip(shape, strides, strict=True))
    for size, stride in pairs if order == "F" else reversed(pairs):
        if type(size) is int and size == 1:
            continue
        if stride is not step and not known_equal(stride, step):
            return False
        step = step * size
    return True


class Flags:
    """What ``array.flags`` is in NumPy: memory layout in words, by attribute or by name.

    Only ``writeable`` can be set, and only to False, unless the array owns its memory.

    >>> from gpuops import FakeArray
    >>> flags = FakeArray((2, 3), order="F").flags
    >>> flags.f_contiguous, flags["C_CONTIGUOUS"], flags.owndata
    (True, False, True)
    """

    __slots__ = ("_array",)

    _SHORT: ClassVar[dict[str, str]] = {
        "C": "c_contiguous",
        "CONTIGUOUS": "c_contiguous",
        "F": "f_contiguous",
        "FORTRAN": "f_contiguous",
        "O": "owndata",
        "W": "writeable",
        "A": "aligned",
        "X": "writebackifcopy",
        "CA": "carray",
        "FA": "farray",
        "B": "behaved",
    }
    _ALL = ("c_contiguous", "f_contiguous", "owndata", "writeable", "aligned", "writebackifcopy")

    def __init__(self, array: Any) -> None:
        self._array = array

    def _contiguous(self, order: str) -> bool:
        array = self._array
        return is_contiguous(array.shape, array.strides, array.dtype.itemsize, order)

    @property
    def c_contiguous(self) -> bool:
        """Whether the last axis is the densest and nothing lies between elements."""
        return self._contiguous("C")

    @property
    def f_contiguous(self) -> bool:
        """Whether the first axis is the densest and nothing lies between elements."""
        return self._contiguous("F")

    contiguous = c_contiguous
    fortran = f_contiguous

    @property
    def owndata(self) -> bool:
        """Whether the array is no view."""
        return bool(self._array._bits & OWNDATA)

    @property
    def writeable(self) -> bool:
        """Whether operators may write to it."""
        return bool(self._array._bits & WRITEABLE)

    @writeable.setter
    def writeable(self, value: bool) -> None:
        if value and not self.writeable and not self.owndata:
            raise ValueError("cannot set WRITEABLE flag to True of this fake array: it is a view")
        bits = self._array._bits
        self._array._bits = bits | WRITEABLE if value else bits & ~WRITEABLE

    @property
    def aligned(self) -> bool:
        """Whether the hardware's alignment is kept."""
        return bool(self._array._bits & ALIGNED)

    @property
    def writebackifcopy(self) -> bool:
        """False: no fake is a copy that is written back."""
        return False

    @property
    def behaved(self) -> bool:
        """Aligned and writeable."""
        return self.aligned and self.writeable

    @property
    def carray(self) -> bool:
        """Behaved and C-contiguous."""
        return self.behaved and self.c_contiguous

    @property
    def farray(self) -> bool:
        """Behaved and Fortran-contiguous, and not C-contiguous."""
        return self.behaved and self.fnc

    @property
    def forc(self) -> bool:
        """Contiguous in one of the two orders."""
        return self.c_contiguous or self.f_contiguous

    @property
    def fnc(self) -> bool:
        """Fortran-contiguous and not C-contiguous."""
        return self.f_contiguous and not self.c_contiguous

    @property
    def num(self) -> int:
        """The flags as NumPy's number."""
        numbers = (0x1, 0x2, 0x4, 0x400, 0x100, 0x2000)
        return sum(n for name, n in zip(self._ALL, numbers, strict=True) if getattr(self, name))

    def _attribute(self, name: str) -> str:
        found = self._SHORT.get(name, name.lower())
        if name != name.upper() or found not in (*self._SHORT.values(), "forc", "fnc"):
            raise KeyError("Unknown flag")
        return found

    def __getitem__(self, name: str) -> bool:
        return bool(getattr(self, self._attribute(name)))

    def __setitem__(self, name: str, value: bool) -> None:
        setattr(self, self._attribute(name), value)

    def __iter__(self) -> Iterator[tuple[str, bool]]:
        return ((name.upper(), getattr(self, name)) for name in self._ALL)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flags) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return "\n".join(f"  {name} : {value}" for name, value in self)
