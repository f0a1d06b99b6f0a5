"""Numbers that are unknown until kernels run, and are no ints: `SymFloat`, `SymComplex`, `SymFlag`.

An int is a size or counts something, and programs compute with it: that is a `SymInt`, with an
algebra behind it. Any other number that an operator returns is only handed on, to operators.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, final

from gpuops.errors import ArgumentError

if TYPE_CHECKING:
    from gpuops.errors import Location
    from gpuops.symbols.env import ShapeEnv

__all__ = ["SYM_NUMBERS", "SymComplex", "SymFlag", "SymFloat", "SymNumber", "is_sym_number"]


class SymNumber:
    """A number that an operator returns, without its value.

    It can be an argument of operators, and be returned. Whatever needs its value (arithmetic, a
    comparison, a branch) raises `UnknownSizeError`. There is no constructor: they come from
    ``get_ctx().new_dynamic_number()`` in fake kernels.

    Attributes:
        env: the `ShapeEnv` that it belongs to.
        name: for messages.
        origin: where it comes from, in words.
        location: the line that made it.
    """

    __slots__ = ("env", "location", "name", "origin")

    # NumPy's scalars and arrays leave mixed expressions to this class.
    __array_ufunc__ = None

    type: ClassVar[type]
    env: ShapeEnv
    name: str
    origin: str
    location: Location

    def __new__(cls, *args: object, **kwargs: object) -> SymNumber:
        raise ArgumentError(
            f"{cls.__name__} has no constructor: such numbers come from "
            "get_ctx().new_dynamic_number() in fake kernels"
        )

    @property
    def kind(self) -> str:
        """What it is: ``"float"``, ``"complex"`` or ``"bool"``."""
        return self.type.__name__

    def describe(self) -> str:
        """The number and its origin, for messages."""
        return f"{self.name} (a {self.kind}; {self.origin})"

    def known(self) -> Any:
        """Its value.

        Raises:
            UnknownSizeError: nobody knows it.
        """
        return self.env.number_value(self)

    def __float__(self) -> float:
        return float(self.known())

    def __complex__(self) -> complex:
        return complex(self.known())

    def __int__(self) -> int:
        return int(self.known())

    def __bool__(self) -> bool:
        return bool(self.known())

    # Which numbers it equals is not known yet.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self.name

    def __copy__(self) -> SymNumber:
        return self

    def __deepcopy__(self, memo: object) -> SymNumber:
        return self


def _with_value(function: Callable[..., Any], *, swapped: bool = False) -> Callable[..., Any]:
    def compute(self: SymNumber, *others: Any) -> Any:
        values = (self.known(), *others)
        return function(*(reversed(values) if swapped else values))

    return compute


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
for _name in (*_BINARY, "eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs"):
    setattr(SymNumber, f"__{_name}__", _with_value(getattr(operator, _name)))
for _name in _BINARY:
    setattr(SymNumber, f"__r{_name}__", _with_value(getattr(operator, _name), swapped=True))
SymNumber.__hash__ = None  # type: ignore[assignment]


@final
class SymFloat(SymNumber):
    """A float."""

    __slots__ = ()
    type = float


@final
class SymComplex(SymNumber):
    """A complex number."""

    __slots__ = ()
    type = complex


@final
class SymFlag(SymNumber):
    """A bool."""

    __slots__ = ()
    type = bool


SYM_NUMBERS: dict[str, type[SymNumber]] = {
    "float": SymFloat,
    "complex": SymComplex,
    "bool": SymFlag,
}
"""The classes by what they are."""


def is_sym_number(value: object) -> bool:
    """Whether a value is a `SymNumber`."""
    return isinstance(value, SymNumber)


def make_number(env: ShapeEnv, kind: str, name: str, origin: str, location: Location) -> SymNumber:
    """A `SymNumber` of a kind; see `ShapeEnv.new_scalar`."""
    made: SymNumber = object.__new__(SYM_NUMBERS[kind])
    made.env, made.name, made.origin, made.location = env, name, origin, location
    return made
