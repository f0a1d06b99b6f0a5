"""Runs operators on fakes: finds the fake kernel, runs it, and checks what it returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

from gpuops.conventions import returned_arguments
from gpuops.errors import DeviceError, FakeMixError, NoFakeError, describe
from gpuops.interception import ambient, intercepted, register_wrapper
from gpuops.observers import observers
from gpuops.opaque import opaque_kind
from gpuops.opaque_fakes import fake_of
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.context import LEVEL, FakeContext
from gpuops.transforms.fake.gufunc import gufunc_fake
from gpuops.transforms.fake.outputs import check_outputs, name_dynamic_sizes
from gpuops.transforms.fake.remembered import key_getter, remember

__all__ = ["has_fake", "interpret", "overrides"]

overrides: ContextVar[Mapping[Operator, Callable[..., Any]] | None] = ContextVar(
    "gpuops_fake_overrides", default=None
)
"""Fake kernels that stand in for the registered ones in this thread or task; None: there are none.

What fakes return meanwhile is not remembered: it may depend on them.
"""


def interpret(
    operator: Operator, args: Sequence[Any], kwargs: dict[str, Any], told: bool = False
) -> Any:
    """Run the fake kernel of an operator.

    Args:
        operator: the operator.
        args: its positional arguments, converted, in schema order.
        kwargs: its keyword-only ones.
        told: whether observers have been told of the call.

    Raises:
        FakeMixError: real arrays, or fakes of several modes, are among the arguments.
        DeviceError: the fakes are on several devices.
        NoFakeError: the operator has no fake kernel.
        ReturnError, AliasError: the fake returned something else than the operator declares.
    """
    if observers.active and not told:
        end = observers.begin(operator, (*args, *kwargs.values()))
        out = interpret(operator, args, kwargs, True)
        end(out)
        return out
    plan = operator.memo.get("fake")
    if plan is None:
        plan = operator.memo["fake"] = _Plan(operator)
    mode = device = None
    arrays = args if plan.only_arrays else plan.arrays(args, kwargs)
    for value in arrays:
        if type(value) is not FakeArray:
            if value is None:
                continue
            return interpret(operator, *_with_numbers(operator, args, kwargs), told)
        if value._device is not device:
            if device is not None:
                _fail_devices(operator, args, kwargs)
            device = value._device
        if value._mode is not mode and value._mode is not None:
            if mode is not None:
                _fail_modes(operator, args, kwargs)
            mode = value._mode
    outer = ambient.get()
    if mode is None and outer is not None:
        mode = getattr(outer, "mode", None)

    entry = registry.rule(operator, FAKE)
    fake = plan.own if entry is None else entry.value
    remembered = getattr(fake, "remembered", None)
    others = overrides.get()
    if others is not None:
        fake, remembered = others.get(operator, fake), None
    if remembered is None or device is None:
        return _run(operator, plan, fake, mode, args, kwargs, arrays)
    key = plan.key(*args, *kwargs.values()) if kwargs else plan.key(*args)
    try:
        found = remembered.get(key)
    except TypeError:  # a symbolic size, which has no hash
        return _run(operator, plan, fake, mode, args, kwargs, arrays)
    if found is not None:
        shape, dtype, strides, is_view, writeable = found
        if is_view:
            return arrays[0].new_view(shape, strides, dtype, writeable=writeable)
        return FakeArray.raw(shape, dtype, device, strides, mode)
    out = _run(operator, plan, fake, mode, args, kwargs, arrays)
    if type(out) is FakeArray and out._device is device:
        remember(remembered, key, out, arrays)
    return out


def has_fake(operator: Operator) -> bool:
    """Whether an operator can be called with fakes: by a rule, its schema or its signature."""
    plan = operator.memo.get("fake")
    if plan is None:
        plan = operator.memo["fake"] = _Plan(operator)
    if registry.rule(operator, FAKE) is not None or plan.own is not None:
        return True
    kernel = operator.kernel(None) if operator.kind == "define" else None
    return kernel is not None and not kernel.is_fallthrough


def _run(
    operator: Operator,
    plan: _Plan,
    fake: Callable[..., Any] | None,
    mode: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    arrays: Sequence[Any],
) -> Any:
    """Run a fake kernel in its context and check what it returned."""
    if fake is None:
        fake = _default_fake(operator)
    elif fake is plan.own and plan.returns_arguments:
        return fake(*args, **kwargs)
    context = FakeContext(operator, fake, mode)
    if plan.opaque:
        args, kwargs = plan.hide_opaque(args, kwargs)
    token = ambient.set(context)
    intercepted.append(None)
    try:
        out = fake(*args, **kwargs)
    finally:
        intercepted.pop()
        ambient.reset(token)
    if context.symbols is not None:
        name_dynamic_sizes(context, out)
    # The usual case: one array, and it is a new one.
    if plan.one_array and type(out) is FakeArray and out._base is None:
        for value in arrays:
            if value is out:
                break
        else:
            return out
    return check_outputs(operator, fake, out, (*args, *kwargs.values()))


class _Plan:
    """What is the same for all fake calls of an operator."""

    __slots__ = ("arrays", "key", "one_array", "only_arrays", "opaque", "own", "returns_arguments")

    def __init__(self, operator: Operator) -> None:
        schema = operator.schema
        self.arrays = _array_getter(operator)
        self.key = key_getter(schema)
        # What messages say of the arguments that the fake may not look into.
        self.opaque = {
            p.name if p.kwarg_only else i: f"argument {p.name!r} of {operator.qualname}"
            for i, p in enumerate(schema.parameters)
            if opaque_kind(p.type.base) == "reference"
        }
        self.only_arrays = all(
            p.type.is_array and not p.type.is_list and not p.kwarg_only for p in schema.parameters
        )
        self.one_array = (
            len(schema.returns) == 1
            and not schema.returns_tuple
            and schema.returns[0].type.is_plain_array
            and schema.returns[0].alias is None
        )
        self.returns_arguments = True
        self.own: Callable[..., Any] | None = None
        returned = returned_arguments(schema, operator.tags)
        if returned:
            self.own = _return_arguments(operator)
        elif not schema.returns and schema.mutated:
            self.own = lambda *args, **kwargs: None
        elif operator.signature is not None:
            self.returns_arguments = False
            self.own = gufunc_fake(operator)

    def hide_opaque(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """A call's arguments with fakes in the place of opaque reference objects."""
        args, kwargs = list(args), dict(kwargs)
        for key, where in self.opaque.items():
            values: Any = kwargs if isinstance(key, str) else args
            values[key] = _hidden(values[key], where)
        return args, kwargs


def _hidden(value: Any, where: str) -> Any:
    return (
        [fake_of(item, where) for item in value] if type(value) is list else fake_of(value, where)
    )


def _array_getter(operator: Operator) -> Callable[[Sequence[Any], dict[str, Any]], list[Any]]:
    """The function that picks the arrays out of a call's arguments."""
    schema = operator.schema
    positions = [i for i, p in enumerate(schema.positional) if p.type.is_array]
    names = [p.name for p in schema.keyword_only if p.type.is_array]
    lists = [i for i in positions if schema.positional[i].type.is_list]
    if not lists and not names:
        return lambda args, kwargs: [args[i] for i in positions]
    plain = [i for i in positions if i not in lists]
    if not names:

        def with_lists(args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
            found = [args[i] for i in plain]
            for place in lists:
                found += args[place] or ()
            return found

        return with_lists

    def arrays(args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        found = []
        for value in [args[i] for i in positions] + [kwargs[name] for name in names]:
            if type(value) is list:
                found += value
            else:
                found.append(value)
        return found

    return arrays


def _return_arguments(operator: Operator) -> Callable[..., Any]:
    """The fake of an in-place or out operator: it returns the arguments that it writes to."""
    schema = operator.schema
    names = [parameter.name for parameter in returned_arguments(schema, operator.tags)]
    if names == [parameter.name for parameter in schema.positional[:1]]:
        return lambda first, *args, **kwargs: first
    if len(names) == 1:
        return lambda *args, **kwargs: kwargs[names[0]]
    return lambda *args, **kwargs: tuple(kwargs[name] for name in names)


def _default_fake(operator: Operator) -> Callable[..., Any]:
    """The default kernel of an operator that a library defined; the error for any other.

    Raises:
        NoFakeError: it says what to write.
    """
    if operator.kind == "define":
        kernel = operator.kernel(None)
        if kernel is not None and not kernel.is_fallthrough:
            return kernel.load()
    _fail_without_fake(operator)


def _fail_without_fake(operator: Operator) -> NoReturn:
    schema = operator.schema
    name = operator.name
    custom = operator.kind == "custom_op"
    decorator = f"{name}.register_fake" if custom else f'gpuops.register_fake("{schema.qualname}")'
    parameters = [parameter.name for parameter in schema.positional]
    if schema.keyword_only:
        parameters += ["*", *(parameter.name for parameter in schema.keyword_only)]
    first = next((p.name for p in schema.array_parameters if p.type.is_plain_array), None)
    new = "gpuops.FakeArray(shape, dtype, device)" if first is None else f"{first}.new_empty(shape)"
    values = ", ".join(new if r.type.is_plain_array else "..." for r in schema.returns) or "None"
    raise NoFakeError(
        f"There was no fake impl registered for <CustomOp({schema.qualname})>, so it cannot be "
        f"called with fake arrays. Please use `{decorator}` to add one, which computes the "
        f"outputs' shapes:\n\n    @{decorator}\n    def _({', '.join(parameters)}):\n"
        f"        return {values}\n\nDeclared as {operator.declaration}"
    )


def _with_numbers(
    operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with fakes for 0-d NumPy arrays: those are what NumPy's numbers became.

    Raises:
        FakeMixError: there are other real arrays among them, or no fakes.
    """
    arrays = [array for _, array in _named_arrays(operator, args, kwargs)]
    fakes = [array for array in arrays if type(array) is FakeArray]
    real = [array for array in arrays if type(array) is not FakeArray]
    if not fakes or any(type(array) is not np.ndarray or array.ndim for array in real):
        _fail_mixed(operator, args, kwargs)
    like = fakes[0]

    def faked(value: Any) -> Any:
        if type(value) is list:
            return [faked(item) for item in value]
        if type(value) is np.ndarray:
            return FakeArray.raw((), value.dtype, like.device, None, like.fake_mode)
        return value

    return [faked(value) for value in args], {k: faked(v) for k, v in kwargs.items()}


# -- arguments that do not go together -------------------------------------------------------------


def _named_arrays(
    operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]
) -> list[tuple[str, Any]]:
    found = []
    values = [*args, *kwargs.values()]
    for parameter, value in zip(operator.schema.parameters, values, strict=True):
        if not parameter.type.is_array or value is None:
            continue
        if isinstance(value, list):
            items = [(f"{parameter.name}[{i}]", item) for i, item in enumerate(value)]
            found += [(name, item) for name, item in items if item is not None]
        else:
            found.append((parameter.name, value))
    return found


def _fail_mixed(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> NoReturn:
    arrays = _named_arrays(operator, args, kwargs)
    real = [f"{name!r} ({describe(a)})" for name, a in arrays if type(a) is not FakeArray]
    fake = [repr(name) for name, a in arrays if type(a) is FakeArray]
    why = f"{', '.join(fake)} fake" if fake else "the call is made in a FakeMode"
    raise FakeMixError(
        f"{operator.qualname}: please convert all arrays to fakes first: {', '.join(real)} real, "
        f"but {why}. Use mode.from_array(...) with a FakeMode. Declared as {operator.declaration}"
    )


def _fail_modes(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> NoReturn:
    names = [repr(n) for n, a in _named_arrays(operator, args, kwargs) if a.fake_mode is not None]
    raise FakeMixError(
        f"{operator.qualname}: the fakes {', '.join(names)} come from different FakeModes; make "
        f"them with one. Declared as {operator.declaration}"
    )


def _fail_devices(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> NoReturn:
    arrays = [(n, a) for n, a in _named_arrays(operator, args, kwargs) if type(a) is FakeArray]
    listed = " and ".join(f"{name!r} is on {array.device}" for name, array in arrays)
    raise DeviceError(
        f"{operator.qualname}: expected all arrays to be on the same device, but {listed}. "
        f"Declared as {operator.declaration}"
    )


register_wrapper(FakeArray, interpret, LEVEL)
