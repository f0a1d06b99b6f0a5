"""What a call does when it is not quick.

The generated call (`gpuops.codegen`) tests exact types and calls a kernel from its globals
(`gpuops.call_globals`). This module takes the calls that the tests turn away: values to convert,
wrapper types (`gpuops.interception`), mixed or missing devices, other GPUs than the current one,
kernels that are lazy, switched off or missing (`gpuops.selection`), and debug mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NoReturn

from gpuops import call_globals, checks, codegen, versions
from gpuops.checks import Inspection
from gpuops.convert import Arguments, Found, convert_outputs, is_exact, wrapper_types
from gpuops.devices import Device, kind_for
from gpuops.errors import ArgumentError, DeviceError, FakeDataError
from gpuops.interception import Wrapper, ambient, highest_wrapper, routes_of
from gpuops.observers import observers
from gpuops.opaque_fakes import is_fake
from gpuops.register import device_parameter
from gpuops.registry import Operator, registry
from gpuops.selection import describe_kernel, fail_without_kernel, find_kernel
from gpuops.symbols import is_sym_number, is_symbolic

__all__ = ["holds_symbols", "run_kernel"]


# -- the slow path ---------------------------------------------------------------------------------


def _slow(operator: Operator) -> Callable[..., Any]:
    """The function that takes an operator's calls when there is no kernel to go to quickly."""
    names = [parameter.name for parameter in operator.schema.keyword_only]
    routes = routes_of(operator)
    lists = _list_places(operator)

    def slow(*args: Any, **kwargs: Any) -> Any:
        return _run(operator, routes, args, kwargs, names, lists)[0]

    def positional(*args: Any) -> Any:
        # As `_run` does in the usual case: wrappers, within nothing that takes calls.
        wrapper = routes.get(tuple(map(type, args)))
        if wrapper is not None and operator.gone is None and ambient.get() is None:
            return wrapper.value(operator, args, {})
        return _run(operator, routes, args, {}, names, lists)[0]

    return slow if names or lists else positional


def _counting(operator: Operator, slow: Callable[..., Any]) -> Callable[..., Any]:
    """Like `slow`, for calls that the generated tests turn away: it raises versions itself."""
    parameters = operator.schema.parameters
    names = [parameter.name for parameter in operator.schema.keyword_only]
    lists = _list_places(operator)
    mutated = [i for i, parameter in enumerate(parameters) if parameter.is_mutated]
    if not mutated:
        return slow
    routes = routes_of(operator)

    def counting(*args: Any, **kwargs: Any) -> Any:
        out, values = _run(operator, routes, args, kwargs, names, lists)
        if versions.tracked:
            # The converted values: what came may be an iterator, which is used up by now.
            versions.bump(*(values[index] for index in mutated))
        return out

    return counting


Types = tuple[Any, ...]
"""The exact types of a call's arguments: for a list, a tuple of its type and its items' types."""

# Longer lists are rare, and each length is a route of its own.
_LONGEST_ROUTE = 8


def _list_places(operator: Operator) -> list[int]:
    """Where the lists are among an operator's parameters."""
    return [i for i, p in enumerate(operator.schema.parameters) if p.type.is_list]


def _with_items(types: Types, values: Sequence[Any], lists: Sequence[int]) -> Types:
    found = [*types]
    for place in lists:
        if types[place] is list and len(values[place]) <= _LONGEST_ROUTE:
            found[place] = (list, *map(type, values[place]))
    return tuple(found)


def _has_wrapper(types: Types) -> bool:
    known = wrapper_types.keys()
    return any(not known.isdisjoint(t) if type(t) is tuple else t in known for t in types)


def _run(
    operator: Operator,
    routes: dict[Types, Wrapper],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    names: Sequence[str],
    lists: Sequence[int],
) -> tuple[Any, Sequence[Any]]:
    """The result of a call, and its converted arguments.

    Args:
        operator: what is called.
        routes: what `_find_route` found for it, by the types of arguments.
        args: the positional arguments, all of them.
        kwargs: the keyword-only ones, all of them, in the order of the schema.
        names: of the keyword-only parameters.
        lists: the places of the parameters that are lists.
    """
    if operator.gone is not None:
        operator.check_alive()
    values: Sequence[Any] = (*args, *kwargs.values()) if kwargs else args
    types: Types = tuple(map(type, values))
    has_lists = lists and list in types
    if has_lists:
        types = _with_items(types, values, lists)
    wrapper = routes.get(types)
    if wrapper is None and _has_wrapper(types):
        wrapper = _find_route(operator, types)
        if wrapper is not None:
            routes[types] = wrapper
    mode = ambient.get()
    if wrapper is not None:
        if has_lists:
            # As for kernels: what they do to their list is no business of the caller's.
            values = [*values]
            for place in lists:
                if type(values[place]) is list:
                    values[place] = [*values[place]]
            if kwargs and lists[-1] >= len(args):
                kwargs = dict(zip(kwargs, values[len(args) :], strict=True))
            args = values[: len(args)] if kwargs else values
        if mode is not None and mode.level > wrapper.level:
            return mode.interpret(operator, args, kwargs), values
        return wrapper.value(operator, args, kwargs), values
    arguments = Arguments(operator, (*args, *(kwargs[name] for name in names)))
    wrapper = highest_wrapper(arguments.arrays)
    if wrapper is not None and (mode is None or mode.level <= wrapper.level):
        out = wrapper.value(operator, arguments.positional, arguments.keywords)
    elif mode is not None and not (mode.only_factories and arguments.arrays):
        out = mode.interpret(operator, arguments.positional, arguments.keywords)
    else:
        out = run_kernel(operator, arguments)
    return out, arguments.values


def _find_route(operator: Operator, types: Types) -> Wrapper | None:
    """The wrapper that gets calls with arguments of exactly these types, if none needs converting.

    Converting arguments takes longer than computing a shape; a call with wrappers skips it where
    the types alone say that it would change nothing.
    """
    highest: Wrapper | None = None
    for parameter, given in zip(operator.schema.parameters, types, strict=True):
        type_ = parameter.type
        if type(given) is tuple:
            classes = given[1:]
            fits = type_.is_list and type_.size in (None, len(classes))
            fits = fits and all(is_exact(type_.item, cls) for cls in classes)
        else:
            classes = (given,)
            fits = is_exact(type_, given)
        if not fits:
            return None
        for cls in classes:
            stack = wrapper_types.get(cls)
            if stack and (highest is None or stack[-1].level > highest.level):
                highest = stack[-1]
    return highest


def run_kernel(operator: Operator, arguments: Arguments) -> Any:
    """Run the kernel for converted arguments without wrappers among them, and check its result.

    Raises:
        DeviceError: the arrays are on several devices.
        NoKernelError: there is no kernel for their device.
        ReturnError, AliasError, MutationError: the kernel did what it is not declared to do.
    """
    if any(map(holds_symbols, arguments.values)):
        _put_numbers(arguments)
    if any(map(_holds_fake, arguments.values)):
        _fail_with_fakes(operator, arguments)
    device = _common_device(operator, arguments)
    call_globals.learn_cuda(operator, arguments.arrays)
    chosen = find_kernel(operator, None if device is None else device.type)
    if chosen is None:
        fail_without_kernel(operator, device)
    function, entry = chosen
    guard = _guard(arguments, device)
    inspection = None
    if checks.enabled.get():
        inspection = Inspection(operator, arguments, describe_kernel(entry))
    observed_end = observers.begin(operator, arguments.values) if observers.active else None
    with guard:
        out = function(*arguments.positional, **arguments.keywords)
    expected = None if device is None else device.type
    out = convert_outputs(operator, out, expected, tuple(arguments.values))
    if inspection is not None:
        inspection.finish(out)
    if observed_end is not None:
        observed_end(out)
    return out


def holds_symbols(value: Any) -> bool:
    """Whether a converted argument is a symbol for a number, or a list with one."""
    return _is_symbol(value) or (type(value) is list and any(map(_is_symbol, value)))


def _is_symbol(value: Any) -> bool:
    return is_symbolic(value) or is_sym_number(value)


def _holds_fake(value: Any) -> bool:
    return is_fake(value) or (type(value) is list and any(map(is_fake, value)))


def _fail_with_fakes(operator: Operator, arguments: Arguments) -> NoReturn:
    parameters = operator.schema.parameters
    names = [p.name for p, v in zip(parameters, arguments.values, strict=True) if _holds_fake(v)]
    raise FakeDataError(
        f"{operator.qualname}: argument {names[0]!r} is the fake of an opaque object, as fake "
        "kernels get them, and a real kernel cannot use it: a fake kernel may hand it to operators "
        f"on fake arrays only. Declared as {operator.declaration}"
    )


def _put_numbers(arguments: Arguments) -> None:
    """Put numbers in the place of symbols: a kernel needs them; see `ShapeEnv.value`."""
    for index, value in enumerate(arguments.values):
        if type(value) is list:
            arguments.values[index] = list(map(_number, value))
        else:
            arguments.values[index] = _number(value)


def _number(value: Any) -> Any:
    if is_sym_number(value):
        return value.known()
    return int(value) if is_symbolic(value) else value


def _guard(arguments: Arguments, device: Device | None) -> AbstractContextManager[Any]:
    """A context in which the device of the call is the current one."""
    if device is None:
        return nullcontext()
    if arguments.arrays:
        kind = arguments.arrays[0].kind
    else:
        # A factory: without an index, the device that is current already is meant.
        kind = None if device.index is None else kind_for(device.type)
    return nullcontext() if kind is None else kind.guard(device)


def _common_device(operator: Operator, arguments: Arguments) -> Device | None:
    """The device of all arrays; without arrays, what the ``device`` argument says."""
    first: tuple[Found, Device] | None = None
    for found in arguments.arrays:
        assert found.kind is not None
        device = found.kind.device_of(found.array)
        if first is None:
            first = (found, device)
        elif device is not first[1]:
            raise DeviceError(
                f"{operator.qualname}: expected all arrays to be on the same device, but "
                f"{first[0].name!r} is on {first[1]} and {found.name!r} is on {device}. "
                f"Declared as {operator.declaration}"
            )
    if first is not None:
        return first[1]
    name = device_parameter(operator.schema)
    if name is None:
        return None
    index = [parameter.name for parameter in operator.schema.parameters].index(name)
    chosen: Device | None = arguments.values[index]
    # An optional device that was left out means the host, as in NumPy.
    return Device("cpu") if chosen is None else chosen


# -- what the registry asks for --------------------------------------------------------------------


def _build(operator: Operator) -> Callable[..., Any]:
    function, table = codegen.build(operator)
    table.unquick = _slow(operator)
    call_globals.fill(operator, table, _counting(operator, table.unquick))
    function.operator = operator  # type: ignore[attr-defined]  # a function with attributes
    function.schema = operator.schema  # type: ignore[attr-defined]
    function.tags = operator.tags  # type: ignore[attr-defined]
    function._schema = operator.schema  # type: ignore[attr-defined]  # torch's name for it
    function.overloads = partial(_overloads, operator)  # type: ignore[attr-defined]
    if not operator.overload:
        function.default = operator  # type: ignore[attr-defined]
    return function


def _overloads(operator: Operator) -> list[str]:
    """The names of the overloads that share an operator's name, ``"default"`` for the nameless."""
    return [name or "default" for name in registry.overloads(operator.namespace, operator.name)]


def _refusal(operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """Why an overload does not take some arguments; None if it does."""
    parameters = operator.schema.parameters
    positional = operator.schema.positional
    if len(args) > len(positional):
        return ArgumentError(f"takes {len(positional)} positional arguments, {len(args)} given")
    given = dict(zip((p.name for p in positional), args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            return ArgumentError(f"got several values for argument {name!r}")
        if all(parameter.name != name for parameter in parameters):
            return ArgumentError(f"got an unknown argument {name!r}")
        given[name] = value
    values = []
    for parameter in parameters:
        if parameter.name not in given and not parameter.has_default:
            return ArgumentError(f"missing the argument {parameter.name!r}")
        values.append(given.get(parameter.name, parameter.default))
    try:
        Arguments(operator, tuple(values))
    except ArgumentError as error:
        return error
    return None


Operator.build_call = _build
Operator.refresh_call = call_globals.refresh
Operator.refusal = _refusal
