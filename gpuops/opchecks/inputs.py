"""Further inputs, made from the sample: other sizes, ranks, dtypes, elements, layouts, scalars.

First each change by itself, the categories in turns, so that a check that looks at a few inputs
sees a few of every kind; then combinations. Which ones the operator accepts, the operator says.
They are drawn from a seed with NumPy alone: the same in every process, and with nothing that an
installation does not have. `gpuops.opchecks.strategies` draws them with Hypothesis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from gpuops.errors import AliasError, MutationError, ReturnError
from gpuops.opchecks.budget import Budget
from gpuops.opchecks.draw_arrays import LARGEST
from gpuops.opchecks.draw_edit import Edit, Values, arrays_of
from gpuops.opchecks.draw_menu import menu
from gpuops.opchecks.draw_shapes import fits_signature, size_edits
from gpuops.opchecks.subject import REFUSED, Subject, copied
from gpuops.opchecks.variants import cut

__all__ = ["Draw", "Pool", "accepted", "combination", "drawn", "key_of", "small_sample"]

_SINGLE = 180
_COMBINED = 40
# An operator that takes long is called with fewer inputs.
_SECONDS = 1.0

# Errors that are an accident of the kernel, and no refusal that a caller could read, where the
# input differs from the sample in nothing that an operator may be particular about.
_ACCIDENTS = (ZeroDivisionError, AttributeError, NameError, RecursionError, SystemError)
_HARMLESS = frozenset({"sizes", "values", "kinks", "special", "layout", "optional"})


@dataclass(frozen=True, slots=True)
class Draw:
    """One input that was made from the sample.

    Attributes:
        name: the edits that made it.
        tags: what they touch; see `gpuops.opchecks.draw_edit.Edit`.
        values: the arguments in schema order; never handed to a kernel.
    """

    name: str
    tags: frozenset[str]
    values: Values


def drawn(subject: Subject) -> Iterator[Draw]:
    """What is made from the sample, without the sample itself; no two are alike."""
    base = small_sample(subject)
    if base is None:
        return
    seen = {key_of(subject.values)}
    for draw in _all(subject, base):
        key = key_of(draw.values)
        # What a signature excludes, a kernel may still compute; it is nothing to hold a fake to.
        if key not in seen and fits_signature(subject, draw.values):
            seen.add(key)
            yield draw


def small_sample(subject: Subject) -> Values | None:
    """The sample, or if it is large one of its kind that is small; None if none is accepted."""
    limit = LARGEST // 4
    if _elements(subject.values) <= limit:
        return subject.values
    # One element, or none, would hide most faults: the last resort.
    for edit in sorted(size_edits(subject, subject.values), key=lambda edit: "all " in edit.name):
        made = edit.apply(subject.values)
        if made is None or not 0 < _elements(made) <= limit:
            continue
        if subject.attempt(made) is not REFUSED:
            return made
    return cut(subject, subject.values, limit)


def _elements(values: Values) -> int:
    return int(sum(array.size for array in arrays_of(values)))


def _all(subject: Subject, base: Values) -> Iterator[Draw]:
    if base is not subject.values:
        yield Draw("smaller", frozenset({"sizes"}), base)
    edits = menu(subject, base)
    # Sizes first: a failure by them says most to who reads it.
    turns = itertools.zip_longest(edits["sizes"], *(v for k, v in edits.items() if k != "sizes"))
    singles = (edit for turn in turns for edit in turn if edit is not None)
    for edit in itertools.islice(singles, _SINGLE):
        if (draw := apply((edit,), base)) is not None:
            yield draw
    for pair in _pairs(edits):
        if (draw := apply(pair, base)) is not None:
            yield draw
    random = np.random.default_rng(abs(subject.seed))

    def choose(number: int) -> int:
        return int(random.integers(number))

    for _ in range(_COMBINED):
        draw = combination(edits, base, 2 + choose(2), choose)
        if draw is not None:
            yield draw


def _pairs(edits: dict[str, list[Edit]]) -> Iterator[tuple[Edit, ...]]:
    """Two edits at once: the first ones of every two categories, and layouts that need axes."""
    for one, other in itertools.combinations(edits.values(), 2):
        yield from itertools.product(one[:2], other[:2])
    ranks = [edit for edit in edits["ranks"] if edit.name in ("rank 2", "rank 3")]
    yield from itertools.product(ranks, edits["layouts"])


def apply(edits: tuple[Edit, ...], base: Values) -> Draw | None:
    """What the edits make of a sample, one after the other; None if none of them applies."""
    values, done = base, []
    for edit in edits:
        try:
            made = edit.apply(values)
        except (TypeError, ValueError, OverflowError):
            made = None  # an array of objects or dates, a number that the dtype cannot hold
        if made is not None:
            values = made
            done.append(edit)
    if not done:
        return None
    tags = frozenset().union(*(edit.tags for edit in done))
    return Draw(", ".join(edit.name for edit in done), tags, values)


def combination(
    edits: dict[str, list[Edit]], base: Values, number: int, choose: Callable[[int], int]
) -> Draw | None:
    """As many edits, of different categories; ``choose(n)`` gives one of ``range(n)``."""
    categories = [listed for listed in edits.values() if listed]
    left = list(range(len(categories)))
    while len(left) > number:
        left.pop(choose(len(left)))
    chosen = [categories[i] for i in left]
    return apply(tuple(listed[choose(len(listed))] for listed in chosen), base)


def key_of(values: Values) -> Any:
    """What calls with equal arguments, laid out alike, have in common."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(one(item) for item in value)
        if isinstance(value, np.ndarray):
            flags = value.flags.writeable, value.flags.aligned
            return value.shape, value.dtype.str, value.strides, flags, value.tobytes()
        return type(value), repr(value)

    return tuple(one(value) for value in values)


class Pool:
    """What is drawn for an operator: made once, and asked once whether it is accepted.

    The checks share it.

    Args:
        subject: the operator with its sample.
        empty: whether nothing is to be drawn.
    """

    def __init__(self, subject: Subject, *, empty: bool = False) -> None:
        self._subject = subject
        self._source: Iterator[Draw] | None = iter(()) if empty else None
        self._drawn: list[Draw] = []
        self._accepted: dict[int, bool] = {}

    def draws(self) -> Iterator[Draw]:
        """All that is drawn, as far as the time lasts."""
        budget = Budget(_SECONDS)
        for number in itertools.count():
            if self._source is None:
                self._source = drawn(self._subject)
            if number == len(self._drawn):
                made = next(self._source, None)
                if made is None:
                    return
                self._drawn.append(made)
            yield self._drawn[number]
            if budget.is_spent:
                return

    def accepted(self) -> Iterator[Draw]:
        """Those that the operator computes."""
        for number, draw in enumerate(self.draws()):
            if number not in self._accepted:
                self._accepted[number] = self._subject.attempt(draw.values) is not REFUSED
            if self._accepted[number]:
                yield draw


def accepted(subject: Subject) -> Iterator[tuple[Values, Values, Any]]:
    """The inputs that the operator computes: the arguments before, after, and the result.

    The first one is the sample; `Subject.further` has the others.

    Raises:
        Failure: the operator does not even take its sample, or an input fails by accident.
    """
    before = copied(subject.values)
    try:
        values, result = _called(subject, before)
    except (AliasError, MutationError, ReturnError):
        raise  # debug mode found something: that is no refusal
    except Exception as error:
        _refuse(subject, before, error)
    yield before, values, result
    for draw in subject.further:
        before = copied(draw.values)
        try:
            values, result = _called(subject, before)
        except (AliasError, MutationError):
            raise
        except ReturnError as error:
            if not _scalar_for_array(draw, error):
                raise
        except _ACCIDENTS as error:
            if draw.tags <= _HARMLESS:
                how = (
                    f", where it is changed ({draw.name}). What the kernel cannot take, it has to "
                    "refuse with an error that says so"
                )
                _refuse(subject, before, error, how)
        except Exception:
            continue
        else:
            yield before, values, result


def _scalar_for_array(draw: Draw, error: ReturnError) -> bool:
    """Whether NumPy made a scalar of a 0-d array: the error says so, and so refuses 0-d arrays."""
    arrays = arrays_of(draw.values)
    return "numpy.asarray" in str(error) and not any(array.ndim for array in arrays)


def _refuse(subject: Subject, values: Values, error: Exception, how: str = "") -> NoReturn:
    """One place for both kinds of call, so that they are seen to fail alike."""
    raise subject.fail(
        f"the sample fails with {type(error).__name__}: {error}{how}", values
    ) from error


def _called(subject: Subject, before: Values) -> tuple[Values, Any]:
    subject.trail[:] = [before]
    values = copied(before)
    with np.errstate(all="ignore"):
        return values, subject.call(values)
