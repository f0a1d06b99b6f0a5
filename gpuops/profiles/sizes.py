"""Symbols of sizes in a draft: what nobody could know is answered as it is, and reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuops.errors import Location, caller_location
from gpuops.profiles.report import DraftReport, Failure, FailureKind
from gpuops.registry import Operator
from gpuops.symbols import ShapeEnv, SymBool, SymInt, SymNumber, is_sym_number, is_symbolic
from gpuops.symbols._sympy import sympy
from gpuops.symbols.algebra import evaluate
from gpuops.symbols.env import Comparison, Condition

__all__ = ["DraftEnv"]

Call = tuple[Operator, Location]
"""An operator, and the line of the traced function that called it."""


class DraftEnv(ShapeEnv):
    """The symbols of a draft.

    A symbol that depends on data has a number here, the one that a real kernel gave. A branch on
    it, which ends any other tracing, is reported and goes the way that the real one went. Nothing
    is learned from it, so that the next such branch is reported too; it becomes a condition.

    Attributes:
        call: the operator whose fake kernel runs, and the line that called it; None outside.
        refused: what the last fake kernel required of unknown sizes that does not hold; None if it
            required no such thing.
    """

    def __init__(self, report: DraftReport) -> None:
        super().__init__()
        self.call: Call | None = None
        self.refused: Failure | None = None
        self._report = report
        self._real: dict[Any, int] = {}
        # The numbers too, so that no other one gets the id of one that is gone.
        self._values: dict[int, tuple[SymNumber, Any]] = {}

    # -- real numbers ------------------------------------------------------------------------------

    def number(self, size: Any) -> Any:
        """The number that a size, or another number, is in this run; itself if nobody knows."""
        if is_sym_number(size):
            return self._values.get(id(size), (size, size))[1]
        if not is_symbolic(size):
            return size
        found = evaluate(self.simplify(size.expr), self._numbers())
        return size if found is None else found

    def fits(self, size: Any, real: int) -> bool:
        """Whether a size can be what a kernel gave; the symbol in it is that from now on."""
        if not is_symbolic(size):
            return bool(size == real)
        expr = self.simplify(size.expr)
        numbers = self._numbers()
        value = evaluate(expr, numbers)
        if value is not None:
            return value == real
        unknown = [symbol for symbol in expr.free_symbols if symbol not in numbers]
        if len(unknown) > 1:
            return True
        (symbol,) = unknown
        factor = expr.coeff(symbol, 1)
        rest = evaluate(sympy().expand(expr - factor * symbol), numbers)
        if rest is None or not factor.is_Integer:
            return True
        found, remainder = divmod(real - rest, int(factor))
        known = self.symbols[symbol]
        if remainder or not known.low <= found <= known.high:
            return False
        self._real[symbol] = found
        return True

    def _numbers(self) -> dict[Any, int]:
        return {**self._hints(), **self._real}

    def undoable(self) -> Callable[[], None]:
        """What takes back all that is learned, and reported, from now on.

        A fake kernel that is wrong, or fails half way, has asked what does not matter.
        """
        ends = [(symbol, symbol.low, symbol.high) for symbol in self.symbols.values()]
        kept = [self.conditions, self._at_least_zero, self._not_zero]
        lengths = list(map(len, kept))
        replacements, real = dict(self._replacements), dict(self._real)
        forget = self._report.undoable()

        def undo() -> None:
            for symbol, low, high in ends:
                symbol.low, symbol.high = low, high
            for items, length in zip(kept, lengths, strict=True):
                del items[length:]
            self._replacements, self._real = replacements, real
            self._known.clear()
            forget()

        return undo

    def set_number(self, number: SymNumber, real: Any) -> None:
        """Give a number that is no int the value that the kernel returned."""
        self._values[id(number)] = number, real

    def number_value(self, number: SymNumber) -> Any:
        """What a number is, which is reported."""
        known = self._values.get(id(number))
        if known is None:
            return super().number_value(number)
        self._depends(f"needs the {number.kind} that {number.describe()} is; it is {known[1]} here")
        return known[1]

    # -- what is asked -----------------------------------------------------------------------------

    def decide(self, comparison: SymBool) -> bool:
        """Decide a branch, by real numbers where nothing else does."""
        found = (comparison.kind, comparison.left, comparison.right)
        value = None
        if self.known(found) is None and self._with_hints(found) is None:
            value = self._really(found)
        if value is None:
            return super().decide(comparison)
        unknown = self._describe_unknown(comparison.left, comparison.right)
        self._depends(f"branches on {comparison}, which depends on {unknown}; it is {value} here")
        self._keep(comparison if value else ~comparison)
        return value

    def value(self, size: SymInt) -> int:
        """The number that a size is, a real one where nothing else tells it."""
        expr = self.simplify(size.expr)
        low, high = self._bounds(expr)
        if low == high or evaluate(expr, self._hints()) is not None:
            return super().value(size)
        found = evaluate(expr, self._numbers())
        if found is None:
            return super().value(size)
        unknown = self._describe_unknown(expr)
        what = f"needs the number that {size} is, which depends on {unknown}"
        self._depends(f"{what}; it is {found} here")
        self._keep(SymBool(self, "==", size.expr, sympy().Integer(found)))
        return found

    def require(self, comparison: SymBool | bool, message: str) -> None:
        """Let a comparison hold; one that does not, of sizes that depend on data, is reported."""
        if isinstance(comparison, SymBool):
            found = (comparison.kind, comparison.left, comparison.right)
            undecided = self.known(found) is None and self._with_hints(found) is None
            if undecided and self._really(found) is False:
                reason = f"needs {comparison}, which does not hold here ({message})"
                kind = FailureKind.DATA_DEPENDENT_ERROR
                failure = self.failure(kind, reason, caller_location(), self.call)
                self._report.add(failure)
                self.refused = failure
                return
        super().require(comparison, message)

    def _really(self, comparison: Comparison) -> bool | None:
        kind, left, right = comparison
        difference = evaluate(self.simplify(right - left), self._numbers())
        if difference is None:
            return None
        return {
            "==": difference == 0,
            "!=": difference != 0,
            "<": difference > 0,
            "<=": difference >= 0,
        }[kind]

    def _keep(self, comparison: SymBool) -> None:
        """Make a condition of a graph of what the real run went by, and learn nothing from it."""
        found = (comparison.kind, comparison.left, comparison.right)
        if all(condition.comparison != found for condition in self.conditions):
            self.conditions.append(Condition(found, caller_location()))

    # -- the report --------------------------------------------------------------------------------

    def _record(self, comparison: SymBool, location: Location, message: str) -> None:
        super()._record(comparison, location, message)
        reason = f"{comparison} ({message})" if message else str(comparison)
        self._add(FailureKind.GUARD_ADDED, reason, location)

    def _depends(self, reason: str) -> None:
        self._add(FailureKind.DATA_DEPENDENT_ERROR, reason, caller_location())

    def _add(self, kind: FailureKind, reason: str, location: Location) -> None:
        self._report.add(self.failure(kind, reason, location, self.call))

    def failure(
        self, kind: FailureKind, reason: str, location: Location, call: Call | None
    ) -> Failure:
        """What was found at a line, which may be one of the fake kernel of a call."""
        if call is None:
            return Failure(kind, None, reason, location)
        operator, called_at = call
        # gpuops' own fakes have no line of theirs: the one that called them is found at once.
        same = (location.file, location.line) == (called_at.file, called_at.line)
        return Failure(kind, operator.qualname, reason, called_at, None if same else location)
