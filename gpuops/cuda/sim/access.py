"""What a memory instruction does, as far as the text of the program says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ATOMIC", "READ", "WRITE", "Access"]

READ, WRITE, ATOMIC = 0, 1, 2


@dataclass(slots=True, eq=False)
class Access:
    """A memory instruction.

    Attributes:
        pc: index of the instruction.
        kind: `READ`, `WRITE` or `ATOMIC`.
        dtype: NumPy scalar type of an element.
        size: bytes of an element.
        count: elements (2 or 4 for vectors).
        space: ``"global"``, ``"shared"``, ``"local"`` or ``"generic"``.
        offset: bytes to add to the address register.
        checked: whether it takes part in the search for races; volatile accesses do not.
        used: for each element whether the program reads the register it goes to.
        needed: for each element a mask of its bytes on which a result depends.
        copies: for each element the number of the register that it goes to or comes from, if that
            register only carries bytes from one place of shared or local memory to another, or -1;
            empty if no element's does.
        bytes: of all elements.
        shift: its binary logarithm.
    """

    pc: int
    kind: int
    dtype: Any
    size: int
    count: int
    space: str
    offset: int
    checked: bool = True
    used: tuple[bool, ...] = (True,)
    needed: tuple[int, ...] = (0,)
    copies: tuple[int, ...] = ()
    bytes: int = field(init=False)
    shift: int = field(init=False)

    @property
    def words(self) -> str:
        """As in messages: ``"read of 16 bytes"``."""
        name = ("read", "write", "atomic operation")[self.kind]
        return f"{name} of {self.bytes} byte{'s' if self.bytes > 1 else ''}"

    def __post_init__(self) -> None:
        self.bytes = self.size * self.count
        self.shift = self.bytes.bit_length() - 1
