"""Who takes calls in the place of kernels: wrapper types, and what calls are made in.

Wrapper types (fakes, tracing, differentiable and batched arrays) register themselves here with an
interpreter and a level; the dispatcher names none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from gpuops.convert import Found, wrapper_types
from gpuops.devices import array_kind
from gpuops.entries import Entry, push, without
from gpuops.errors import Location, RegistrationError, UsageError, caller_location, describe
from gpuops.registry import Operator, Registration, registry

__all__ = [
    "Ambient",
    "Interpreter",
    "Wrapper",
    "ambient",
    "entered",
    "highest_wrapper",
    "intercepted",
    "is_entered",
    "register_wrapper",
    "routes_of",
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
            registry.refresh_calls()


def is_entered() -> bool:
    """Whether there is a block of `entered` anywhere."""
    return bool(_Entered.count)


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


def highest_wrapper(arrays: Iterable[Found]) -> Wrapper | None:
    """The wrapper that gets a call with these arrays; None if they are all real."""
    highest: Wrapper | None = None
    for found in arrays:
        if found.kind is None:
            wrapper: Wrapper = wrapper_types[type(found.array)][-1]
            if highest is None or wrapper.level > highest.level:
                highest = wrapper
    return highest


def routes_of(operator: Operator) -> dict[Any, Wrapper]:
    """What the slow path remembers of an operator: the wrapper by the types of the arguments."""
    routes: dict[Any, Wrapper] = operator.memo.setdefault("routes", {})
    return routes


def _forget_routes() -> None:
    for operator in registry.every_operator():
        operator.memo.get("routes", {}).clear()
