"""The registry: operators, their kernels and rules, and the handles that undo registrations.

Writers hold one lock. Readers take none: everything a reader looks at is an immutable tuple or a
dictionary entry that is replaced in one step, and an operator only becomes visible when it is
complete.
"""

from __future__ import annotations

import importlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, final

from gpuops.errors import (
    Location,
    OperatorNotFoundError,
    RegistrationError,
    StaleOperatorError,
    caller_location,
    closest,
    describe,
    location_of,
)
from gpuops.gufunc import GufuncSignature
from gpuops.locks import fork_safe
from gpuops.schema import Schema, parse_qualname
from gpuops.tags import Tag

__all__ = [
    "Entry",
    "Kernel",
    "Operator",
    "Registration",
    "Registry",
    "as_operator",
    "fallthrough_kernel",
    "registry",
]


@final
class RegistryLock:
    """A re-entrant lock for writers that also takes work from finalisers.

    A finaliser runs wherever the garbage collector strikes, which may be between two steps of a
    registration in the same thread, where a re-entrant lock would let it in. Its work waits until
    the lock is released.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        self._deferred: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *exc_info: object) -> None:
        try:
            while self._depth == 1 and self._deferred:
                self._deferred.popleft()()
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._owner = None
            self._lock.release()

    def defer(self, work: Callable[[], None]) -> None:
        """Run `work` under the lock: now, or when this thread is done with what it is doing."""
        self._deferred.append(work)
        if self._owner != threading.get_ident():
            with self:
                """Leaving the block runs what was deferred."""


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
        with registry.lock:
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


Stack = tuple[Entry, ...]


def _push(stack: Stack, entry: Entry) -> Stack:
    # Below an entry that nobody can undo, nothing can ever come back: registering again and
    # again (a notebook, a test loop) must not grow.
    if stack and not stack[-1].can_be_undone:
        stack = stack[-1:]
    return (*stack, entry)


class _Fallthrough:
    """The type of `fallthrough_kernel`."""

    __name__ = "fallthrough_kernel"

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise RuntimeError("fallthrough_kernel marks a kernel as skipped; it is never called")

    def __repr__(self) -> str:
        return "gpuops.fallthrough_kernel"


fallthrough_kernel = _Fallthrough()
"""Registered as a kernel, it makes dispatch skip to the next one: default kernel, then fallback."""


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

    @property
    def is_fallthrough(self) -> bool:
        """Whether dispatch skips it."""
        return self.value is fallthrough_kernel

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


@final
class Operator:
    """One overload of an operator: its schema, its kernels, and the function that calls it.

    Users hold `call` (what `gpuops.custom_op` returns); ``ops.<ns>.<name>.<overload>`` is the
    `Operator` itself, which is callable too and can be pickled.
    """

    # Builds the function that calls an operator; the code generator, a layer above, sets it.
    build_call: ClassVar[Callable[[Operator], Callable[..., Any]]]
    # Tells the function above that kernels changed.
    refresh_call: ClassVar[Callable[[Operator], None]]
    # torch's flag; there is no other way to define an operator here.
    _defined_in_python: ClassVar[bool] = True
    # Converts the arguments of a call and forgets the result: why they do not fit, or None.
    refusal: ClassVar[Callable[[Operator, tuple[Any, ...], dict[str, Any]], Exception | None]]

    def __init__(
        self,
        schema: Schema,
        *,
        tags: list[Tag],
        location: Location,
        kind: str,
        signature: GufuncSignature | None = None,
        function: Callable[..., Any] | None = None,
    ) -> None:
        self.schema = schema
        self.namespace, self.name, self.overload = parse_qualname(schema.qualname)
        self.tags = tags
        self.location = location
        self.kind = kind
        self.signature = signature
        self.function = function
        self.gone: str | None = None
        self.kernels: dict[str | None, tuple[Kernel, ...]] = {}
        # How many contexts have switched one of the kernels off; see dispatch.
        self.switched_off = 0
        # What dispatch and transforms remember of the operator; it goes when the operator goes.
        self.memo: dict[str, Any] = {}
        # The globals of the generated call; the code generator's business.
        self.table: object = None
        self._call: Callable[..., Any] | None = None

    @property
    def qualname(self) -> str:
        """``"namespace::name"``, with ``.overload`` behind it unless it is the default one."""
        return self.schema.qualname

    @property
    def _schema(self) -> Schema:
        """torch's name for `schema`."""
        return self.schema

    @property
    def call(self) -> Callable[..., Any]:
        """The generated function that calls the operator."""
        found = self._call
        if found is None:
            with registry.lock:
                if self._call is None:
                    self._call = Operator.build_call(self)
                found = self._call
        return found

    @property
    def is_built(self) -> bool:
        """Whether `call` was asked for already."""
        return self._call is not None

    @property
    def declaration(self) -> str:
        """The schema and where it was registered, for messages."""
        return f"{self.schema} (registered at {self.location})"

    def kernel(self, device_type: str | None) -> Kernel | None:
        """The kernel in force for a device type, or the default kernel for None."""
        stack = self.kernels.get(device_type)
        return stack[-1] if stack else None

    def device_types(self) -> list[str]:
        """The device types with a kernel of their own."""
        return sorted(device for device, stack in self.kernels.items() if device and stack)

    def kernel_table(self) -> dict[str, str]:
        """For each device type, and ``"default"``, the kernel in force and its place."""
        rows = {str(device): str(self.kernel(device)) for device in self.device_types()}
        default = self.kernel(None)
        return rows if default is None else {"default": str(default), **rows}

    def check_alive(self) -> None:
        """Raise if the operator was replaced or its library is gone.

        Raises:
            StaleOperatorError: it says which and where.
        """
        if self.gone is not None:
            raise StaleOperatorError(
                f"this operator object is stale: {self.qualname} (registered at {self.location}) "
                f"{self.gone}"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}.{self.overload or 'default'}"

    def __repr__(self) -> str:
        return f"<Operator({self.qualname})>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return lookup_operator, (self.qualname,)

    def __copy__(self) -> Operator:
        return self

    def __deepcopy__(self, memo: object) -> Operator:
        return self


@final
class Registry:
    """All operators of the process, the rules registered for them, and namespaces' fallbacks."""

    def __init__(self) -> None:
        self.lock = fork_safe(RegistryLock())
        self._packets: dict[tuple[str, str], dict[str, Operator]] = {}
        self._rules: dict[Operator, dict[str, Stack]] = {}
        self._fallbacks: dict[tuple[str, str | None], Stack] = {}
        # Namespace -> the claim of its one DEF library (a `gpuops.library.Claim`).
        self.definitions: dict[str, Any] = {}
        # Called with (namespace, name) after the overloads of an operator have changed.
        self.on_change: Callable[[str, str], None] = lambda namespace, name: None
        # Called with a namespace that has no operators yet; a pack may bring them.
        self.on_unknown_namespace: Callable[[str], None] = lambda namespace: None

    # -- operators ---------------------------------------------------------------------------------

    def overloads(self, namespace: str, name: str) -> dict[str, Operator]:
        """The overloads of an operator by name, in the order of their definition."""
        return self._packets.get((namespace, name), {})

    def every_operator(self) -> list[Operator]:
        """All operators in no particular order."""
        with self.lock:
            return [op for packet in self._packets.values() for op in packet.values()]

    def operators(self, namespace: str | None = None) -> list[Operator]:
        """All operators, or those of one namespace, sorted by name."""
        found = self.every_operator()
        chosen = [op for op in found if namespace is None or op.namespace == namespace]
        return sorted(chosen, key=lambda op: op.qualname)

    def names(self, namespace: str) -> list[str]:
        """The names of the operators in a namespace."""
        return sorted({op.name for op in self.operators(namespace)})

    def find(self, qualname: str) -> Operator:
        """The operator of that name; of the default overload, if the name has none.

        Raises:
            OperatorNotFoundError: there is none; the message names the closest.
        """
        namespace, name, overload = parse_qualname(qualname)
        packet = self.overloads(namespace, name)
        if not packet:
            self.on_unknown_namespace(namespace)
            packet = self.overloads(namespace, name)
        if overload in packet:
            return packet[overload]
        if packet and not overload:
            if len(packet) == 1:
                return next(iter(packet.values()))
            raise OperatorNotFoundError(
                f"{qualname} has several overloads ({', '.join(packet)}) and no default one: "
                f"name one, as in {qualname}.{next(iter(packet))}"
            )
        if packet:
            known = [other or "default" for other in packet]
            raise OperatorNotFoundError(
                f"operator {namespace}::{name} has no overload {overload!r}; it has "
                f"{', '.join(known)}{closest(overload, known)}"
            )
        names = self.names(namespace)
        hint = closest(name, names) or (
            "" if names else f"; nothing is defined in the namespace {namespace!r}"
        )
        raise OperatorNotFoundError(f"operator {namespace}::{name} does not exist{hint}")

    def add(self, operator: Operator) -> Registration:
        """Make an operator visible; the handle takes it back with all that was registered for it.

        A `custom_op` replaces an earlier one of the same name. Any other second definition is an
        error, except the same statement executed again (a reloaded module, a notebook cell).

        Raises:
            RegistrationError: the name is defined already; the message has both places.
        """
        key = (operator.namespace, operator.name)
        with self.lock:
            packet = self._packets.get(key, {})
            previous = packet.get(operator.overload)
            if previous is not None:
                both_custom = previous.kind == operator.kind == "custom_op"
                if not (both_custom or operator.location.is_reload_of(previous.location)):
                    raise RegistrationError(
                        f"operator {operator.qualname} is defined multiple times: "
                        f"first at {previous.location}, now at {operator.location}"
                    )
            # A new dictionary in one step: a reader sees the old packet or the new one.
            self._packets[key] = {**packet, operator.overload: operator}
            if previous is not None:
                self._retire(previous, f"was replaced by the definition at {operator.location}")
            self.on_change(*key)
        return Registration(lambda: self._remove(operator), operator.location)

    def _remove(self, operator: Operator) -> None:
        key = (operator.namespace, operator.name)
        packet = self._packets.get(key, {})
        if packet.get(operator.overload) is not operator:
            return
        rest = {name: other for name, other in packet.items() if other is not operator}
        if rest:
            self._packets[key] = rest
        else:
            del self._packets[key]
        self._retire(operator, "was removed: its library was destroyed or its handle undone")
        self.on_change(*key)

    def _retire(self, operator: Operator, why: str) -> None:
        operator.gone = why
        for kernels in operator.kernels.values():
            for kernel in kernels:
                kernel.alive = False
        for stack in self._rules.pop(operator, {}).values():
            for entry in stack:
                entry.alive = False
        self._changed(operator)

    @staticmethod
    def _changed(operator: Operator) -> None:
        if operator.is_built:
            Operator.refresh_call(operator)

    # -- kernels -----------------------------------------------------------------------------------

    def add_kernels(
        self, operator: Operator, kernels: list[Kernel], *, allow_override: bool = True
    ) -> Registration:
        """Put kernels in force, all of them or none.

        Raises:
            RegistrationError: there is one already and `allow_override` is False.
            StaleOperatorError: the operator is gone.
        """
        with self.lock:
            operator.check_alive()
            for kernel in kernels:
                present = operator.kernel(kernel.device_type)
                if present is not None and not allow_override:
                    raise RegistrationError(
                        f"there is already a kernel registered for "
                        f"{kernel.device_type or 'default'} of {operator.qualname}, at "
                        f"{present.location}; the new one is at {kernel.location} "
                        "(allow_override=True replaces it)"
                    )
            handle = Registration(
                lambda: self._remove_kernels(operator, kernels), kernels[0].location
            )
            for kernel in kernels:
                kernel.hold(handle)
                stack = _push(operator.kernels.get(kernel.device_type, ()), kernel)
                operator.kernels[kernel.device_type] = stack  # type: ignore[assignment]
            self._changed(operator)
        return handle

    def _remove_kernels(self, operator: Operator, kernels: list[Kernel]) -> None:
        for kernel in kernels:
            kernel.alive = False
            stack = operator.kernels.get(kernel.device_type, ())
            operator.kernels[kernel.device_type] = tuple(k for k in stack if k is not kernel)
        self._changed(operator)

    # -- rules -------------------------------------------------------------------------------------

    def add_rule(
        self,
        operator: Operator,
        token: str,
        value: Any,
        *,
        allow_override: bool = True,
        refusal: str = "already has a {token} rule",
    ) -> Registration:
        """Register a rule (fake kernel, gradient, batching, ...) for (operator, token).

        Raises:
            RegistrationError: there is one already and `allow_override` is False.
            StaleOperatorError: the operator is gone.
        """
        location = caller_location()
        with self.lock:
            operator.check_alive()
            rules = self._rules.setdefault(operator, {})
            stack = rules.get(token, ())
            if stack and not allow_override:
                raise RegistrationError(
                    f"operator {operator.qualname} {refusal.format(token=token)}, registered at "
                    f"{stack[-1].location}; the new one is at {location}"
                )
            entry = Entry(value, location)
            handle = Registration(lambda: self._remove_rule(operator, token, entry), location)
            entry.hold(handle)
            rules[token] = _push(stack, entry)
        return handle

    def _remove_rule(self, operator: Operator, token: str, entry: Entry) -> None:
        entry.alive = False
        rules = self._rules.get(operator, {})
        rules[token] = tuple(other for other in rules.get(token, ()) if other is not entry)

    def rule(self, operator: Operator, token: str) -> Entry | None:
        """The rule in force for (operator, token), or None."""
        stack = self._rules.get(operator, {}).get(token)
        return stack[-1] if stack else None

    def rules(self, operator: Operator) -> Iterator[tuple[str, Entry]]:
        """All rules in force for an operator, as (token, entry)."""
        with self.lock:
            rules = sorted(self._rules.get(operator, {}).items())
        return ((token, stack[-1]) for token, stack in rules if stack)

    # -- fallbacks ---------------------------------------------------------------------------------

    def add_fallback(
        self, namespace: str, device_type: str | None, function: Callable[..., Any]
    ) -> Registration:
        """Serve the calls of a namespace (``"_"``: of all) for which there is no kernel."""
        location = caller_location()
        key = (namespace, device_type)
        with self.lock:
            entry = Entry(function, location)
            handle = Registration(lambda: self._remove_fallback(key, entry), location)
            entry.hold(handle)
            self._fallbacks[key] = _push(self._fallbacks.get(key, ()), entry)
        return handle

    def _remove_fallback(self, key: tuple[str, str | None], entry: Entry) -> None:
        entry.alive = False
        rest = tuple(other for other in self._fallbacks.get(key, ()) if other is not entry)
        if rest:
            self._fallbacks[key] = rest
        else:
            self._fallbacks.pop(key, None)

    def fallback(self, namespace: str, device_type: str | None) -> Entry | None:
        """The nearest fallback: of the namespace before that of all, of the device before any."""
        for space in (namespace, "_"):
            for device in (device_type, None):
                stack = self._fallbacks.get((space, device), ())
                for entry in reversed(stack):
                    if entry.value is not fallthrough_kernel:
                        return entry
        return None


registry = Registry()


def lookup_operator(qualname: str) -> Operator:
    """The operator of that name; how a pickled operator is found again."""
    return registry.find(qualname)


def as_operator(op: object) -> Operator:
    """The `Operator` behind an operator's call, an overload, a packet or a name.

    Raises:
        TypeError: `op` is none of these.
        OperatorNotFoundError: there is no operator of that name.
        StaleOperatorError: it was replaced or removed.
    """
    if isinstance(op, str):
        return registry.find(op)
    found = op if isinstance(op, Operator) else getattr(op, "operator", None)
    if not isinstance(found, Operator):
        raise TypeError(
            "expected an operator (what gpuops.custom_op returns, or gpuops.ops.<ns>.<name>) or "
            f"its name, got {describe(op)}"
        )
    found.check_alive()
    return found
