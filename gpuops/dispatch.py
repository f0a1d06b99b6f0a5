"""Which kernel a call runs, and everything about a call that is not quick.

The generated call (`gpuops.codegen`) tests exact types and calls a kernel from its globals. This
module fills those globals (`refresh`) and takes the calls that the tests turn away: values to
convert, wrapper types, mixed or missing devices, other GPUs than the current one, kernels that are
lazy, switched off or missing, and debug mode.

Wrapper types (fakes, tracing, differentiable and batched arrays) register themselves here with an
interpreter and a level; the dispatcher names none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn, Protocol

import numpy as np

from gpuops import checks, codegen, versions
from gpuops.checks import Inspection
from gpuops.convert import Arguments, Found, convert_outputs, is_exact, wrapper_types
from gpuops.devices import ArrayKind, Device, array_kind, kind_for
from gpuops.entries import Entry, push, without
from gpuops.errors import (
    ArgumentError,
    DeviceError,
    FakeDataError,
    Location,
    NoKernelError,
    RegistrationError,
    UsageError,
    caller_location,
    describe,
)
from gpuops.opaque_fakes import is_fake
from gpuops.register import device_parameter
from gpuops.registry import Operator, Registration, registry
from gpuops.symbols import is_symbolic

__all__ = [
    "Ambient",
    "Interpreter",
    "Observer",
    "Wrapper",
    "ambient",
    "entered",
    "intercepted",
    "observed",
    "observers",
    "register_wrapper",
    "run_kernel",
    "switched_off",
]


class Interpreter(Protocol):
    """Takes the calls that have one of its wrappers among their arguments."""

    def __call__(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run `operator`; the arguments are converted, in schema order."""


class Wrapper(Entry):
    """A registered wrapper type; the highest level among the arguments gets the call.

    Attributes:
        level: the order among wrapper types.
    """

    __slots__ = ("level",)

    def __init__(self, interpreter: Interpreter, level: int, location: Location) -> None:
        super().__init__(interpreter, location)
        self.level = level


class Ambient(Protocol):
    """What calls without a wrapper among their arguments are made in; see `ambient`.

    Attributes:
        level: as of wrapper types; it also takes calls whose wrappers are all of lower levels.
        only_factories: whether it leaves calls that have arrays among their arguments alone.
    """

    level: int
    only_factories: bool

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run `operator`, as an `Interpreter` does."""


ambient: ContextVar[Ambient | None] = ContextVar("gpuops_ambient", default=None)
"""Takes this context's calls that have no wrapper among their arguments; None: they just run."""

intercepted: list[None] = []
"""Holds an item for everyone who takes factories' calls now, in any thread.

Generated calls of operators that can be called without arrays look whether it is empty. Such calls
are intercepted far more often than a ``with`` block is entered (within every fake kernel), so that
changing all generated calls' kernels each time would cost too much.
"""


@contextmanager
def entered(mode: Ambient) -> Iterator[None]:
    """Let `mode` take the calls made in the block, in this thread or task."""
    token = ambient.set(mode)
    _count_entered(1)
    try:
        yield
    finally:
        _count_entered(-1)
        ambient.reset(token)


class _Entered:
    """How many blocks of `entered` there are; while there is one, no call is quick."""

    count = 0


def _count_entered(step: int) -> None:
    with registry.lock:
        before = _Entered.count
        _Entered.count = before + step
        if bool(before) != bool(_Entered.count):
            refresh_all()


Observer = Callable[[Operator, Sequence[Any]], Callable[[Any], None]]
"""Is told of a call's arguments, in schema order, and returns what is told of its result."""


class _Observers:
    """Who is told of the calls of all threads; while there is one, no call is quick."""

    active: tuple[Observer, ...] = ()

    def begin(self, operator: Operator, values: Sequence[Any]) -> Callable[[Any], None]:
        """Tell all of a call that begins; what is returned tells them of its result."""
        ends = [observer(operator, values) for observer in self.active]

        def end(out: Any) -> None:
            for each in ends:
                each(out)

        return end


observers = _Observers()


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tell `observer` of every call of a real or a fake kernel in the block, in all threads."""
    with registry.lock:
        observers.active = (*observers.active, observer)
        if len(observers.active) == 1:
            refresh_all()
    try:
        yield
    finally:
        with registry.lock:
            rest = list(observers.active)
            rest.remove(observer)
            observers.active = tuple(rest)
            if not rest:
                refresh_all()


def register_wrapper(cls: type, interpreter: Interpreter, level: int) -> Registration:
    """Let `interpreter` take every call that has an array of exact type `cls` and no higher one.

    Args:
        cls: the wrapper class; subclasses are registered on their own.
        interpreter: called as ``interpreter(operator, args, kwargs)``.
        level: the order among wrapper types; a call goes to the highest.

    Returns:
        A handle that undoes it.

    Raises:
        UsageError: `cls` is no class, `interpreter` not callable, or `level` no number.
        RegistrationError: arrays of type `cls` go to kernels already.
    """
    if not isinstance(cls, type):
        raise UsageError(f"register_wrapper takes a class, got {describe(cls)}")
    where = f"register_wrapper({cls.__qualname__})"
    if not callable(interpreter):
        raise UsageError(
            f"{where}: an interpreter is required to be a callable, got {describe(interpreter)}"
        )
    if not isinstance(level, int):
        raise UsageError(f"{where}: the level must be an int, got {describe(level)}")
    kind = array_kind(cls)
    if kind is not None:
        raise RegistrationError(
            f"{where}: these are arrays of {kind.device_type!r} kernels, and no wrapper type"
        )
    wrapper = Wrapper(interpreter, level, caller_location())
    with registry.lock:

        def undo() -> None:
            without(wrapper_types, cls, wrapper)
            _forget_routes()

        handle = Registration(undo, wrapper.location)
        wrapper.hold(handle)
        wrapper_types[cls] = push(wrapper_types.get(cls, ()), wrapper)
        _forget_routes()
    return handle


# (operator, device type) pairs whose kernel is switched off in this context.
switched_off: ContextVar[frozenset[tuple[Operator, str | None]]] = ContextVar(
    "gpuops_switched_off", default=frozenset()
)


# -- choosing a kernel -----------------------------------------------------------------------------


def _find_kernel(
    operator: Operator, device_type: str | None
) -> tuple[Callable[..., Any], str] | None:
    """The kernel for a device type, then the default kernel, then a fallback; and its place."""
    off = switched_off.get() if operator.switched_off else frozenset()
    keys = (device_type, None) if device_type is not None else (None,)
    for key in keys:
        for kernel in reversed(operator.kernels.get(key, ())):
            if (operator, key) in off:
                break
            if kernel.value is None:
                kernel.load()
                with registry.lock:
                    refresh(operator)
            if not kernel.is_fallthrough:
                return kernel.value, str(kernel)
    entry = registry.fallback(operator.namespace, device_type)
    if entry is None:
        return None
    return partial(entry.value, operator), f"{describe(entry.value)} ({entry.location})"


def _quick_kernel(operator: Operator, device_type: str | None) -> Callable[..., Any] | None:
    """The kernel's function if calls may go straight to it, without a look at anything else."""
    if operator.switched_off or checks.state.contexts or _Entered.count or observers.active:
        return None
    kernel = operator.effective_kernel(device_type)
    return None if kernel is None else kernel.value


def _fail_without_kernel(operator: Operator, device: Device | None) -> NoReturn:
    off = sorted(key or "default" for op, key in switched_off.get() if op is operator)
    have = operator.device_types()
    known = ", ".join(have) if have else "no device"
    note = f" ({', '.join(off)} switched off by set_kernel_enabled)" if off else ""
    if device is None:
        if operator.schema.array_parameters:
            raise NoKernelError(
                f"{operator.qualname} was called with no array arguments, so there is no device to "
                f"choose a kernel by, and it has no default kernel; it has kernels for {known}"
                f"{note}. Declared as {operator.declaration}"
            )
        raise NoKernelError(
            f"{operator.qualname} has no kernel{note}. Declared as {operator.declaration}"
        )
    raise NoKernelError(
        f"{operator.qualname} does not have a kernel registered for {device.type}; it has kernels "
        f"for {known}{note}. Add one with register_kernel({device.type!r}). "
        f"Declared as {operator.declaration}"
    )


# -- the slow path ---------------------------------------------------------------------------------


def _slow(operator: Operator) -> Callable[..., Any]:
    """The function that takes an operator's calls when there is no kernel to go to quickly."""
    names = [parameter.name for parameter in operator.schema.keyword_only]
    routes: dict[Types, Wrapper] = operator.memo.setdefault("routes", {})
    lists = _list_places(operator)

    def slow(*args: Any, **kwargs: Any) -> Any:
        return _run(operator, routes, args, kwargs, names, lists)[0]

    return slow


def _counting(operator: Operator, slow: Callable[..., Any]) -> Callable[..., Any]:
    """Like `slow`, for calls that the generated tests turn away: it raises versions itself."""
    parameters = operator.schema.parameters
    names = [parameter.name for parameter in operator.schema.keyword_only]
    lists = _list_places(operator)
    mutated = [i for i, parameter in enumerate(parameters) if parameter.is_mutated]
    if not mutated:
        return slow
    routes: dict[Types, Wrapper] = operator.memo.setdefault("routes", {})

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
    wrapper = _highest_wrapper(arguments.arrays)
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


def _forget_routes() -> None:
    for operator in registry.every_operator():
        operator.memo.get("routes", {}).clear()


def _highest_wrapper(arrays: list[Found]) -> Wrapper | None:
    highest: Wrapper | None = None
    for found in arrays:
        if found.kind is None:
            wrapper: Wrapper = wrapper_types[type(found.array)][-1]
            if highest is None or wrapper.level > highest.level:
                highest = wrapper
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
    _learn_cuda(operator, arguments.arrays)
    chosen = _find_kernel(operator, None if device is None else device.type)
    if chosen is None:
        _fail_without_kernel(operator, device)
    function, place = chosen
    guard = _guard(arguments, device)
    inspection = Inspection(operator, arguments, place) if checks.enabled.get() else None
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
    """Whether a converted argument is a `SymInt`, or a list with one."""
    return is_symbolic(value) or (type(value) is list and any(map(is_symbolic, value)))


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
            arguments.values[index] = [int(x) if is_symbolic(x) else x for x in value]
        elif is_symbolic(value):
            arguments.values[index] = int(value)


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


# -- filling the generated call's globals ----------------------------------------------------------


class _NoArray:
    """Stands in the globals for the array type of a library that is not loaded."""


def _build(operator: Operator) -> Callable[..., Any]:
    function, table = codegen.build(operator)
    operator.table = table
    table.unquick = _slow(operator)
    slots: dict[str, Any] = {
        "slow": _counting(operator, table.unquick),
        "check": lambda out, device, *args: convert_outputs(operator, out, device, args),
        "ndarray": np.ndarray,
        "only_ndarray": frozenset({np.ndarray}).issuperset,
        "only_ndarray_or_none": frozenset({np.ndarray, type(None)}).issuperset,
        "intercepted": intercepted,
        "tracked": versions.tracked,
        "bump": versions.bump,
    }
    for wanted, value in slots.items():
        _set(table, wanted, value)
    _set_cuda(table, _NoArray, one_gpu=False, current=lambda *arrays: False)
    function.operator = operator  # type: ignore[attr-defined]  # a function with attributes
    function.schema = operator.schema  # type: ignore[attr-defined]
    function.tags = operator.tags  # type: ignore[attr-defined]
    function._schema = operator.schema  # type: ignore[attr-defined]  # torch's name for it
    function.overloads = partial(_overloads, operator)  # type: ignore[attr-defined]
    if not operator.overload:
        function.default = operator  # type: ignore[attr-defined]
    refresh(operator)
    return function


def _overloads(operator: Operator) -> list[str]:
    """The names of the overloads that share an operator's name, ``"default"`` for the nameless."""
    return [name or "default" for name in registry.overloads(operator.namespace, operator.name)]


def _set(table: codegen.CallTable, wanted: str, value: Any) -> None:
    name = table.known(wanted)
    if name is not None:
        table.globals[name] = value


def _set_cuda(
    table: codegen.CallTable, cls: type, *, one_gpu: bool, current: Callable[..., bool]
) -> None:
    # The array type last: until it is there, no call takes the branch that uses the others.
    _set(table, "one_gpu", one_gpu)
    _set(table, "current_gpu", current)
    _set(table, "only_cuda_array", frozenset({cls}).issuperset)
    _set(table, "only_cuda_array_or_none", frozenset({cls, type(None)}).issuperset)
    _set(table, "cuda_array", cls)


def _learn_cuda(operator: Operator, arrays: list[Found]) -> None:
    """Let later calls with arrays like these, of a CUDA library, go the quick way."""
    for found in arrays:
        kind = found.kind
        table = operator.table
        if kind is None or kind.device_type != "cuda" or not isinstance(table, codegen.CallTable):
            continue
        name = table.known("cuda_array")
        if name is not None and table.globals[name] is _NoArray:
            _set_cuda(table, kind.cls, one_gpu=kind.single_device, current=_on_current_device(kind))


def _on_current_device(kind: ArrayKind) -> Callable[..., bool]:
    """Whether all arrays are on the GPU that is current, so that no guard is needed."""
    current, device_of = kind.current, kind.device_of

    def on_current_device(*arrays: Any) -> bool:
        index = current()
        return all(array is None or device_of(array).index == index for array in arrays)

    return on_current_device


def refresh(operator: Operator) -> None:
    """Put the kernels in force into the generated call's globals."""
    table = operator.table
    if not isinstance(table, codegen.CallTable):
        return
    slow = table.unquick
    for device_type in ("cpu", "cuda"):
        quick = None if operator.gone else _quick_kernel(operator, device_type)
        _set(table, device_type, quick or slow)
    quick = None if operator.gone else _quick_kernel(operator, None)
    _set(table, "default", quick or slow)


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


def refresh_all() -> None:
    """Put the kernels in force into the globals of every call that was built."""
    for operator in registry.every_operator():
        if operator.is_built:
            refresh(operator)


Operator.build_call = _build
Operator.refresh_call = refresh
Operator.refusal = _refusal
