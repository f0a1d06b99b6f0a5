"""`test_autograd`: the registered gradient is the one that finite differences give."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.errors import NoGradientError
from gpuops.formulas import AUTOGRAD
from gpuops.opchecks.registration import check_between, check_call
from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import REFUSALS, Subject, copied
from gpuops.transforms.autograd import gradcheck, gradgradcheck
from gpuops.transforms.autograd.check import GradcheckError
from gpuops.transforms.providers import find_rule

__all__ = ["check"]

# Finite differences call the operator four times an element.
_ELEMENTS = 300


def check(subject: Subject) -> None:
    """Check the gradient, and where its formula can be differentiated, the second one.

    An operator without a gradient formula passes: not every operator is differentiable.

    Raises:
        Failure: the formula fails, or its values, shapes or structure are wrong.
    """
    check_call(subject)
    entry = find_rule(subject.operator, AUTOGRAD)
    if entry is None or subject.operator.schema.mutated:
        return
    wide = subject.map(copied(subject.values), _widened)
    values = _with_noise(subject, wide)
    if not _differentiable(subject, values):
        values = wide
        if not _differentiable(subject, values):
            return
    inputs = [array for array in subject.arrays(values) if array.dtype.kind in "fc"]
    if sum(array.size for array in inputs) > _ELEMENTS:
        return
    check_between(subject, entry, values)

    def call(*arrays: Any) -> Any:
        result = subject.call(_replaced(values, inputs, arrays))
        kept = [value for _, value in leaves(subject.operator, result) if _is_float(value)]
        return tuple(kept)

    for name, verify in (("gradient", gradcheck), ("second gradient", gradgradcheck)):
        try:
            with np.errstate(all="ignore"):
                verify(call, tuple(inputs))
        except NoGradientError as error:
            if name == "gradient":
                raise _failed(subject, entry, name, error, values) from error
        except GradcheckError as error:
            raise _failed(subject, entry, name, error, values) from error
        except Exception as error:
            if name == "gradient":
                raise _failed(subject, entry, name, error, values) from error


def _failed(subject: Subject, entry: Any, name: str, error: Exception, values: list[Any]) -> Any:
    return subject.fail(
        f"the {name} is wrong ({type(error).__name__}): {error}. "
        f"The formula was registered at {entry.location}",
        values,
    )


def _is_float(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in "fc" and hasattr(value, "shape")


def _widened(parameter: Any, array: Any) -> Any:
    """In double precision: finite differences of less have too few digits."""
    wide = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind)
    return array if wide is None else np.array(array, wide)


def _with_noise(subject: Subject, values: list[Any]) -> list[Any]:
    """Moved a little, so that a sample of round numbers does not sit on a kink."""
    random = np.random.default_rng(subject.seed)

    def moved(parameter: Any, array: Any) -> Any:
        if array.dtype.kind not in "fc":
            return array
        noise = random.uniform(0.001, 0.01, array.shape) * random.choice([-1, 1])
        return np.asarray(array + noise)

    return subject.map(values, moved)


def _differentiable(subject: Subject, values: list[Any]) -> bool:
    """Whether the operator takes the values and has finite floating-point outputs."""
    if not any(array.dtype.kind in "fc" for array in subject.arrays(values)):
        return False
    try:
        with np.errstate(all="ignore"):
            result = subject.call(copied(values))
    except REFUSALS:
        return False
    floats = [value for _, value in leaves(subject.operator, result) if _is_float(value)]
    return bool(floats) and all(np.isfinite(value).all() for value in floats)


def _replaced(values: list[Any], old: list[Any], new: tuple[Any, ...]) -> list[Any]:
    """Values with arrays exchanged; found by identity."""
    table = {id(array): other for array, other in zip(old, new, strict=True)}

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        # A state that a call moves on has to be the same for each of them.
        return table[id(value)] if id(value) in table else copied([value])[0]

    return [one(value) for value in values]
