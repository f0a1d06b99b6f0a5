"""The types of a schema: what a parameter can be declared as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BASE_TYPES", "NUMBERS", "ORDERS", "Alias", "Type"]

BASE_TYPES: Final = (
    "Array",
    "SymInt",
    "int",
    "float",
    "bool",
    "complex",
    "str",
    "Scalar",
    "dtype",
    "device",
    "order",
)
"""The types that schema strings know besides the registered opaque classes.

``int`` and ``SymInt`` mean the same: a size may be symbolic in both. ``order`` is a memory order
as NumPy spells it: one of `ORDERS`.
"""

ORDERS: Final = ("C", "F", "A", "K")

NUMBERS: Final = frozenset({"int", "SymInt", "float", "bool", "complex", "Scalar"})
"""The base types that a NumPy scalar or a 0-d array is converted for."""


@dataclass(frozen=True, slots=True)
class Type:
    """A schema type: a base type, optionally in a list, each level optionally None.

    Attributes:
        base: one of `BASE_TYPES`, or the name of a registered opaque class.
        item_optional: the list's items may be None (``Array?[]``).
        is_list: a list of `base` (``Array[]``).
        size: the exact length of the list (``int[2]``), or None for any.
        optional: None is allowed in place of the whole value (``Array?``, ``Array[]?``).

    >>> str(Type("Array", item_optional=True, is_list=True, optional=True))
    'Array?[]?'
    """

    base: str
    item_optional: bool = False
    is_list: bool = False
    size: int | None = None
    optional: bool = False

    @property
    def is_array(self) -> bool:
        """Whether values of the type hold arrays."""
        return self.base == "Array"

    @property
    def is_plain_array(self) -> bool:
        """Whether the type is exactly ``Array``."""
        return self.base == "Array" and not (self.is_list or self.optional)

    @property
    def is_int(self) -> bool:
        """Whether the base is ``int`` or ``SymInt``."""
        return self.base in ("int", "SymInt")

    @property
    def is_number(self) -> bool:
        """Whether the base is a number; one stands for a list of known length (``int[2]``)."""
        return self.base in NUMBERS

    @property
    def is_opaque(self) -> bool:
        """Whether the base is a registered opaque class."""
        return self.base not in BASE_TYPES

    @property
    def item(self) -> Type:
        """The type of one item of a list type."""
        return Type(self.base, optional=self.item_optional)

    def render(self, alias: Alias | None = None) -> str:
        """The type as schema strings spell it, with the alias annotation behind the base."""
        text = self.base + ("" if alias is None else str(alias))
        if self.item_optional:
            text += "?"
        if self.is_list:
            text += "[]" if self.size is None else f"[{self.size}]"
        if self.optional:
            text += "?"
        return text

    def __str__(self) -> str:
        return self.render()


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias annotation: the sets an array belongs to, and whether it is written.

    >>> str(Alias(("a",), is_write=True))
    '(a!)'
    """

    sets: tuple[str, ...]
    is_write: bool = False

    def __str__(self) -> str:
        return f"({'|'.join(self.sets)}{'!' if self.is_write else ''})"
