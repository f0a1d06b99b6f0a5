"""`SymInt`, an int that may be unknown, and `SymBool`, what comparing them gives."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import numpy as np

from gpuops.errors import ArgumentError, describe
from gpuops.symbols._sympy import sympy

if TYPE_CHECKING:
    from gpuops.symbols.env import ShapeEnv

__all__ = ["SymBool", "SymInt", "is_symbolic", "sym_max", "sym_min"]


def is_symbolic(value: object) -> bool:
    """Whether a size is a `SymInt`."""
    return type(value) is SymInt


def _binary(
    symbolic: Callable[[Any, Any], Any], number: Callable[[Any, Any], Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: SymInt, other: Any) -> Any:
        if isinstance(other, float):
            return number(float(self), other)
        expr = self._lift(other)
        return NotImplemented if expr is None else self.env.wrap(symbolic(self.expr, expr))

    def reflected(self: SymInt, other: Any) -> Any:
        if isinstance(other, float):
            return number(other, float(self))
        expr = self._lift(other)
        return NotImplemented if expr is None else self.env.wrap(symbolic(expr, self.expr))

    return forward, reflected


def _comparison(kind: str, swapped: bool = False) -> Callable[[SymInt, Any], Any]:
    def compare(self: SymInt, other: Any) -> Any:
        if isinstance(other, float):
            return _compare_float(self, other, kind, swapped)
        expr = self._lift(other)
        if expr is None:
            return NotImplemented
        left, right = (expr, self.expr) if swapped else (self.expr, expr)
        return self.env.compare(kind, left, right)

    return compare


def _compare_float(size: SymInt, other: float, kind: str, swapped: bool) -> Any:
    if kind in ("==", "!=") and not other.is_integer():
        return kind == "!="
    if math.isnan(other):
        return False
    if math.isinf(other):
        return (other > 0) != swapped
    # For an int n: n < 2.5 and n <= 2.5 are n <= 2; 2.5 < n and 2.5 <= n are 3 <= n.
    if not other.is_integer():
        bound = math.ceil(other) if swapped else math.floor(other)
        return size >= bound if swapped else size <= bound
    compare = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le}[kind]
    return compare(int(other), size) if swapped else compare(size, int(other))


@final
class SymInt:
    """An int that may be unknown: a size, a stride or an int argument, as an expression of symbols.

    Arithmetic (``+ - * // % **``, `sym_min`, `sym_max`) gives further ones, or an int where the
    symbols drop out. A comparison that the symbols' bounds decide gives a bool; any other gives a
    `SymBool`, on which a program cannot branch if the size is unknown. There is no constructor:
    sizes come from ``get_ctx().new_dynamic_size()`` and from symbolic tracing.

    >>> from gpuops.symbols import ShapeEnv
    >>> s = ShapeEnv().new_dynamic(low=2)
    >>> s * 2 + 1, (s * 4) // 2, s - s
    (2*u0 + 1, 2*u0, 0)
    >>> s > 1, s == 1, s * 2 > s
    (True, False, True)
    """

    __slots__ = ("env", "expr")

    # NumPy's scalars and arrays leave mixed expressions to this class.
    __array_ufunc__ = None

    env: ShapeEnv
    expr: Any

    def __new__(cls, *args: object, **kwargs: object) -> SymInt:
        raise ArgumentError(
            "SymInt has no constructor: sizes come from get_ctx().new_dynamic_size() and from "
            "symbolic tracing"
        )

    def _lift(self, other: Any) -> Any:
        """Another operand as an expression; None if it is no int."""
        if type(other) is SymInt:
            if other.env is not self.env:
                raise ArgumentError(
                    f"{self} and {other} come from different modes and cannot be put together"
                )
            return other.expr
        # Arrays have the method too, and are no sizes.
        index = getattr(type(other), "__index__", None)
        if isinstance(other, (int, np.integer)) or (index and not hasattr(other, "shape")):
            return sympy().Integer(operator.index(other))
        return None

    __add__, __radd__ = _binary(operator.add, operator.add)
    __sub__, __rsub__ = _binary(operator.sub, operator.sub)
    __mul__, __rmul__ = _binary(lambda a, b: sympy().expand(a * b), operator.mul)
    __floordiv__, __rfloordiv__ = _binary(
        lambda a, b: sympy().floor(a / _not_zero(b)), operator.floordiv
    )
    __mod__, __rmod__ = _binary(lambda a, b: sympy().Mod(a, _not_zero(b)), operator.mod)
    __eq__ = _comparison("==")
    __ne__ = _comparison("!=")
    __lt__ = _comparison("<")
    __le__ = _comparison("<=")
    __gt__ = _comparison("<", swapped=True)
    __ge__ = _comparison("<=", swapped=True)

    # Equal things have equal hashes, and which numbers a size equals is not known yet.
    __hash__ = None  # type: ignore[assignment]

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, float) or (isinstance(other, int) and other < 0):
            return float(self) ** other
        expr = self._lift(other)
        return NotImplemented if expr is None else self.env.wrap(sympy().expand(self.expr**expr))

    def __rpow__(self, other: Any) -> Any:
        expr = self._lift(other)
        return NotImplemented if expr is None else self.env.wrap(expr**self.expr)

    def __truediv__(self, other: Any) -> Any:
        return float(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / float(self)

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __lshift__(self, other: int) -> Any:
        return self * 2 ** operator.index(other)

    def __rshift__(self, other: int) -> Any:
        return self // 2 ** operator.index(other)

    def __and__(self, other: int) -> Any:
        """``n & (2**k - 1)`` and ``n & -2**k``, with which sizes are rounded to powers of two."""
        mask = operator.index(other)
        if mask >= 0 and mask & (mask + 1) == 0:
            return self % (mask + 1)
        if mask < 0 and -mask & (-mask - 1) == 0:
            return self // -mask * -mask
        return int(self) & mask

    __rand__ = __and__

    def __neg__(self) -> Any:
        return self.env.wrap(-self.expr)

    def __pos__(self) -> SymInt:
        return self

    def __abs__(self) -> Any:
        return sym_max(self, -self)

    def __round__(self, digits: int | None = None) -> SymInt:
        return self

    __trunc__ = __floor__ = __ceil__ = __pos__

    # -- where its value is needed -----------------------------------------------------------------

    def __index__(self) -> int:
        return self.env.value(self)

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.env.value(self))

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __str__(self) -> str:
        from gpuops.symbols.algebra import text  # with the first symbol, like SymPy

        return text(self.expr)

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __copy__(self) -> SymInt:
        return self

    def __deepcopy__(self, memo: object) -> SymInt:
        return self


def _not_zero(divisor: Any) -> Any:
    if divisor.is_zero:
        raise ZeroDivisionError("a size is divided by 0")
    return divisor


def make_symint(env: ShapeEnv, expr: Any) -> SymInt:
    """A `SymInt` of an expression."""
    made = object.__new__(SymInt)
    made.env = env
    made.expr = expr
    return made


@final
class SymBool:
    """A comparison of sizes that is not decided; ``bool(...)`` decides it, or says why it cannot.

    Attributes:
        env: whose symbols it compares.
        kind: ``"=="``, ``"!="``, ``"<"`` or ``"<="``.
        left: a SymPy expression.
        right: a SymPy expression.
    """

    __slots__ = ("env", "kind", "left", "right")

    def __init__(self, env: ShapeEnv, kind: str, left: Any, right: Any) -> None:
        self.env = env
        self.kind = kind
        self.left = left
        self.right = right

    def __bool__(self) -> bool:
        return self.env.decide(self)

    def __invert__(self) -> SymBool:
        if self.kind in ("==", "!="):
            other = "!=" if self.kind == "==" else "=="
            return SymBool(self.env, other, self.left, self.right)
        other = "<" if self.kind == "<=" else "<="
        return SymBool(self.env, other, self.right, self.left)

    def __str__(self) -> str:
        from gpuops.symbols.algebra import text

        return f"{text(self.left)} {self.kind} {text(self.right)}"

    def __repr__(self) -> str:
        return f"SymBool({self})"


def sym_max(a: Any, b: Any) -> Any:
    """The greater of two sizes; Python's `max` would have to know which it is.

    >>> sym_max(2, 3)
    3
    """
    return _extreme(a, b, "Max", max)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two sizes; Python's `min` would have to know which it is.

    >>> sym_min(2, 3)
    2
    """
    return _extreme(a, b, "Min", min)


def _extreme(a: Any, b: Any, name: str, number: Callable[[Any, Any], Any]) -> Any:
    size, other = (a, b) if type(a) is SymInt else (b, a)
    if type(size) is not SymInt:
        return number(a, b)
    expr = size._lift(other)
    if expr is None:
        raise ArgumentError(f"sym_{name.lower()} takes sizes, got {describe(other)}")
    decided = size.env.known(("<=", size.expr, expr))
    if decided is not None:
        return size if decided == (name == "Min") else other
    return size.env.wrap(getattr(sympy(), name)(size.expr, expr))
