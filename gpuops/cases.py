"""Samples to run an operator on: what a pack writes once, and tests, demo and benchmarks all use.

A pack keeps them in a module named ``cases`` beside the one that declares the operator, with a
sequence ``CASES`` of `Case` and, where speed matters, a sequence ``BENCH`` of `BenchShape`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from gpuops.devices import Device, device_of
from gpuops.errors import GpuopsError
from gpuops.opaque import is_opaque_type
from gpuops.register import device_parameter
from gpuops.registry import Operator, as_operator

__all__ = [
    "Arguments",
    "BenchShape",
    "Case",
    "CaseError",
    "OperatorCases",
    "arguments_on",
    "has_cases",
    "load_cases",
]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments of a call, all arrays NumPy's."""

# (rtol, atol) where a case says nothing: a few roundings of the result's own precision. What is
# not floating point has to be equal.
_TOLERANCES: dict[str, tuple[float, float]] = {
    "float16": (2e-3, 1e-3),
    "float32": (1e-5, 1e-6),
    "float64": (1e-12, 1e-13),
    "complex64": (1e-5, 1e-6),
    "complex128": (1e-12, 1e-13),
}


class CaseError(GpuopsError, ValueError):
    """The `cases` module of an operator is missing or does not hold what it should."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call to check.

    Attributes:
        id: short, unique within the operator, such as ``"2d-strided-float16"``.
        build: makes the arguments, ``build(rng) -> (args, kwargs)``, from a
            ``numpy.random.Generator``; the same generator state gives the same arguments. They are
            made anew for each of two calls that are compared: a call may change what it is given.
        reference: what the result is compared with, called with the same arguments; None is the
            operator's default kernel.
        tolerance: ``(rtol, atol)`` as in ``numpy.isclose`` by dtype name, for the dtypes in which
            the usual ones are wrong.

    Example:
        >>> case = Case("1d", lambda rng: ((rng.random(3),), {"axis": 0}))
        >>> args, kwargs = case.build(np.random.default_rng(0))
        >>> args[0].shape, kwargs
        ((3,), {'axis': 0})
    """

    id: str
    build: Callable[[np.random.Generator], Arguments]
    reference: Callable[..., Any] | None = None
    tolerance: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def tolerances(self, dtype: Any) -> tuple[float, float]:
        """``(rtol, atol)`` for results of a dtype; ``(0, 0)`` for integers and bools.

        >>> Case("1d", lambda rng: ((), {})).tolerances(np.int64)
        (0.0, 0.0)
        """
        name = np.dtype(dtype).name
        return self.tolerance.get(name) or _TOLERANCES.get(name, (0.0, 0.0))


@dataclass(frozen=True, slots=True)
class BenchShape:
    """One call to time.

    Attributes:
        id: short, unique within the operator, such as ``"4096x1024-float32"``.
        build: makes the arguments, as in `Case`.
    """

    id: str
    build: Callable[[np.random.Generator], Arguments]


@dataclass(frozen=True, slots=True)
class OperatorCases:
    """The cases and bench shapes of one operator."""

    cases: tuple[Case, ...]
    bench: tuple[BenchShape, ...]


def arguments_on(
    op: Any,
    arguments: Arguments,
    device: str | Device,
    *,
    move: Callable[[Any], Any] | None = None,
) -> Arguments:
    """The arguments of a case for a call on a device.

    Arrays are moved there, in lists too, and so is what has an opaque type and a method ``to``,
    such as `gpuops.random.RNGState`. An operator without arrays is told the device.

    Args:
        op: an operator or its name.
        arguments: what `Case.build` made.
        device: where the operator is to run.
        move: how an array gets there; by `gpuops.asarray` if it is None.

    Raises:
        DeviceError: there is no such device.

    Example:
        >>> import gpuops
        >>> @gpuops.custom_op("cases_doc::zeros", mutates_args=())
        ... def zeros(n: int, device: gpuops.Device) -> gpuops.Array:
        ...     return np.zeros(n)
        >>> arguments_on(zeros, ((3,), {}), "cpu")
        ((3,), {'device': Device('cpu')})
        >>> zeros.undo()
    """
    schema = as_operator(op).schema
    place = partial(_place, device=Device(device), move=move or _mover(device))
    args, kwargs = arguments
    args, kwargs = tuple(map(place, args)), {name: place(v) for name, v in kwargs.items()}
    chooser = None if schema.array_parameters else device_parameter(schema)
    if chooser is not None:
        index = [parameter.name for parameter in schema.parameters].index(chooser)
        if index < len(args):
            args = (*args[:index], Device(device), *args[index + 1 :])
        else:
            kwargs[chooser] = Device(device)
    return args, kwargs


def _mover(device: str | Device) -> Callable[[Any], Any]:
    from gpuops.cuda.transfer import asarray

    return partial(asarray, device=device)


def _place(value: Any, device: Device, move: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)([_place(item, device, move) for item in value])
    if device_of(value) is not None:
        return move(value)
    return value.to(device) if is_opaque_type(type(value)) and hasattr(value, "to") else value


def has_cases(op: Any) -> bool:
    """Whether there is a module `cases` beside the one that declares an operator.

    >>> import gpuops
    >>> @gpuops.custom_op("cases_doc::f", mutates_args=())
    ... def f(x: gpuops.Array) -> gpuops.Array:
    ...     return x + 1
    >>> has_cases(f)
    False
    """
    name = _module_name(as_operator(op))
    return name is not None and importlib.util.find_spec(name) is not None


def load_cases(op: Any) -> OperatorCases:
    """The cases of an operator, from the module `cases` beside the one that declares it.

    Args:
        op: an operator or its name.

    Raises:
        CaseError: there is no such module, or it has no ``CASES``, or what it lists are not cases
            or have the same id twice. What goes wrong inside the module is raised as it is.
        OperatorNotFoundError: there is no such operator.
    """
    operator = as_operator(op)
    name = _module_name(operator)
    if name is None or importlib.util.find_spec(name) is None:
        raise CaseError(
            f"{operator.qualname} has no cases: expected a module "
            f"{name or 'cases'!r} beside the one that declares the operator ({operator.location})"
        )
    module = importlib.import_module(name)
    cases = _sequence(operator, module, "CASES", Case)
    if not cases:
        raise CaseError(f"{operator.qualname}: {module.__file__} has no CASES")
    return OperatorCases(cases, _sequence(operator, module, "BENCH", BenchShape))


def _sequence(operator: Operator, module: ModuleType, name: str, cls: type[Any]) -> tuple[Any, ...]:
    items: Sequence[Any] = getattr(module, name, ())
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, cls):
            problem = f"expected a list of {cls.__name__}, found {type(item).__name__} {item!r}"
        elif item.id in seen:
            problem = f"the id {item.id!r} appears twice"
        else:
            seen.add(item.id)
            continue
        raise CaseError(f"{operator.qualname}: {name} in {module.__file__}: {problem}")
    return tuple(items)


def _module_name(operator: Operator) -> str | None:
    """The full name of the module `cases` beside the operator's own."""
    package, _, _ = operator.location.module.rpartition(".")
    return f"{package}.cases" if package else None
