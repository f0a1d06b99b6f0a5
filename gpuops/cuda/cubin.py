"""What a cubin says of its kernels: registers, stack, shared memory, parameters, limits.

A cubin is an ELF file whose machine is CUDA. Its layout is not documented; what is read here was
compared with what ptxas prints, for sm_75 to sm_120 (``tests/cuda/test_cubin.py``): each kernel
``k`` has the sections ``.text.k`` and ``.nv.info.k`` (attributes in a tag-length-value form), and
``.nv.shared.k`` where it has static shared memory; ``.nv.info`` has attributes by symbol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gpuops.errors import GpuopsError

__all__ = ["CubinError", "ParameterSlot", "Resources", "read_cubin"]

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_MACHINE_CUDA = 190

# Attributes, of those in .nv.info and .nv.info.<kernel>.
_MAX_THREADS = 0x05  # __launch_bounds__: three u32, the block along x, y and z
_REQUIRED_THREADS = 0x10  # __block_size__
_FRAME_SIZE = 0x11  # symbol, bytes
_MIN_STACK_SIZE = 0x12  # symbol, bytes
_PARAMETER = 0x17  # u32, u16 ordinal, u16 offset, u32 whose upper 14 bits are the size
_REGISTERS = 0x2F  # symbol, count
_LARGE_PARAMETER = 0x45  # parameters beyond 4 KiB: u32, u16 ordinal, u16 offset, u16 size, u16

# From sm_90 on the section counts the shared memory that the system reserves in each block too.
_RESERVED_SHARED = 1024


class CubinError(GpuopsError, ValueError):
    """The bytes are no cubin, or one whose layout this version does not know."""


class ParameterSlot(NamedTuple):
    """Where a kernel's parameter lies among its parameters, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What one kernel needs on one architecture.

    Attributes:
        registers: per thread.
        stack: bytes of local memory per thread, for arrays, spilled registers and calls.
        static_shared: bytes of shared memory per block, without dynamic and reserved memory.
        constant: bytes of constants of its own (bank 2 and above; not its parameters).
        parameters: offset and size of each.
        max_threads: per block, from ``__launch_bounds__``; None without.
    """

    registers: int
    stack: int
    static_shared: int
    constant: int
    parameters: tuple[ParameterSlot, ...]
    max_threads: int | None


class _Section(NamedTuple):
    name: str
    kind: int
    offset: int
    size: int
    info: int


def read_cubin(code: bytes) -> dict[str, Resources]:
    """The resources of every kernel of a cubin, by symbol.

    Raises:
        CubinError: this is no cubin, or it is cut off.
    """
    try:
        return _Elf(code).kernels()
    except (struct.error, LookupError, OverflowError, ValueError) as error:
        if isinstance(error, CubinError):
            raise
        raise CubinError(f"this is no whole cubin: {error}") from error


class _Elf:
    def __init__(self, code: bytes) -> None:
        if code[:4] != b"\x7fELF" or code[4:6] != b"\x02\x01":
            raise CubinError(f"this is no cubin: expected a 64-bit ELF file, got {code[:6]!r}")
        self.code = code
        header = _ELF_HEADER.unpack_from(code)
        machine, start, count, names = header[2], header[6], header[12], header[13]
        if machine != _MACHINE_CUDA:
            raise CubinError(f"this is no cubin: its machine is {machine}, not {_MACHINE_CUDA}")
        raw = [
            _SECTION_HEADER.unpack_from(code, start + i * _SECTION_HEADER.size)
            for i in range(count)
        ]
        text = raw[names][4]
        self.sections = [_Section(self.string(text + r[0]), r[1], r[4], r[5], r[7]) for r in raw]
        self.by_name = {section.name: section for section in self.sections}
        self.strings = self.by_name[".strtab"].offset if ".strtab" in self.by_name else 0

    def string(self, offset: int) -> str:
        return self.code[offset : self.code.index(b"\0", offset)].decode()

    def kernels(self) -> dict[str, Resources]:
        shared = {
            section.name.removeprefix(".nv.info.")
            for section in self.sections
            if section.name.startswith(".nv.info.")
        }
        by_symbol = self.symbol_attributes()
        return {name: self.resources(name, by_symbol) for name in sorted(shared)}

    def resources(self, kernel: str, by_symbol: dict[tuple[str, int], int]) -> Resources:
        section = self.by_name[f".nv.info.{kernel}"]
        slots: dict[int, ParameterSlot] = {}
        threads = None
        for tag, payload in self.attributes(section):
            if tag == _PARAMETER:
                ordinal, offset, bits = struct.unpack_from("<4xHHI", payload)
                slots[ordinal] = ParameterSlot(offset, bits >> 18)
            elif tag == _LARGE_PARAMETER:
                ordinal, offset, size = struct.unpack_from("<4xHHH", payload)
                slots[ordinal] = ParameterSlot(offset, size)
            elif tag in (_MAX_THREADS, _REQUIRED_THREADS):
                x, y, z = struct.unpack_from("<III", payload)
                threads = x * y * z
        text = self.by_name[f".text.{kernel}"]
        # Before sm_100 the count is in the upper byte of the section's `info` too.
        registers = by_symbol.get((kernel, _REGISTERS), text.info >> 24)
        stack = by_symbol.get((kernel, _MIN_STACK_SIZE), by_symbol.get((kernel, _FRAME_SIZE), 0))
        ordered = tuple(slots[i] for i in range(len(slots)))
        return Resources(
            registers, stack, self.shared(kernel), self.constant(kernel), ordered, threads
        )

    def shared(self, kernel: str) -> int:
        section = self.by_name.get(f".nv.shared.{kernel}")
        if section is None:
            return 0
        reserved = _RESERVED_SHARED if ".nv.shared.reserved.0" in self.by_name else 0
        return max(section.size - reserved, 0)

    def constant(self, kernel: str) -> int:
        """Bank 0 holds the parameters and what the driver adds to them."""
        return sum(
            section.size
            for section in self.sections
            if section.name.startswith(".nv.constant")
            and section.name.endswith(f".{kernel}")
            and not section.name.startswith(".nv.constant0.")
        )

    def symbol_attributes(self) -> dict[tuple[str, int], int]:
        """(symbol, tag) -> number, of the attributes that name a symbol."""
        found: dict[tuple[str, int], int] = {}
        section, table = self.by_name.get(".nv.info"), self.by_name.get(".symtab")
        if section is None or table is None:
            return found
        for tag, payload in self.attributes(section):
            if tag in (_REGISTERS, _FRAME_SIZE, _MIN_STACK_SIZE):
                symbol, value = struct.unpack_from("<II", payload)
                name = _SYMBOL.unpack_from(self.code, table.offset + symbol * _SYMBOL.size)[0]
                found[self.string(self.strings + name), tag] = value
        return found

    def attributes(self, section: _Section) -> Iterator[tuple[int, bytes]]:
        """Tags and payloads. Of the forms, 4 has a length; the others have a value of 2 bytes."""
        at, end = section.offset, section.offset + section.size
        while at < end:
            form, tag, value = struct.unpack_from("<BBH", self.code, at)
            at += 4
            if form == 4:
                if at + value > end:
                    raise CubinError(f"this is no whole cubin: {section.name} is cut off")
                yield tag, self.code[at : at + value]
                at += value
            else:
                yield tag, struct.pack("<H", value)
