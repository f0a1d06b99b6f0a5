"""Arrays as Python source: elements, layout and, where several share it, memory, bit for bit."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from gpuops.memory import byte_range

__all__ = ["array_lines", "bytes_of", "number", "saved_lines", "shared_memory"]

# More elements than these are not written one by one, and more bytes (compressed) not at all.
_ELEMENTS = 64
_BYTES = 6000


def number(value: Any) -> str:
    """A scalar as an expression in which only ``np`` has to be known.

    >>> print(number(float("nan")), number(-0.0), number(complex("nan+infj")))
    float("nan") -0.0 complex(float("nan"), float("inf"))
    """
    if isinstance(value, complex):
        return f"complex({number(value.real)}, {number(value.imag)})"  # keeps the sign of a zero
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value!r}")'
    return repr(value)


def array_lines(name: str, array: Any, memory: tuple[str, int] | None = None) -> list[str]:
    """Statements that make an array as it is: elements, dtype, strides, alignment, flags.

    Args:
        name: of the variable.
        array: a NumPy array.
        memory: the variable with the memory that it lies in, and at which byte.
    """
    if memory is not None:
        return [f"{name} = {_view(array, *memory)}", *_flags(name, array)]
    lines, elements = _elements(array)
    return [*lines, *_laid_out(name, array, elements)]


def saved_lines(name: str, array: Any) -> list[str]:
    """The same for an array whose elements are in ``data``."""
    return _laid_out(name, array, f'data["{name}"]')


def _laid_out(name: str, array: Any, elements: str) -> list[str]:
    if array.flags.c_contiguous and array.flags.aligned:
        return [f"{name} = {elements}", *_flags(name, array)]
    if array.flags.f_contiguous and array.flags.aligned:
        return [f"{name} = np.asfortranarray({elements})", *_flags(name, array)]
    low, high = byte_range(array)
    first = array.ctypes.data - low
    if not array.flags.aligned:
        first += low % 64
    room = f"np.zeros({high - low + 64}, np.uint8)"
    return [
        f"{name} = {_view(array, room, first)}",
        f"{name}[...] = {elements}",
        *_flags(name, array),
    ]


def _view(array: Any, room: str, first: int) -> str:
    return f"np.ndarray({array.shape}, {_dtype(array)}, {room}, {first}, {array.strides})"


def _flags(name: str, array: Any) -> list[str]:
    return [] if array.flags.writeable else [f"{name}.flags.writeable = False"]


def _dtype(array: Any) -> str:
    dtype = array.dtype
    return (
        f"np.{dtype.name}"
        if hasattr(np, dtype.name) and dtype.isnative
        else f"np.dtype({dtype.str!r})"
    )


def _elements(array: Any) -> tuple[list[str], str]:
    """An expression for a contiguous array of the elements, with the imports it needs."""
    dtype = _dtype(array)
    if array.dtype.hasobject:
        return [], f"...  # fill in an array of {array.shape} and {array.dtype}"
    if array.dtype.kind in "mM":
        lines, numbers = _elements(np.array(array).view(np.int64))
        return lines, f"{numbers}.view({dtype})"
    if not array.size:
        return [], f"np.zeros({array.shape}, {dtype})"
    literals = [f"np.array({_nested(array.tolist())}, {dtype})"] if array.size <= _ELEMENTS else []
    literals.append(f"np.full({array.shape}, {_nested(array.reshape(-1)[0].item())}, {dtype})")
    for text in literals:
        # A NaN may have other bits than the one that is written "nan".
        if eval(text, {"np": np}).tobytes() == array.tobytes():
            return [], text
    packed = base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
    if len(packed) <= _BYTES:
        text = f'zlib.decompress(base64.b64decode("{packed}"))'
        return (
            ["import base64", "import zlib"],
            f"np.frombuffer(bytearray({text}), {dtype}).reshape({array.shape})",
        )
    return [], _like(array, dtype)


def _like(array: Any, dtype: str) -> str:
    """Other elements of the kind, where there are too many to write down."""
    note = "  # other elements: save_data=True keeps those that failed"
    if array.dtype.kind in "fc":
        return f"np.random.default_rng(0).standard_normal({array.shape}).astype({dtype}){note}"
    high = int(array.max()) + 1
    low = int(array.min())
    return f"np.random.default_rng(0).integers({low}, {high}, {array.shape}).astype({dtype}){note}"


def _nested(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_nested, values))}]"
    if isinstance(values, float) and not np.isfinite(values):
        return {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}[repr(values)]
    return number(values)


def shared_memory(arrays: list[Any]) -> tuple[dict[int, tuple[str, int]], dict[str, Any]]:
    """Memory that several arrays lie in.

    Returns:
        For the id of each of these arrays, the name of the memory and the array's first byte; and
        the memory by name, as bytes. Bytes between the elements are 0.
    """
    places: dict[int, tuple[str, int]] = {}
    rooms: dict[str, Any] = {}
    left = {id(array): array for array in arrays if array.size}
    while left:
        chosen = [left.pop(next(iter(left)))]
        low, high = byte_range(chosen[0])
        while near := [a for a in left.values() if _meet(byte_range(a), (low, high))]:
            for array in near:
                chosen.append(left.pop(id(array)))
                low, high = min(low, byte_range(array)[0]), max(high, byte_range(array)[1])
        if len(chosen) > 1:
            name = f"memory_{len(rooms)}" if rooms else "memory"
            rooms[name] = _bytes(chosen, low, high)
            places |= {id(array): (name, array.ctypes.data - low) for array in chosen}
    return places, rooms


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _bytes(arrays: list[Any], low: int, high: int) -> Any:
    room = np.zeros(high - low, np.uint8)
    for array in arrays:
        view: Any = np.ndarray(
            array.shape, array.dtype, room, array.ctypes.data - low, array.strides
        )
        view[...] = array
    return room


def bytes_of(room: Any) -> str:
    """An expression for an array of bytes that can be written to."""
    return f"np.frombuffer(bytearray.fromhex({room.tobytes().hex()!r}), np.uint8)"
