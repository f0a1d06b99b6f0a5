"""`ShapeEnv`: symbols with their bounds and origins, and the conditions recorded on them."""

from __future__ import annotations

import linecache
import math
from dataclasses import dataclass
from itertools import count
from typing import Any

from gpuops.errors import Location, ShapeError, UnknownSizeError, caller_location
from gpuops.symbols._sympy import sympy
from gpuops.symbols.algebra import Bounds, bounds, evaluate, text
from gpuops.symbols.symint import SymBool, SymInt, make_symint
from gpuops.symbols.symnumber import SymNumber, make_number

__all__ = ["Condition", "ShapeEnv", "Symbol"]

Comparison = tuple[str, Any, Any]
"""``(kind, left, right)`` with the kinds of a `SymBool`."""


@dataclass(slots=True)
class Symbol:
    """A symbol of a `ShapeEnv`.

    Attributes:
        name: ``"u0"``, ``"u1"``, ... for sizes that are unknown, ``"s0"``, ... for sizes of inputs.
        expr: the SymPy symbol.
        origin: where the size comes from, in words.
        low: the least value it can have.
        high: the greatest, possibly infinite.
        hint: the size of the input that was traced with; None if it is unknown.
        location: the line that made it.
        declared_low: the least value that its author allowed; `low` may be greater by now.
        declared_high: the greatest.
    """

    name: str
    expr: Any
    origin: str
    low: Any
    high: Any
    hint: int | None
    location: Location
    declared_low: Any
    declared_high: Any

    def describe(self) -> str:
        """The symbol, its bounds and its origin, for messages."""
        bounds = [f"at least {self.low}"] if self.low != -math.inf else []
        bounds += [f"at most {self.high}"] if self.high != math.inf else []
        return f"{self.name} ({' and '.join(bounds) or 'any int'}; {self.origin})"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that has to hold for what was computed with symbols to be right.

    Attributes:
        comparison: kind, left and right.
        location: the line that needed it.
        message: what the author says of it, or ``""``.
    """

    comparison: Comparison
    location: Location
    message: str = ""

    @property
    def symbols(self) -> set[Any]:
        """The symbols that it compares."""
        _, left, right = self.comparison
        return set(left.free_symbols | right.free_symbols)

    def __str__(self) -> str:
        kind, left, right = self.comparison
        return f"{text(left)} {kind} {text(right)}"


class ShapeEnv:
    """The symbols of one `FakeMode` or one tracing, and what is known of them.

    >>> env = ShapeEnv()
    >>> s, t = env.new_dynamic(), env.new_dynamic(high=8)
    >>> env.require(s == t, "rows differ")
    >>> [str(condition) for condition in env.conditions]
    ['u0 == u1']
    >>> s == t, s <= 8
    (True, True)
    """

    def __init__(self) -> None:
        self.symbols: dict[Any, Symbol] = {}
        self.conditions: list[Condition] = []
        # Atomic, since several threads may use one mode.
        self._unknown, self._input, self._scalar = count(), count(), count()
        self._replacements: dict[Any, Any] = {}
        # Differences that are known to be at least 0, or not to be 0.
        self._at_least_zero: list[Any] = []
        self._not_zero: list[Any] = []
        self._known: dict[Comparison, bool | None] = {}

    # -- symbols -----------------------------------------------------------------------------------

    def new_dynamic(
        self, low: int = 0, high: int | None = None, *, origin: str = "a dynamic size"
    ) -> SymInt:
        """A size that is unknown until kernels run, and that no program may look at.

        Raises:
            ShapeError: a bound is no int, is symbolic or negative, or high < low.
        """
        given: tuple[tuple[str, object], ...] = (("min", low), ("max", high))
        for name, value in given:
            if type(value) is SymInt:
                raise ShapeError(
                    f"new_dynamic_size: {name} must be a number, got the SymInt {value}"
                )
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise ShapeError(f"new_dynamic_size: {name} must be an int, got {value!r}")
        if low < 0:
            raise ShapeError(f"new_dynamic_size: min must be greater than or equal to 0, got {low}")
        if high is not None and high < low:
            raise ShapeError(
                f"new_dynamic_size: max must be greater than or equal to min, got min={low}, "
                f"max={high}"
            )
        name = f"u{next(self._unknown)}"
        return self._new(name, low, math.inf if high is None else high, None, origin)

    def new_input(self, hint: int, *, origin: str) -> SymInt:
        """The size of an input that is `hint` now and may be another one later."""
        return self._new(f"s{next(self._input)}", 0, math.inf, hint, origin)

    def new_number(self, *, origin: str) -> SymInt:
        """An int that is unknown until kernels run, and that may be negative."""
        return self._new(f"u{next(self._unknown)}", -math.inf, math.inf, None, origin)

    def new_scalar(self, kind: str, *, origin: str) -> SymNumber:
        """A float, complex or bool (`kind`) that is unknown until kernels run."""
        name = f"{kind[0]}{next(self._scalar)}"
        return make_number(self, kind, name, origin, caller_location())

    def number_value(self, number: SymNumber) -> Any:
        """What a number that an operator returns is.

        Raises:
            UnknownSizeError: nobody knows it.
        """
        location = caller_location()
        raise UnknownSizeError(
            f"the program needs the {number.kind} that {number.describe()} is, at {location}"
            f"{line_text(location)}. Hand it on to operators as it is, or let the operator return "
            "a 0-d array and compute with that"
        )

    def _new(self, name: str, low: Any, high: Any, hint: int | None, origin: str) -> SymInt:
        assumption = {"positive": True} if low > 0 else {"nonnegative": True} if low == 0 else {}
        expr = sympy().Symbol(name, integer=True, **assumption)
        self.symbols[expr] = Symbol(
            name, expr, origin, low, high, hint, caller_location(), low, high
        )
        return make_symint(self, expr)

    def symbol(self, size: SymInt) -> Symbol | None:
        """The symbol that a size is; None if it is an expression of some."""
        return self.symbols.get(size.expr)

    def wrap(self, expr: Any) -> SymInt | int:
        """An expression as an int if it is a number, and as a `SymInt` otherwise."""
        if expr.is_Integer:
            return int(expr)
        return make_symint(self, expr)

    def simplify(self, expr: Any) -> Any:
        """The expression with what is known of its symbols put in."""
        for _ in range(len(self._replacements)):
            replaced = expr.xreplace(self._replacements)
            if replaced == expr:
                break
            expr = replaced
        return expr

    # -- what is known -----------------------------------------------------------------------------

    def compare(self, kind: str, left: Any, right: Any) -> bool | SymBool:
        """A bool where bounds decide the comparison, a `SymBool` elsewhere."""
        known = self.known((kind, left, right))
        return SymBool(self, kind, left, right) if known is None else known

    def known(self, comparison: Comparison) -> bool | None:
        """Whether a comparison holds for all values that its symbols can have; None: it depends."""
        if comparison not in self._known:
            try:
                self._known[comparison] = self._find(*comparison)
            except ZeroDivisionError:  # a divisor is 0 for what is known by now
                self._known[comparison] = None
        return self._known[comparison]

    def _find(self, kind: str, left: Any, right: Any) -> bool | None:
        difference = self.simplify(sympy().expand(right - left))
        if kind in ("==", "!="):
            equal = self._is_zero(difference)
            return equal if equal is None else equal == (kind == "==")
        return self._is_nonnegative(difference - int(kind == "<"))

    def _bounds(self, expr: Any) -> Bounds:
        def of_symbol(symbol: Any) -> Bounds:
            found = self.symbols[symbol]
            return found.low, found.high

        return bounds(expr, of_symbol)

    def _is_zero(self, difference: Any) -> bool | None:
        if difference.is_Integer:
            return bool(difference == 0)
        low, high = self._bounds(difference)
        if low > 0 or high < 0 or difference.is_zero is False:
            return False
        if any(difference in (other, -other) for other in self._not_zero):
            return False
        if self._is_nonnegative(difference - 1) or self._is_nonnegative(-difference - 1):
            return False
        if self._is_nonnegative(difference) and self._is_nonnegative(-difference):
            return True
        return None

    def _is_nonnegative(self, difference: Any) -> bool | None:
        low, high = self._bounds(difference)
        if low >= 0:
            return True
        if high < 0:
            return False
        for fact in self._at_least_zero:
            known = self.simplify(fact)
            if self._bounds(difference - known)[0] >= 0:
                return True
            if self._bounds(-difference - 1 - known)[0] >= 0:
                return False
        return None

    # -- conditions --------------------------------------------------------------------------------

    def decide(self, comparison: SymBool) -> bool:
        """Decide a branch: by the inputs' sizes, in which case the outcome becomes a condition.

        Raises:
            UnknownSizeError: it depends on a size that nobody knows.
        """
        found = (comparison.kind, comparison.left, comparison.right)
        known = self.known(found)
        if known is not None:
            return known
        value = self._with_hints(found)
        location = caller_location()
        if value is None:
            raise UnknownSizeError(
                f"the program branches on {comparison}, which depends on "
                f"{self._describe_unknown(comparison.left, comparison.right)}, at {location}"
                f"{line_text(location)}. Use sym_max and sym_min for max and min, and "
                "get_ctx().check(...) for what has to hold"
            )
        self._record(comparison if value else ~comparison, location, "")
        return value

    def require(self, comparison: SymBool | bool, message: str) -> None:
        """Let a comparison hold: what is not known to becomes a condition.

        Raises:
            ShapeError: it does not hold.
        """
        if isinstance(comparison, SymBool):
            found = (comparison.kind, comparison.left, comparison.right)
            known = self.known(found)
            if known is None:
                known = self._with_hints(found)
                if known is not False:
                    self._record(comparison, caller_location(), message)
                    return
            if not known:
                raise ShapeError(f"{message}: {comparison} does not hold")
        elif not comparison:
            raise ShapeError(message)

    def value(self, size: SymInt) -> int:
        """The number that a size is; for an input's size it becomes a condition that it is that.

        Raises:
            UnknownSizeError: nobody knows it.
        """
        expr = self.simplify(size.expr)
        if expr.is_Integer:
            return int(expr)
        low, high = self._bounds(expr)
        if low == high:
            return int(low)
        hint = evaluate(expr, self._hints())
        location = caller_location()
        if hint is None:
            raise UnknownSizeError(
                f"the program needs the number that {size} is, which depends on "
                f"{self._describe_unknown(expr)}, at {location}{line_text(location)}"
            )
        self._record(SymBool(self, "==", size.expr, sympy().Integer(hint)), location, "")
        return hint

    def hint(self, size: SymInt) -> int | None:
        """What a size is for the inputs that were traced with; None if it depends on data."""
        return evaluate(self.simplify(size.expr), self._hints())

    def _hints(self) -> dict[Any, int]:
        return {s.expr: s.hint for s in self.symbols.values() if s.hint is not None}

    def _with_hints(self, comparison: Comparison) -> bool | None:
        kind, left, right = comparison
        difference = evaluate(self.simplify(right - left), self._hints())
        if difference is None:
            return None
        return {
            "==": difference == 0,
            "!=": difference != 0,
            "<": difference > 0,
            "<=": difference >= 0,
        }[kind]

    def _describe_unknown(self, *exprs: Any) -> str:
        symbols = set().union(*(self.simplify(expr).free_symbols for expr in exprs))
        found = [self.symbols[symbol] for symbol in symbols]
        return ", ".join(
            s.describe() for s in sorted(found, key=lambda s: s.name) if s.hint is None
        )

    def _record(self, comparison: SymBool, location: Location, message: str) -> None:
        found = (comparison.kind, comparison.left, comparison.right)
        self.conditions.append(Condition(found, location, message))
        self._learn(*found)

    def _learn(self, kind: str, left: Any, right: Any) -> None:
        self._known.clear()
        difference = self.simplify(sympy().expand(right - left))
        if kind == "==":
            self._replace(difference)
        elif kind == "!=":
            self._not_zero.append(difference)
            self._narrow_ends(difference)
        else:
            difference = difference - int(kind == "<")
            self._at_least_zero.append(difference)
            self._narrow(difference)

    def _replace(self, difference: Any) -> None:
        """Put one symbol of an expression that is 0 in terms of the others."""
        # Unknown sizes first, and of those the youngest.
        symbols = sorted(
            (self.symbols[symbol] for symbol in difference.free_symbols),
            key=lambda s: (s.hint is not None, -int(s.name[1:])),
        )
        for symbol in symbols:
            factor = difference.coeff(symbol.expr, 1)
            rest = sympy().expand(difference - factor * symbol.expr)
            if symbol.expr in rest.free_symbols or not factor.is_Integer or factor == 0:
                continue
            solution = -rest / factor
            if abs(factor) == 1 or solution.is_Integer:
                self._replacements[symbol.expr] = solution
                if solution in self.symbols:
                    other = self.symbols[solution]
                    other.low = max(other.low, symbol.low)
                    other.high = min(other.high, symbol.high)
                return
        # No symbol can be solved for: what is left is that it is neither above nor below 0.
        self._at_least_zero += [difference, -difference]

    def _narrow(self, difference: Any) -> None:
        """Narrow the bounds of a symbol by ``factor * symbol + rest >= 0`` with a number `rest`."""
        if len(difference.free_symbols) != 1:
            return
        (expr,) = difference.free_symbols
        factor = difference.coeff(expr, 1)
        rest = difference - factor * expr
        if not (rest.is_Integer and factor.is_Integer and factor != 0):
            return
        symbol = self.symbols[expr]
        if factor > 0:
            symbol.low = max(symbol.low, -(int(rest) // int(factor)))
        else:
            symbol.high = min(symbol.high, int(rest) // -int(factor))

    def _narrow_ends(self, difference: Any) -> None:
        """Narrow the bounds of a symbol that is not one of its two ends."""
        for expr in difference.free_symbols:
            number = sympy().expand(expr - difference)
            if not number.is_Integer:
                number = sympy().expand(expr + difference)
            if number.is_Integer:
                symbol = self.symbols[expr]
                symbol.low += symbol.low == number
                symbol.high -= symbol.high == number


def line_text(location: Location) -> str:
    """The line of source at a location as ``: `line` ``, or nothing where there is none."""
    line = linecache.getline(location.file, location.line).strip()
    return f": `{line}`" if line else ""
