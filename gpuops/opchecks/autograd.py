"""`test_autograd`: the registered gradient is the one that finite differences give."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpuops.formulas import AUTOGRAD, NO_GRADIENT
from gpuops.opchecks.formula import FormulaFailed, Point
from gpuops.opchecks.registration import check_between, check_call
from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import REFUSED, Subject, copied
from gpuops.opchecks.variants import broadcast, cut, other_scalars, other_values, resized
from gpuops.transforms.providers import find_rule

__all__ = ["check"]

# Along random directions a check needs some twenty calls, whatever the size; more elements than
# these only take longer.
_ELEMENTS = 1 << 16


def check(subject: Subject) -> None:
    """Check the gradient, and where its formula can be differentiated, the second one.

    On the sample: that the kernel has no part in it; the values; that the call gives what it gives
    without; each input alone, each output alone; that the formula is linear, repeatable, and leaves
    alone what it is given; the second gradient. On the sample with other values, sizes, and with
    axes of size 1: the values.

    An operator without a gradient formula passes, and the result says so: not every operator is
    differentiable.

    Raises:
        Failure: the formula fails, or its values, shapes or structure are wrong.
    """
    operator = subject.operator
    if not subject.is_drawn:
        check_call(subject)
    if operator.schema.mutated:
        subject.leave_unchecked(
            "it writes to its arguments: there can be no gradient formula for that"
        )
        return
    entry = find_rule(operator, AUTOGRAD)
    if entry is None:
        subject.leave_unchecked(_without_formula(subject))
        return
    values = _differentiable(subject)
    if values is None:
        subject.leave_unchecked(
            "the gradient formula: no input was found that has floating-point arrays and gives "
            "finite floating-point outputs"
        )
        return
    check_between(subject, entry, values)
    with warnings.catch_warnings():
        # Of NumPy's functions about empty arrays: what they compute is compared anyway.
        warnings.simplefilter("ignore", RuntimeWarning)
        if not subject.is_drawn:
            check_between(subject, entry, values)
        _check_formula(subject, entry, values)


def _check_formula(subject: Subject, entry: Any, values: list[Any]) -> None:
    done = False
    for number, variant in enumerate(_variants(subject, values)):
        point = Point(subject, variant)
        try:
            with np.errstate(all="ignore"):
                done |= point.check_values()
                if number == 0:
                    point.check_structure()
        except FormulaFailed as failure:
            raise _failed(subject, entry, "gradient", failure, variant) from failure
    if not done:
        subject.leave_unchecked(
            "the values of the gradient: no output has one, or it is not smooth where it was tried"
        )
    point = Point(subject, values)
    further = {"second gradient": point.check_second, "traced gradient": point.check_traced}
    for name, check_further in further.items():
        try:
            with np.errstate(all="ignore"):
                why = check_further()
        except FormulaFailed as failure:
            raise _failed(subject, entry, name, failure, values) from failure
        if why is not None:
            subject.leave_unchecked(f"the {name}: {why}")


def _without_formula(subject: Subject) -> str:
    """Whether a gradient is missing, as far as dtypes tell, or why there is none."""
    stated = find_rule(subject.operator, NO_GRADIENT)
    if stated is not None:
        return f"it has no gradient: {stated.value} (stated at {stated.location})"
    result = subject.attempt(subject.values)
    floats = [a for a in subject.arrays(subject.values) if a.dtype.kind in "fc"]
    found = [] if result is REFUSED else leaves(subject.operator, result)
    if floats and any(_is_float(value) for _, value in found):
        return (
            "no autograd formula was registered, though it takes and gives floating-point arrays: "
            "a gradient through it is an error"
        )
    return "no autograd formula was registered, and by its dtypes there is nothing to differentiate"


def _failed(
    subject: Subject, entry: Any, name: str, failure: FormulaFailed, values: list[Any]
) -> Exception:
    cause = failure.__cause__
    kind = f" ({type(cause).__name__})" if isinstance(cause, Exception) else ""
    place = getattr(entry.value, "location", None) or entry.location
    return subject.fail(
        f"the {name} is wrong{kind}: {failure}. The formula was registered at {place}", values
    )


def _is_float(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in "fc" and hasattr(value, "shape")


def _differentiable(subject: Subject) -> list[Any] | None:
    """The sample in double precision, a little off kinks, if the operator takes it; or similar."""
    wide = subject.map(copied(subject.values), _widened)
    for start in (wide, copied(subject.values)):
        small = cut(subject, start, _ELEMENTS)
        if small is None:
            small = start
            subject.leave_unchecked(
                f"fewer than {_ELEMENTS} elements were refused: the gradient of the whole sample "
                "is checked"
            )
        candidates = [_with_noise(subject, small), small, other_values(subject, small)]
        for values in candidates:
            if values is not None and _is_finite(subject, values):
                return values
    return None


def _widened(parameter: Any, array: Any) -> Any:
    """In double precision: finite differences of less have too few digits."""
    wide = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind)
    return array if wide is None else np.array(array, wide)


def _with_noise(subject: Subject, values: list[Any]) -> list[Any]:
    """Moved a little, so that a sample of round numbers does not sit on a kink."""
    random = np.random.default_rng(abs(subject.seed))

    def moved(parameter: Any, array: Any) -> Any:
        if array.dtype.kind not in "fc" or not array.size:
            return array
        typical = float(np.sqrt(np.mean(np.abs(array) ** 2, dtype=np.float64)))
        if not np.isfinite(typical) or not typical:
            typical = 1.0
        noise = random.uniform(0.001, 0.01, array.shape) * random.choice([-1, 1])
        return np.asarray(array + typical * noise, array.dtype)

    return subject.map(values, moved)


def _is_finite(subject: Subject, values: list[Any]) -> bool:
    """Whether the operator takes the values and has finite floating-point outputs."""
    if not any(array.dtype.kind in "fc" for array in subject.arrays(values)):
        return False
    result = subject.attempt(values)
    if result is REFUSED:
        return False
    floats = [value for _, value in leaves(subject.operator, result) if _is_float(value)]
    return bool(floats) and all(np.isfinite(value).all() for value in floats)


def _stacked(parameter: Any, array: Any) -> Any:
    """With one axis more."""
    return np.stack([array, 0.9 * array if array.dtype.kind in "fc" else array])


def _variants(subject: Subject, values: list[Any]) -> Iterator[list[Any]]:
    """The call to begin with, and others that the operator takes."""
    yield values
    if subject.is_drawn:
        return
    yield from (v for v in _tried(subject, values) if _is_finite(subject, v))


def _tried(subject: Subject, values: list[Any]) -> Iterator[list[Any]]:
    other = other_values(subject, values)
    if other is not None:
        yield other
        values = other
    yield from broadcast(subject, values)
    yield from other_scalars(values)
    sizes = sorted({n for array in subject.arrays(values) for n in array.shape})
    for change in (lambda n: n + 1, lambda n: 2 * n, lambda n: 1, lambda n: 0):
        yield resized(subject, values, {n: change(n) for n in sizes})
    for size in sizes if len(sizes) > 1 else []:
        yield resized(subject, values, {size: size + 2})
    yield subject.map(copied(values), _stacked)
    if all(array.ndim for array in subject.arrays(values)):
        yield subject.map(
            copied(values), lambda parameter, array: np.array(array[0]) if len(array) else array
        )
