"""What is asked of SymPy: expressions of sizes, their bounds, their text as Python.

Expressions stand for integers; ``a // b`` is
``floor(a / b)``, which SymPy reduces (``floor(4*s/2)`` is ``2*s``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from gpuops.errors import GraphError
from gpuops.symbols._sympy import sympy

if TYPE_CHECKING:
    import ast
    from fractions import Fraction

__all__ = ["Bounds", "bounds", "evaluate", "parse", "text"]

Bounds = tuple[Any, Any]
"""The least and the greatest value: ints or fractions, or infinities."""

EVERYTHING: Bounds = (-math.inf, math.inf)


# -- bounds ----------------------------------------------------------------------------------------


def bounds(expr: Any, of_symbol: Callable[[Any], Bounds]) -> Bounds:
    """Bounds of an expression by interval arithmetic.

    Args:
        expr: a SymPy expression of integer symbols.
        of_symbol: the bounds of a symbol.
    """
    low, high = _bounds(expr, of_symbol)
    if expr.is_Add and expr.has(sympy().floor):
        # In ``floor(s/2) - s`` both terms vary together, which intervals do not see; without the
        # floor, the algebra does.
        low = max(low, _bounds(_unfloored(expr, upper=False), of_symbol)[0])
        high = min(high, _bounds(_unfloored(expr, upper=True), of_symbol)[1])
    return _ceil(low), _floor(high)


def _unfloored(expr: Any, *, upper: bool) -> Any:
    """A bound of a sum without its floors: ``e - (q - 1)/q <= floor(e) <= e`` for whole q*e."""
    module = sympy()
    terms = []
    for term in expr.args:
        factor, rest = term.as_coeff_Mul()
        if isinstance(rest, module.floor):
            inner = rest.args[0]
            denominator = module.fraction(module.together(inner))[1]
            slack = 1 - 1 / denominator if denominator.is_Integer else module.Integer(1)
            if (factor > 0) != upper:
                inner = inner - slack
            term = factor * inner
        terms.append(term)
    return module.expand(module.Add(*terms))


def _bounds(expr: Any, of_symbol: Callable[[Any], Bounds]) -> Bounds:
    module = sympy()
    if expr.is_Rational:
        value = int(expr) if expr.is_Integer else _fraction(int(expr.p), int(expr.q))
        return value, value
    if expr.is_Symbol:
        return of_symbol(expr)
    parts = [_bounds(part, of_symbol) for part in expr.args]
    if expr.is_Add:
        return sum(low for low, _ in parts), sum(high for _, high in parts)
    if expr.is_Mul:
        low, high = parts[0]
        for other in parts[1:]:
            ends = [_times(x, y) for x in (low, high) for y in other]
            low, high = min(ends), max(ends)
        return low, high
    if expr.is_Pow:
        return _power_bounds(parts[0], expr.args[1])
    if isinstance(expr, module.floor):
        return _floor(parts[0][0]), _floor(parts[0][1])
    if isinstance(expr, module.Mod):
        (low, high), (least, most) = parts
        if least <= 0:
            return EVERYTHING
        return (low, high) if low >= 0 and high < least else (0, most - 1)
    if isinstance(expr, module.Max):
        return max(low for low, _ in parts), max(high for _, high in parts)
    if isinstance(expr, module.Min):
        return min(low for low, _ in parts), min(high for _, high in parts)
    return EVERYTHING


def _fraction(top: int, bottom: int) -> Fraction:
    from fractions import Fraction  # only here: with decimal, it takes longer than all of gpuops

    return Fraction(top, bottom)


def _times(x: Any, y: Any) -> Any:
    # 0 times infinity is 0 here: the infinity stands for numbers.
    return 0 if x == 0 or y == 0 else x * y


def _power_bounds(base: Bounds, exponent: Any) -> Bounds:
    low, high = base
    if not exponent.is_Integer or low < 0 or (exponent < 0 and low == 0):
        return EVERYTHING
    if exponent < 0:
        power = -int(exponent)
        least = 0 if high == math.inf else _fraction(1, high**power)
        return least, _fraction(1, low**power)
    return low ** int(exponent), high ** int(exponent)


def _floor(value: Any) -> Any:
    return value if value in EVERYTHING else math.floor(value)


def _ceil(value: Any) -> Any:
    return value if value in EVERYTHING else math.ceil(value)


# -- text ------------------------------------------------------------------------------------------


@cache
def _printer() -> Any:
    class Printer(sympy().StrPrinter):  # type: ignore[misc]  # SymPy has no type information
        def _print_floor(self, expr: Any) -> str:
            top, bottom = sympy().fraction(sympy().together(expr.args[0]))
            return f"(({self._print(top)}) // ({self._print(bottom)}))"

        def _print_Mod(self, expr: Any) -> str:  # SymPy's name
            return f"(({self._print(expr.args[0])}) % ({self._print(expr.args[1])}))"

        def _print_Max(self, expr: Any) -> str:
            return f"max({', '.join(sorted(map(self._print, expr.args)))})"

        def _print_Min(self, expr: Any) -> str:
            return f"min({', '.join(sorted(map(self._print, expr.args)))})"

    return Printer()


def text(expr: Any) -> str:
    """The expression as Python.

    >>> s = sympy().Symbol("s0", integer=True)
    >>> text(sympy().floor((s + 1) / 2) + 3)
    '((s0 + 1) // (2)) + 3'
    """
    found: str = _printer().doprint(expr)
    return found


# By the names of `ast`'s classes.
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mult": lambda a, b: a * b,
    "FloorDiv": lambda a, b: sympy().floor(a / b),
    "Mod": lambda a, b: sympy().Mod(a, b),
    "Pow": lambda a, b: a**b,
}


def parse(source: str, symbols: Mapping[str, Any]) -> Any:
    """The expression that `text` printed; nothing is evaluated as Python.

    Args:
        source: the text.
        symbols: name -> symbol.

    Raises:
        GraphError: the text is no expression of these symbols.

    >>> parse("max(s0, 2) * 3", {"s0": sympy().Symbol("s0", integer=True)})
    3*Max(2, s0)
    """
    import ast  # only here, as above

    try:
        return _parse(ast.parse(source, mode="eval").body, symbols)
    except (SyntaxError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise GraphError(f"{source!r} is no expression of sizes: {error}") from None


def _parse(node: ast.expr, symbols: Mapping[str, Any]) -> Any:
    import ast

    if isinstance(node, ast.Name):
        return symbols[node.id]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return sympy().Integer(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_parse(node.operand, symbols)
    if isinstance(node, ast.BinOp):
        operator = _OPERATORS[type(node.op).__name__]
        return operator(_parse(node.left, symbols), _parse(node.right, symbols))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = {"max": sympy().Max, "min": sympy().Min}[node.func.id]
        return function(*(_parse(arg, symbols) for arg in node.args))
    raise ValueError(f"{type(node).__name__} has no place in one")


def evaluate(expr: Any, values: Mapping[Any, int]) -> int | None:
    """The value of an expression; None if some of its symbols have none."""
    symbols = expr.free_symbols
    if not symbols <= values.keys():
        return None
    # Of all the symbols of a long program; SymPy would look for each of them.
    return int(expr.subs({symbol: values[symbol] for symbol in symbols}))
