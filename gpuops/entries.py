"""What can be registered and undone: handles, stacks of overrides, kernels."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, final

from gpuops.errors import Location, RegistrationError, describe, location_of
from gpuops.locks import registry_lock

__all__ = [
    "Entry",
    "Kernel",
    "Registration",
    "Stack",
    "fallthrough_kernel",
    "push",
    "without",
]


@final
class Registration:
    """The handle of one registration: ``undo()`` takes it back, as does leaving its ``with``.

    Undoing restores what the registration replaced. Undoing twice is fine.
    """

    __slots__ = ("__weakref__", "_owner", "_undo", "location")

    def __init__(self, undo: Callable[[], None], location: Location) -> None:
        self._undo: Callable[[], None] | None = undo
        self._owner: dict[Registration, None] | None = None
        self.location = location

    @property
    def active(self) -> bool:
        """Whether the registration has not been undone."""
        return self._undo is not None

    def undo(self) -> None:
        """Take the registration back; what it replaced is in force again."""
        with registry_lock:
            undo, self._undo = self._undo, None
            owner, self._owner = self._owner, None
            if owner is not None:
                owner.pop(self, None)
            if undo is not None:
                undo()

    def belong_to(self, owner: dict[Registration, None]) -> None:
        """Let `owner` keep the handle until it is undone."""
        self._owner = owner
        owner[self] = None

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        state = "active" if self.active else "undone"
        return f"<Registration at {self.location}, {state}>"


class _Fallthrough:
    """The type of `fallthrough_kernel`."""

    __name__ = "fallthrough_kernel"

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise RuntimeError("fallthrough_kernel marks a kernel as skipped; it is never called")

    def __repr__(self) -> str:
        return "gpuops.fallthrough_kernel"

    def __reduce__(self) -> str:
        # Copied and unpickled it is still the one object that dispatch looks for.
        return "fallthrough_kernel"


fallthrough_kernel = _Fallthrough()
"""Registered as a kernel, it makes dispatch skip to the next one: default kernel, then fallback."""


class Entry:
    """One registered value on a stack of overrides.

    Attributes:
        value: what was registered.
        location: where.
        alive: False once it was undone or its operator is gone.
    """

    __slots__ = ("__weakref__", "_handle", "alive", "location", "value")

    def __init__(self, value: Any, location: Location) -> None:
        self.value = value
        self.location = location
        self.alive = True
        self._handle: weakref.ref[Registration] | None = None

    def hold(self, handle: Registration) -> None:
        """Remember, weakly, the handle that can undo the entry."""
        self._handle = weakref.ref(handle)

    @property
    def can_be_undone(self) -> bool:
        """Whether somebody still has the handle."""
        return self._handle is not None and self._handle() is not None

    @property
    def is_fallthrough(self) -> bool:
        """Whether dispatch skips it."""
        return self.value is fallthrough_kernel


E = TypeVar("E", bound=Entry)
K = TypeVar("K", bound=Hashable)
Stack = tuple[E, ...]
"""What was registered for one thing, the one in force last."""


def push(stack: Stack[E], entry: E) -> Stack[E]:
    """The stack with `entry` in force.

    Below an entry that nobody can undo, nothing can ever come back, unless the entry is one that
    is skipped: registering again and again (a notebook, a test loop) must not grow.
    """
    kept: list[E] = []
    for present in reversed(stack):
        if present.is_fallthrough and not present.can_be_undone:
            # One that stays for ever skips to what the next one like it skips to.
            if not (kept and kept[-1].is_fallthrough):
                kept.append(present)
            continue
        kept.append(present)
        if not present.can_be_undone:
            break
    return (*reversed(kept), entry)


def without(stacks: dict[K, Stack[E]], key: K, entry: E) -> None:
    """Take an entry off the stack of `key`; an empty stack is removed."""
    rest = tuple(other for other in stacks.get(key, ()) if other is not entry)
    if rest:
        stacks[key] = rest
    else:
        stacks.pop(key, None)


class Kernel(Entry):
    """A kernel on its stack: a function, or the place of one that is imported at first use.

    Attributes:
        device_type: the device type it serves, None for the default kernel.
        lazy: ``"package.module:name"`` as long as it has not been imported.
    """

    __slots__ = ("_check", "device_type", "lazy", "operator_name")

    def __init__(
        self,
        target: Callable[..., Any] | str,
        device_type: str | None,
        operator_name: str,
        location: Location,
        check: Callable[[Callable[..., Any]], None],
    ) -> None:
        super().__init__(None if isinstance(target, str) else target, location)
        self.device_type = device_type
        self.operator_name = operator_name
        self.lazy = target if isinstance(target, str) else None
        self._check = check

    def load(self) -> Callable[..., Any]:
        """The kernel's function, imported now if it is lazy.

        Raises:
            RegistrationError: the module or the name in it does not exist, or what is there does
                not take the operator's arguments.
        """
        if self.value is None:
            self.value = self._import()
        return self.value  # type: ignore[no-any-return]  # Entry holds values of any type

    def _import(self) -> Callable[..., Any]:
        module_name, _, attribute = str(self.lazy).partition(":")
        try:
            found: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise RegistrationError(
                f"the {self.device_type or 'default'} kernel {self.lazy!r} of "
                f"{self.operator_name}, registered at {self.location}, cannot be imported: {error}"
            ) from error
        if not callable(found):
            raise RegistrationError(
                f"the {self.device_type or 'default'} kernel {self.lazy!r} of "
                f"{self.operator_name}, registered at {self.location}, is {describe(found)}, "
                "not a function"
            )
        self._check(found)
        function: Callable[..., Any] = found
        return function

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.lazy} (registered at {self.location})"
        function = getattr(self.value, "py_func", self.value)
        name = getattr(function, "__qualname__", None) or getattr(
            function, "__name__", type(function).__name__
        )
        module = getattr(function, "__module__", None)
        place = location_of(self.value) or self.location
        return f"{module}:{name} ({place})" if module else f"{name} ({place})"
