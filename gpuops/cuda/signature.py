"""What a compiled kernel takes, and the check of a launch's arguments against it.

CuPy hands a kernel whatever bytes it is given: a double where the kernel reads a float, an int64
array where it reads floats, the pointer of a transposed view. Nothing fails, and the results are
garbage. The compiler knows better: the types come from the mangled signature
(`gpuops.cuda.mangling`), sizes and offsets from the cubin (`gpuops.cuda.cubin`). No GPU is needed,
and NumPy arrays are checked as CuPy arrays are.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import numpy as np

from gpuops.cuda.cubin import ParameterSlot
from gpuops.cuda.mangling import CType
from gpuops.errors import ArgumentError, describe

__all__ = [
    "NO_ENCODERS",
    "Encoders",
    "KernelParameter",
    "KernelSignature",
    "Pointer",
    "pointer",
    "signature_of",
]

Encoders = Mapping[str, Callable[[Any], Any]]
"""By the name of a dtype, what makes a launch argument of a Python number that fits it."""

NO_ENCODERS: Encoders = {}
"""Python numbers become NumPy scalars."""

_LONG = 4 if os.name == "nt" else 8  # CUDA's `long` is the host compiler's

# The dtypes of numbers by C++ type; of several, the first is what a Python number becomes.
_SCALARS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "char": ("int8", "uint8"),
    "signed char": ("int8",),
    "unsigned char": ("uint8",),
    "short": ("int16",),
    "unsigned short": ("uint16",),
    "int": ("int32",),
    "unsigned int": ("uint32",),
    "long": (f"int{8 * _LONG}",),
    "unsigned long": (f"uint{8 * _LONG}",),
    "long long": ("int64",),
    "unsigned long long": ("uint64",),
    "__half": ("float16",),
    "_Float16": ("float16",),
    "float": ("float32",),
    "double": ("float64",),
}
# What an array that a pointer points into may hold, for types without Python numbers.
_ELEMENTS: dict[str, tuple[str, ...]] = {
    "__half2": ("float16",),
    "__nv_bfloat16": ("bfloat16", "uint16"),
    "__nv_bfloat162": ("bfloat16", "uint16"),
    "__nv_fp8_e4m3": ("float8_e4m3fn", "uint8"),
    "__nv_fp8_e5m2": ("float8_e5m2", "uint8"),
    "float2": ("float32", "complex64"),
    "double2": ("float64", "complex128"),
}
_VECTOR = re.compile(r"(u?)(char|short|int|longlong|long|float|double)[1-4](?:_\d+a)?")
_COMPLEX = re.compile(r"(?:\w+::)*complex<(float|double)>")


class Pointer:
    """An array to pass as a bare pointer; see `pointer`."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __repr__(self) -> str:
        return f"pointer({describe(self.array)})"


def pointer(array: Any) -> Pointer:
    """Pass an array to a kernel as a bare pointer: its dtype, layout and device are not checked.

    A pointer carries no strides, so that a launch refuses arrays which are not C-contiguous, and
    arrays of another dtype than the kernel's parameter points to. This is for kernels that get the
    strides as arguments of their own, or look at the bytes in another way on purpose.

    Args:
        array: a CuPy array, in the simulator one of its arrays.

    >>> import numpy as np
    >>> pointer(np.zeros((2, 3)).T)
    pointer(numpy.ndarray float64[3, 2])
    """
    return Pointer(array)


@dataclass(frozen=True, slots=True)
class KernelParameter:
    """One parameter of a compiled kernel.

    Attributes:
        index: its position, from 0.
        name: in the source; empty where that cannot be told.
        type: as C++ spells it: ``"const float*"``; empty where the compiler did not tell.
        kind: ``"pointer"``; ``"scalar"``, a number; ``"value"``, a struct, vector or enum passed
            by value; ``"unknown"`` where only the size is known.
        dtypes: names of the dtypes of the number, or of what is pointed to; empty for any.
        const: whether the kernel may only read what the pointer points to.
        size: in bytes.
        offset: among the kernel's parameters, in bytes.
    """

    index: int
    name: str
    type: str
    kind: str
    dtypes: tuple[str, ...]
    const: bool
    size: int
    offset: int

    def __str__(self) -> str:
        return f"{self.type or f'{self.size} bytes'} {self.name}".rstrip()


@dataclass(frozen=True)
class KernelSignature:
    """What a compiled kernel takes.

    Attributes:
        kernel: its name, for messages.
        parameters: in order.
        declared_at: where the kernel was made, for messages; may be empty.

    >>> from gpuops.cuda import Kernel
    >>> fill = Kernel('extern "C" __global__ void fill(float* x, float s, long long n) {}', "fill")
    >>> print(fill.signature)
    fill(float* x, float s, long long n)
    """

    kernel: str
    parameters: tuple[KernelParameter, ...]
    declared_at: str = ""

    def __str__(self) -> str:
        return f"{self.kernel}({', '.join(map(str, self.parameters))})"

    def check_arguments(
        self, args: Sequence[Any], array_type: type | None = None, encoders: Encoders = NO_ENCODERS
    ) -> tuple[Any, ...]:
        """The arguments as a launch needs them.

        This is the careful way, some microseconds; `gpuops.cuda.checker` makes a function that
        answers the same and takes a tenth where all is in order.

        Args:
            args: of the launch.
            array_type: what arrays have to be instances of; None for any library's.
            encoders: what to make of Python numbers; without, NumPy scalars of the parameter's
                type.

        Returns:
            A tuple: arrays as they are (of `pointer` the array); None for a null pointer; numbers
            as NumPy scalars of the parameter's type; structs as NumPy arrays of one element.

        Raises:
            ArgumentError: `args` is no tuple or list; their number is wrong; a pointer is given
                for a number or the reverse; a number does not fit; an array has another dtype, or
                is not C-contiguous. It names the kernel and the parameter.
        """
        if not isinstance(args, tuple | list):
            raise ArgumentError(
                f"Kernel {self.kernel!r}: args must be a tuple or a list, got {_describe(args)}"
                f"{self._place()}"
            )
        if len(args) != len(self.parameters):
            raise ArgumentError(
                f"Kernel {self.kernel!r} takes {len(self.parameters)} arguments, got {len(args)}: "
                f"{self}{self._place()}"
            )
        checked = zip(self.parameters, args, strict=True)
        return tuple(
            self._check(parameter, arg, array_type, encoders) for parameter, arg in checked
        )

    def check_host_arrays(self, args: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments of `gpuops.cuda.simulate`: arrays compared with what pointers point to.

        Less is refused than for a launch, since the arrays are written down for this one call:
        views pass, and so does another dtype that may be meant. See `_may_stand_for`.

        Args:
            args: as many as there are parameters.

        Returns:
            The same, of `pointer` the array.

        Raises:
            ArgumentError: an array holds something else than the kernel's parameter points to.
        """
        found = []
        for parameter, arg in zip(self.parameters, args, strict=True):
            if isinstance(arg, Pointer):
                wanted = parameter.kind in ("pointer", "unknown")
                if not (wanted and isinstance(arg.array, np.ndarray)):
                    self._refuse(parameter, _expected(parameter), arg)
                arg = arg.array
            elif isinstance(arg, np.ndarray) and not _may_be_meant(parameter, arg):
                self._refuse(parameter, _expected(parameter) + _REINTERPRET, arg)
            found.append(arg)
        return tuple(found)

    def _check(
        self, parameter: KernelParameter, arg: Any, array_type: type | None, encoders: Encoders
    ) -> Any:
        if isinstance(arg, Pointer):
            if parameter.kind == "pointer" or (parameter.kind == "unknown" and parameter.size == 8):
                self._check_type(parameter, arg.array, array_type)
                return arg.array
            self._refuse(parameter, _expected(parameter), arg)
        if parameter.kind == "pointer":
            return self._check_pointer(parameter, arg, array_type)
        if parameter.kind == "scalar":
            return self._check_scalar(parameter, arg, encoders)
        if parameter.kind == "unknown" and parameter.size == 8 and (_is_array(arg) or arg is None):
            return self._check_pointer(parameter, arg, array_type)
        return self._check_value(parameter, arg)

    def _check_pointer(self, parameter: KernelParameter, arg: Any, array_type: type | None) -> Any:
        if arg is None or type(arg).__name__ == "MemoryPointer":
            return arg
        self._check_type(parameter, arg, array_type)
        if parameter.dtypes and not (arg.dtype.name in parameter.dtypes and arg.dtype.isnative):
            self._refuse(parameter, _expected(parameter) + _REINTERPRET, arg)
        if not arg.flags.c_contiguous:
            self._refuse(
                parameter,
                "a C-contiguous array, as a pointer carries no strides; pass a contiguous copy, or "
                "cuda.pointer(array) if the kernel knows the strides",
                arg,
                f", with strides {arg.strides}",
            )
        return arg

    def _check_type(self, parameter: KernelParameter, arg: Any, array_type: type | None) -> None:
        if array_type is None:
            if not _is_array(arg):
                self._refuse(parameter, _expected(parameter), arg)
        elif not isinstance(arg, array_type):
            wanted = f"a {array_type.__module__.partition('.')[0]}.{array_type.__name__}"
            self._refuse(parameter, _expected(parameter, wanted), arg)

    def _check_scalar(self, parameter: KernelParameter, arg: Any, encoders: Encoders) -> Any:
        first = parameter.dtypes[0]
        if isinstance(arg, np.generic):
            if arg.dtype.name in parameter.dtypes:
                return arg
            what = f"{_expected(parameter)}, not a NumPy scalar of another type"
            self._refuse(parameter, what, arg)
        if _fits(arg, first):
            return encoders.get(first, np.dtype(first).type)(arg)
        if first == "uint64" and type(arg).__module__ == "cupy.cuda.texture":
            return arg
        self._refuse(parameter, _expected(parameter), arg)

    def _check_value(self, parameter: KernelParameter, arg: Any) -> Any:
        if (
            isinstance(arg, np.ndarray | np.generic)
            and arg.size == 1
            and arg.dtype.itemsize == parameter.size
            and not arg.dtype.hasobject
        ):
            return np.ascontiguousarray(arg)
        self._refuse(parameter, _expected(parameter), arg)

    def _refuse(
        self, parameter: KernelParameter, expected: str, arg: Any, more: str = ""
    ) -> NoReturn:
        raise ArgumentError(
            f"Kernel {self.kernel!r}: argument {parameter.index} ({parameter}) must be {expected}; "
            f"got {_describe(arg)}{more}{self._place()}"
        )

    def _place(self) -> str:
        return f". The kernel was made at {self.declared_at}" if self.declared_at else ""


_REINTERPRET = ", or pass cuda.pointer(array) to reinterpret its bytes on purpose"


# Those whose bits somebody may hold as integers: NumPy has none of the shorter types.
_BITS = frozenset("biumM")
_PARTS = {"complex64": "float32", "complex128": "float64"}


def _may_be_meant(parameter: KernelParameter, array: Any) -> bool:
    """Whether an array holds something that a pointer to `parameter.dtypes` may be meant to see."""
    if parameter.kind != "pointer" or not parameter.dtypes:
        return True
    return any(_may_stand_for(array.dtype, dtype) for dtype in parameter.dtypes)


def _may_stand_for(dtype: np.dtype[Any], expected: str) -> bool:
    """Whether an array of a dtype may be meant where a kernel points to another one.

    It may if it is raw memory (bytes, structures), if both hold integers of one size (flags, dates
    and the bits of numbers in half precision are such), and if one holds the complex numbers whose
    parts the other holds.

    >>> [_may_stand_for(np.dtype(d), "float32") for d in ("f4", "c8", "u1", "f8", "i4", ">f4")]
    [True, True, True, False, False, False]
    """
    if not dtype.isnative:
        return False
    if dtype.name == expected or dtype.kind in "VS" or dtype == np.uint8:
        return True
    if dtype.kind in _BITS:
        size = 2 if expected in ("float16", "bfloat16") else _integer_size(expected)
        return dtype.itemsize == size
    return _PARTS.get(dtype.name, dtype.name) == _PARTS.get(expected, expected)


def _integer_size(expected: str) -> int | None:
    """Bytes of an integer dtype; None for another."""
    try:
        wanted = np.dtype(expected)
    except TypeError:  # of a library that is not loaded
        return None
    return wanted.itemsize if wanted.kind in _BITS else None


def _describe(arg: Any) -> str:
    return f"numpy.{arg.dtype.name} {arg}" if isinstance(arg, np.generic) else describe(arg)


def _expected(parameter: KernelParameter, array: str = "an array") -> str:
    if parameter.kind == "pointer":
        return f"{array} of {' or '.join(parameter.dtypes) or 'any dtype'}"
    if parameter.kind == "scalar":
        kind, least, largest = _range(parameter.dtypes[0])
        names = " or ".join(f"numpy.{name}" for name in parameter.dtypes)
        if kind == "b":
            return f"a bool or a {names}"
        if kind in "iu":
            return f"an int from {least} to {largest} or a {names}"
        return f"a float in the range of {parameter.dtypes[0]} or a {names}"
    what = f"a NumPy scalar or array of one element and {parameter.size} bytes"
    return f"{array} or {what}" if parameter.kind == "unknown" and parameter.size == 8 else what


def _is_array(arg: Any) -> bool:
    """Whether it is an array of any library, and no NumPy scalar."""
    if isinstance(arg, np.generic):
        return False
    return all(hasattr(type(arg), name) for name in ("dtype", "flags", "shape", "strides"))


@cache
def _range(dtype: str) -> tuple[str, Any, Any]:
    """Kind, least and largest finite number of a dtype."""
    found = np.dtype(dtype)
    if found.kind == "b":
        return "b", False, True
    limits = np.iinfo(found) if found.kind in "iu" else np.finfo(found)
    convert = int if found.kind in "iu" else float
    return found.kind, convert(limits.min), convert(limits.max)


def _fits(arg: Any, dtype: str) -> bool:
    """Whether a Python number has a value of the dtype, rounding of floats aside."""
    kind, least, largest = _range(dtype)
    if kind == "b":
        return isinstance(arg, bool)
    if kind in "iu":
        return isinstance(arg, int) and least <= arg <= largest
    if isinstance(arg, bool) or not isinstance(arg, float | int):
        return False
    try:
        value = float(arg)
    except OverflowError:
        return False
    # A finite number that would become infinite is refused; infinity and nan are passed on.
    return not math.isfinite(value) or least <= value <= largest


# -- from the compiler's findings ------------------------------------------------------------------


def signature_of(
    kernel: str,
    types: Sequence[CType] | None,
    slots: Sequence[ParameterSlot],
    names: Sequence[str] = (),
    declared_at: str = "",
) -> KernelSignature:
    """Put together what is known of a kernel's parameters.

    Args:
        kernel: its name.
        types: of the parameters; None if the compiler did not tell.
        slots: offsets and sizes from the cubin, one per parameter.
        names: from the source, as many as there are parameters, or none.
        declared_at: where the kernel was made.
    """
    if types is not None and len(types) != len(slots):
        types = None
    if len(names) != len(slots):
        names = ("",) * len(slots)
    parameters = []
    for index, (slot, name) in enumerate(zip(slots, names, strict=True)):
        type_ = None if types is None else types[index]
        kind, dtypes, const = _classify(type_)
        text = "" if type_ is None else str(type_)
        parameters.append(
            KernelParameter(index, name, text, kind, dtypes, const, slot.size, slot.offset)
        )
    return KernelSignature(kernel, tuple(parameters), declared_at)


def _classify(type_: CType | None) -> tuple[str, tuple[str, ...], bool]:
    """Kind, dtypes and constness of a parameter's type."""
    if type_ is None:
        return "unknown", (), False
    if type_.pointee is not None:
        pointee = type_.pointee
        dtypes = ("uint64", "int64") if pointee.pointee else _elements(pointee.name)
        return "pointer", dtypes, pointee.const
    dtypes = _SCALARS.get(type_.name, ())
    return ("scalar" if dtypes else "value"), dtypes, False


def _elements(name: str) -> tuple[str, ...]:
    """What an array of a C++ type holds; empty for anything (void, structs)."""
    found = _SCALARS.get(name) or _ELEMENTS.get(name)
    if found:
        return found
    if complex_ := _COMPLEX.fullmatch(name):
        return ("complex64",) if complex_[1] == "float" else ("complex128",)
    if vector := _VECTOR.fullmatch(name):
        unsigned, base = vector.groups()
        if base == "char":  # `char4` has signed ones
            return ("uint8",) if unsigned else ("int8",)
        base = base.replace("longlong", "long long")
        return _SCALARS[f"unsigned {base}" if unsigned else base]
    return ()
