"""The registry: operators, and what is registered for them.

Writers hold one lock. Readers take none: everything a reader looks at is an immutable tuple or a
dictionary entry that is replaced in one step, and an operator only becomes visible when it is
complete.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, final

from gpuops.entries import (
    Entry,
    Kernel,
    Registration,
    Stack,
    fallthrough_kernel,
    push,
    without,
)
from gpuops.errors import (
    Location,
    OperatorNotFoundError,
    RegistrationError,
    StaleOperatorError,
    UsageError,
    caller_location,
    closest,
    describe,
)
from gpuops.gufunc import GufuncSignature
from gpuops.locks import registry_lock
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
        # Kernels are called with these arguments by name, with the others by position.
        self.keyword_names = tuple(parameter.name for parameter in schema.keyword_only)
        self.tags = tags
        self.location = location
        self.kind = kind
        self.signature = signature
        self.function = function
        self.gone: str | None = None
        self.kernels: dict[str | None, Stack[Kernel]] = {}
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
            with registry_lock:
                if self._call is None:
                    self._call = Operator.build_call(self)
                    registry.on_change(self.namespace, self.name)
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

    def effective_kernel(self, device_type: str | None) -> Kernel | None:
        """The kernel that serves a device type: its own, else the default one; none is skipped to.

        A lazy kernel counts as a kernel until it has been imported.
        """
        for key in dict.fromkeys((device_type, None)):
            for kernel in reversed(self.kernels.get(key, ())):
                if not kernel.is_fallthrough:
                    return kernel
        return None

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

    def __copy__(self) -> Operator:
        return self

    def __deepcopy__(self, memo: object) -> Operator:
        return self


@final
class Registry:
    """All operators of the process, the rules registered for them, and namespaces' fallbacks."""

    def __init__(self) -> None:
        self.lock = registry_lock
        self._packets: dict[tuple[str, str], dict[str, Operator]] = {}
        self._rules: dict[Operator, dict[str, Stack[Entry]]] = {}
        self._fallbacks: dict[tuple[str, str | None], Stack[Entry]] = {}
        # Namespace -> the claim of its one DEF library (a `gpuops.library.Claim`).
        self.definitions: dict[str, Any] = {}
        # Called with (namespace, name) after the overloads of an operator have changed, or the
        # call of one was built.
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

    def refresh_calls(self) -> None:
        """Tell every call that was built of what changed for all of them."""
        for operator in self.every_operator():
            self._changed(operator)

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
                stack = operator.kernels.get(kernel.device_type, ())
                operator.kernels[kernel.device_type] = push(stack, kernel)
            self._changed(operator)
        return handle

    def _remove_kernels(self, operator: Operator, kernels: list[Kernel]) -> None:
        for kernel in kernels:
            kernel.alive = False
            without(operator.kernels, kernel.device_type, kernel)
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
            stack = self._rules.get(operator, {}).get(token, ())
            if stack and not allow_override:
                raise RegistrationError(
                    f"operator {operator.qualname} {refusal.format(token=token)}, registered at "
                    f"{stack[-1].location}; the new one is at {location}"
                )
            entry = Entry(value, location)
            handle = Registration(lambda: self._remove_rule(operator, token, entry), location)
            entry.hold(handle)
            self._rules.setdefault(operator, {})[token] = push(stack, entry)
        return handle

    def _remove_rule(self, operator: Operator, token: str, entry: Entry) -> None:
        entry.alive = False
        # The table stays, for whoever holds it; it goes with the operator.
        without(self._rules.get(operator, {}), token, entry)

    def rule(self, operator: Operator, token: str) -> Entry | None:
        """The rule in force for (operator, token), or None."""
        rules = self._rules.get(operator)
        stack = rules.get(token) if rules else None
        return stack[-1] if stack else None

    def rule_table(self, operator: Operator) -> Mapping[str, Stack[Entry]]:
        """The rules of an operator by token, the one in force last: for looking at each call.

        It changes with the registrations, until the operator is gone.
        """
        with self.lock:
            return self._rules.setdefault(operator, {})

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
            self._fallbacks[key] = push(self._fallbacks.get(key, ()), entry)
        return handle

    def _remove_fallback(self, key: tuple[str, str | None], entry: Entry) -> None:
        entry.alive = False
        without(self._fallbacks, key, entry)

    def fallback(self, namespace: str, device_type: str | None) -> Entry | None:
        """The nearest fallback: of the namespace before that of all, of the device before any."""
        for space in (namespace, "_"):
            for device in (device_type, None):
                for entry in reversed(self._fallbacks.get((space, device), ())):
                    if not entry.is_fallthrough:
                        return entry
        return None


registry = Registry()


def lookup_operator(qualname: str) -> Operator:
    """The operator of that name; how a pickled operator is found again."""
    return registry.find(qualname)


def _pickled(operator: Operator) -> tuple[Callable[[str], Operator], tuple[str]]:
    return lookup_operator, (operator.qualname,)


copyreg.pickle(Operator, _pickled)


def as_operator(op: object) -> Operator:
    """The `Operator` behind an operator's call, an overload, a packet or a name.

    Raises:
        UsageError: `op` is none of these.
        OperatorNotFoundError: there is no operator of that name.
        StaleOperatorError: it was replaced or removed.
    """
    if isinstance(op, str):
        return registry.find(op)
    found = op if isinstance(op, Operator) else getattr(op, "operator", None)
    if not isinstance(found, Operator):
        raise UsageError(
            "expected an operator (what gpuops.custom_op returns, or gpuops.ops.<ns>.<name>) or "
            f"its name, got {describe(op)}"
        )
    found.check_alive()
    return found
