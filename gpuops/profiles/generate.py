"""Fake kernels made from profiles."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from gpuops.conventions import returned_arguments
from gpuops.devices import Device
from gpuops.errors import GpuopsError, NoFakeError
from gpuops.profiles.errors import ProfileError, ProfileWarning
from gpuops.profiles.model import (
    ArrayMetadata,
    ListProfile,
    OpProfile,
    ScalarProfile,
    checked_profiles,
    differences,
)
from gpuops.profiles.recording import missing_profile
from gpuops.registry import Operator, as_operator
from gpuops.schema import Return, Schema
from gpuops.transforms.fake import FakeArray, get_ctx
from gpuops.transforms.fake.interpreter import has_fake, overrides

__all__ = ["GeneratedFake", "unsafe_generate_fake_kernels"]

_NUMBERS: dict[str, type] = {"int": int, "float": float, "complex": complex, "bool": bool}

_Layer = dict[Operator, Callable[..., Any]]

# What each block of this thread or task overrides, the innermost last.
_layers: ContextVar[tuple[_Layer, ...]] = ContextVar("gpuops_profile_layers", default=())

_warned: WeakSet[Operator] = WeakSet()


@contextmanager
def unsafe_generate_fake_kernels(profiles: Mapping[str, Set[OpProfile]]) -> Iterator[None]:
    """Let operators have fake kernels that profiles make, in the block.

    It is unsafe because nothing says that the operator does the same for other sizes. A call that
    a profile is of gives new arrays of the recorded rank, dtype, device type and order; all sizes
    are dynamic, and the strides are row-major (column-major where the order is "F"). Where several
    profiles are of a call, those with fewer "any" come first, and then it goes by their text.

    The block concerns its own thread or task; it may be nested, and the inner profiles of an
    operator stand in for the outer ones. Existing fake kernels are back when it ends, however it
    ends. Overriding one warns, once an operator.

    Args:
        profiles: as `record_op_profiles` gives them.

    Raises:
        ProfileError: malformed profiles, or an operator that there is none of; nothing is
            overridden then.
        MissingOpProfile (a call): no profile is of it.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_generate::double", mutates_args=())
    ... def double(x: gpuops.Array) -> gpuops.Array:
    ...     return x * 2
    >>> from gpuops.profiles import record_op_profiles
    >>> with record_op_profiles() as profiles:
    ...     _ = double(np.ones(3))
    >>> with unsafe_generate_fake_kernels(profiles), gpuops.FakeMode():
    ...     double(gpuops.FakeArray((5,)))
    FakeArray(shape=(u0,), dtype=float64, device='cpu')
    >>> double.undo()
    """
    known = checked_profiles(profiles)
    made: _Layer = {}
    for name, options in known.items():
        try:
            operator = as_operator(name)
        except GpuopsError as error:
            raise ProfileError(f"profiles of {name!r}: {error}") from error
        made[operator] = GeneratedFake(operator, options)
    outer = overrides.get() or {}
    for operator in made:
        if operator not in outer and operator not in _warned and has_fake(operator):
            _warned.add(operator)
            warnings.warn(
                f"{operator.qualname} has a fake kernel, which recorded profiles override in "
                "a block of unsafe_generate_fake_kernels",
                ProfileWarning,
                stacklevel=3,  # of the ``with`` statement, behind contextlib
            )
    layers = (*_layers.get(), made)
    _enter(layers)
    try:
        yield
    finally:
        # Not by a token: blocks in generators end in any order, and in other contexts.
        _enter(tuple(layer for layer in _layers.get() if layer is not made))


def _enter(layers: tuple[_Layer, ...]) -> None:
    _layers.set(layers)
    overrides.set({operator: fake for layer in layers for operator, fake in layer.items()} or None)


class GeneratedFake:
    """A fake kernel made from profiles.

    Args:
        operator: whose.
        options: its profiles, in the order in which they are tried.
        match: whether a profile has to be of a call; otherwise the first one is taken.
    """

    described = "made from recorded profiles"
    """What messages say in the place of a line."""

    def __init__(
        self, operator: Operator, options: Sequence[OpProfile], *, match: bool = True
    ) -> None:
        self._operator = operator
        self._options = options
        self._match = match

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for a call.

        Raises:
            MissingOpProfile: no profile is of it.
        """
        values = (*args, *kwargs.values())
        for profile in self._options:
            if not (self._match and differences(self._operator, profile, values)):
                return _outputs(self._operator, profile.out_profile, values)
        raise missing_profile(self._operator, self._options, values)


def _outputs(operator: Operator, out_profile: Any, values: tuple[Any, ...]) -> Any:
    """What a fake kernel made from a profile returns.

    Args:
        operator: whose fake kernel is running.
        out_profile: of the outputs.
        values: the call's arguments in schema order.
    """
    schema = operator.schema
    returned = [p.name for p in returned_arguments(schema, operator.tags)]
    if returned:
        names = [parameter.name for parameter in schema.parameters]
        given = dict(zip(names, values, strict=True))
        arrays = tuple(given[name] for name in returned)
        return arrays if schema.returns_tuple else arrays[0]
    if not schema.returns:
        return None
    made = _make(operator, out_profile, values)
    aliased = [_aliased_argument(schema, declared) for declared in schema.returns]
    if all(index is None for index in aliased):
        return made
    # What the schema says to be an argument is that argument.
    results = made if schema.returns_tuple else (made,)
    results = tuple(
        made if index is None else values[index]
        for index, made in zip(aliased, results, strict=True)
    )
    return results if schema.returns_tuple else results[0]


def _aliased_argument(schema: Schema, declared: Return) -> int | None:
    """The position of the mutated argument that a return is declared to be."""
    if declared.alias is None or not declared.alias.is_write:
        return None
    for index, parameter in enumerate(schema.parameters):
        if parameter.alias == declared.alias:
            return index
    return None


def _make(operator: Operator, entry: Any, values: tuple[Any, ...]) -> Any:
    if isinstance(entry, tuple):
        return tuple(_make(operator, item, values) for item in entry)
    if isinstance(entry, ListProfile):
        return [_make(operator, item, values) for item in entry.items]
    if isinstance(entry, ArrayMetadata):
        context = get_ctx()
        shape = tuple(context.new_dynamic_size() for _ in range(entry.rank))
        order = "F" if entry.order == "F" else "C"
        return FakeArray(shape, entry.dtype, _device(entry.device, values), order=order)
    assert isinstance(entry, ScalarProfile)
    if entry.type == "none":
        return None
    if entry.type in _NUMBERS:
        return get_ctx().new_dynamic_number(_NUMBERS[entry.type])
    if entry.value is not None:
        return entry.value
    why = "several were recorded" if entry.type == "str" else "no profile tells which"
    raise NoFakeError(
        f"{operator.qualname} returns a value of type {entry.type}, and {why}: register a fake "
        f"kernel. Declared as {operator.declaration}"
    )


def _device(device_type: str, values: tuple[Any, ...]) -> Device:
    """The device of the arguments that is of the recorded type; its first one if there is none."""
    for value in values:
        for item in value if isinstance(value, list) else (value,):
            if type(item) is FakeArray and item.device.type == device_type:
                found: Device = item.device
                return found
    return Device(device_type)
