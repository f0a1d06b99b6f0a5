"""Makes a failing call as small as it gets while it fails in the same way.

Greedy, and the same each time: a simpler call is kept if the check fails for it as before, until
no pass finds one. So the smallest case, checked afresh, is its own smallest case. It does not
depend on how the failing input was made.
"""

from __future__ import annotations

import re
from typing import Any

from gpuops.opchecks.budget import Budget
from gpuops.opchecks.draw_edit import Values
from gpuops.opchecks.inputs import key_of
from gpuops.opchecks.search import Check, Found, attempt
from gpuops.opchecks.shrink_cost import cost
from gpuops.opchecks.shrink_passes import PASSES

__all__ = ["origin", "smallest"]

_ATTEMPTS = 600
_SECONDS = 10.0


def smallest(found: Found, check: Check) -> Found | None:
    """The failure with the smallest arguments that were found; None if it does not recur."""
    # Checked as a drawn input is, which takes less, if that shows it; else as a sample is.
    as_drawn = found.subject.at(found.subject.values, lenient=found.subject.lenient)
    for subject in (as_drawn, found.subject):
        shrinker = _Shrinker(Found(found.error, subject), check)
        if shrinker.fails(subject.values):
            shrinker.run()
            return shrinker.best
    return None


def origin(error: BaseException) -> tuple[Any, ...]:
    """What two failures of one kind have in common: where they came from, and their first words."""
    where: list[Any] = []
    link: BaseException | None = error
    while link is not None:
        trace = link.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ()
        # A failure begins with the operator's name.
        text = str(link) if link is not error else str(error).partition(": ")[2]
        where.append((type(link), place, re.findall(r"[A-Za-z_]+", text)[:3]))
        link = link.__cause__
    return tuple(where)


class _Shrinker:
    def __init__(self, found: Found, check: Check) -> None:
        self.best = found
        self._subject = found.subject
        self._check = check
        self._origin = origin(found.error)
        self._left = _ATTEMPTS
        self._tried: set[Any] = set()
        self._budget = Budget(_SECONDS)

    def fails(self, values: Values) -> bool:
        """Whether the check fails for them as it did; if so, they are the best so far."""
        self._left -= 1
        found = attempt(self._check, self._subject.alone(values))
        if found is None or origin(found.error) != self._origin:
            return False
        self.best = found
        return True

    def run(self) -> None:
        changed = True
        while changed:
            changed = False
            for simpler in PASSES:
                while self._improve(simpler):
                    changed = True

    def _improve(self, simpler: Any) -> bool:
        values = self.best.subject.values
        limit = cost(self._subject.operator, values)
        for candidate in simpler(self._subject, values):
            if self._left <= 0 or self._budget.is_spent:
                return False
            key = key_of(candidate)
            if key in self._tried or cost(self._subject.operator, candidate) >= limit:
                continue
            self._tried.add(key)
            if self.fails(candidate):
                return True
        return False
