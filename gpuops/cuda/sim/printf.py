"""Device ``printf``: C's format strings over the buffer that a kernel fills with the arguments."""

from __future__ import annotations

import re
import struct

import numpy as np

from gpuops.cuda.sim.frame import Lanes
from gpuops.cuda.sim.memory import Memory
from gpuops.cuda.sim.regions import LOCAL, WINDOW

__all__ = ["Reader", "render", "string"]

_SPEC = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?(hh|h|ll|l|j|z|t|L)?([diouxXeEfFgGaAcsp%])")
_LONG = frozenset(("l", "ll", "j", "z", "t"))


class Reader:
    """The arguments of one thread's call, each aligned to its size.

    Args:
        memory: of the wave.
        lanes: the threads that print.
        position: of the thread among them.
        address: of its buffer, generic or local.

    Attributes:
        count: arguments read.
    """

    def __init__(self, memory: Memory, lanes: Lanes, position: int, address: int) -> None:
        self.memory, self.count = memory, 0
        offset = address - LOCAL if address >= LOCAL else address
        share = int(lanes.index[position]) * memory.local.stride
        self._at, self._start = offset, share

    def take(self, kind: str) -> int | float:
        """The next argument: ``"i"``, ``"q"`` (integers of 4 and 8 bytes) or ``"d"``."""
        size = struct.calcsize(kind)
        self._at = -(-self._at // size) * size
        start = self._start + self._at
        raw = self.memory.local.data[start : start + size].tobytes()
        self._at += size
        self.count += 1
        value: int | float = struct.unpack(f"<{kind}", raw)[0]
        return value

    def text(self) -> str:
        """The next argument, a string."""
        return string(self.memory, int(self.take("q")))


def string(memory: Memory, address: int) -> str:
    """The text at an address of global memory, up to its zero byte."""
    window = memory.windows.get(address >> WINDOW)
    if window is None:
        return f"<no string at {address:#x}>"
    rest = window.data[address - window.origin : window.end]
    ends = np.flatnonzero(rest == 0)
    stop = int(ends[0]) if len(ends) else len(rest)
    return bytes(rest[:stop]).decode("utf-8", "replace")


def render(text: str, arguments: Reader) -> str:
    """Fill a format's conversions with arguments."""

    def convert(match: re.Match[str]) -> str:
        flags, width, precision, length, kind = match.groups()
        if kind == "%":
            return "%"
        if width == "*":
            width = str(int(arguments.take("i")))
        if precision == "*":
            precision = str(int(arguments.take("i")))
        spec = f"%{flags}{width or ''}" + ("" if precision is None else f".{precision}")
        if kind == "s":
            return (spec + "s") % arguments.text()
        if kind == "c":
            return (spec + "c") % (int(arguments.take("i")) & 0xFF)
        if kind == "p":
            return f"{int(arguments.take('q')) & (1 << 64) - 1:#x}".rjust(int(width or 0))
        if kind in "aA":
            return float(arguments.take("d")).hex()
        if kind in "eEfFgG":
            return (spec + kind) % arguments.take("d")
        return _integer(spec, kind, length or "", arguments)

    return _SPEC.sub(convert, text)


def _integer(spec: str, kind: str, length: str, arguments: Reader) -> str:
    long = length in _LONG
    value = int(arguments.take("q" if long else "i"))
    bits = {"hh": 8, "h": 16}.get(length, 64 if long else 32)
    value &= (1 << bits) - 1
    if kind in "di":
        if value >> (bits - 1):
            value -= 1 << bits
        kind = "d"
    elif kind == "u":
        kind = "d"
    return (spec + kind) % value
