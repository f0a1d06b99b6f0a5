"""`Library`: registrations that live as long as an object does."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Literal

from gpuops.batching import register_vmap
from gpuops.casting import register_autocast
from gpuops.devices import check_device_type
from gpuops.errors import (
    Location,
    RegistrationError,
    SchemaError,
    UsageError,
    caller_location,
    describe,
)
from gpuops.formulas import register_autograd, register_no_gradient
from gpuops.register import kernel_devices, make_operator, register_fake, register_kernels
from gpuops.registry import Operator, Registration, as_operator, registry
from gpuops.schema import Schema, check_namespace
from gpuops.schema_parser import parse_schema
from gpuops.tags import Tag

__all__ = ["Library"]

_KINDS = ("DEF", "FRAGMENT", "IMPL")


class Library:
    """A set of registrations in one namespace that is taken back as a whole.

    Destroying the library, leaving its ``with`` block or dropping the last reference to it
    removes the operators it defined and restores the kernels and rules it replaced.

    Args:
        namespace: where its operators are; ``"_"`` (kind IMPL) stands for all, for fallbacks.
        kind: ``"DEF"`` (one at a time per namespace) and ``"FRAGMENT"`` (any number) define
            operators; ``"IMPL"`` only registers kernels and rules.
        device_type: restricts the library to kernels of that device type.

    Raises:
        SchemaError: a bad kind or namespace.
        DeviceError: an unknown device type.
        RegistrationError: a second DEF library for the namespace.

    >>> import numpy as np
    >>> from gpuops import ops
    >>> with Library("demo_lib", "DEF") as lib:
    ...     _ = lib.define("twice(Array x) -> Array")
    ...     _ = lib.impl("twice", lambda x: 2 * x)
    ...     ops.demo_lib.twice(np.ones(2))
    array([2., 2.])
    """

    def __init__(
        self,
        namespace: str,
        kind: Literal["DEF", "FRAGMENT", "IMPL"],
        device_type: str | None = None,
    ) -> None:
        if kind not in _KINDS:
            raise SchemaError(f"a library's kind must be one of {', '.join(_KINDS)}, got {kind!r}")
        if not (namespace == "_" and kind == "IMPL"):
            check_namespace(namespace)
        if device_type is not None:
            check_device_type(device_type, where=f"Library({namespace!r}, {kind!r})")
        self.namespace = namespace
        self.kind = kind
        self.device_type = device_type
        self.location = caller_location()
        self._handles: dict[Registration, None] = {}
        if kind == "DEF":
            self._claim_namespace()
        # The finaliser holds the handles and not the library, so nothing keeps the library alive.
        self._finalizer = weakref.finalize(self, _destroy_later, self._handles, namespace)

    def _claim_namespace(self) -> None:
        with registry.lock:
            known = registry.definitions.get(self.namespace)
            earlier = None if known is None else known.library()
            if known is not None and earlier is not None:
                if not self.location.is_reload_of(known.location):
                    raise RegistrationError(
                        f"only one DEF library can exist for the namespace {self.namespace!r}: "
                        f"first made at {known.location}, now at {self.location}; "
                        'use the kind "FRAGMENT" to add to it'
                    )
                earlier.destroy()
            registry.definitions[self.namespace] = Claim(
                self.location, weakref.ref(self), self._handles
            )

    # -- lifetime ----------------------------------------------------------------------------------

    @property
    def destroyed(self) -> bool:
        """Whether its registrations have been taken back."""
        return not self._finalizer.alive

    def destroy(self) -> None:
        """Take back everything registered through the library; a second time does nothing."""
        if self._finalizer.detach() is not None:
            _destroy(self._handles, self.namespace)

    def check_alive(self) -> None:
        """Raise if the library was destroyed.

        Raises:
            RegistrationError: it was.
        """
        if self.destroyed:
            raise RegistrationError(f"{self!r} has been destroyed; make a new one")

    def own(self, handle: Registration) -> Registration:
        """Undo `handle` when the library is destroyed.

        Raises:
            RegistrationError: it is destroyed already; the handle is undone.
        """
        with registry.lock:
            if self.destroyed:
                handle.undo()
                self.check_alive()
            handle.belong_to(self._handles)
        return handle

    def __enter__(self) -> Library:
        self.check_alive()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.destroy()

    def __repr__(self) -> str:
        device = f", device_type={self.device_type!r}" if self.device_type else ""
        return f"<Library({self.namespace!r}, {self.kind!r}{device}) made at {self.location}>"

    # -- registering -------------------------------------------------------------------------------

    def define(self, schema: str, *, tags: Tag | Iterable[Tag] = ()) -> Registration:
        """Define an operator from a schema string such as ``"scale(Array x, float s) -> Array"``.

        Raises:
            SchemaError: the schema is malformed, nameless or of another namespace.
            RegistrationError: the name is defined already, or the library is destroyed or IMPL.
        """
        return self.define_operator(schema, tags=tags)[1]

    def define_operator(
        self, schema: str, *, tags: Tag | Iterable[Tag] = ()
    ) -> tuple[Operator, Registration]:
        """Like `define`; returns the operator too."""
        operator = make_operator(self._parse(schema), kind="define", tags=tags)
        return operator, self.own(registry.add(operator))

    def impl(
        self,
        op: str | Operator | Callable[..., Any],
        fn: Callable[..., Any] | str,
        device_type: str | None = None,
        *,
        allow_override: bool = True,
    ) -> Registration:
        """Register a kernel for an operator of the namespace.

        Args:
            op: its name (with or without the namespace), or the operator.
            fn: the kernel, or a lazy ``"module:name"``.
            device_type: ``"cpu"``, ``"cuda"``, or None for the default kernel (of an IMPL library
                with a device type: for that one).
            allow_override: replace a kernel that is there already.

        Raises:
            UsageError: `fn` is not callable.
            RegistrationError: another namespace or device type than the library's; the kernel
                cannot take the operator's arguments; there is one and `allow_override` is False.
            OperatorNotFoundError: there is no such operator.
        """
        operator = self._resolve(op)
        device = self._check_device(device_type)
        return self.own(register_kernels(operator, device, fn, allow_override=allow_override))

    def register_kernel(
        self,
        op: str | Operator | Callable[..., Any],
        device_types: Any,
        fn: Callable[..., Any] | str,
        *,
        allow_override: bool = True,
    ) -> Registration:
        """Like `impl`, for several device types at once."""
        operator = self._resolve(op)
        if isinstance(device_types, (str, type(None))):
            device_types = self._check_device(device_types)
        else:
            keys = kernel_devices(device_types, f"{self!r}.register_kernel({operator.qualname})")
            device_types = [self._check_device(key) for key in keys]
        return self.own(register_kernels(operator, device_types, fn, allow_override=allow_override))

    def register_fake(
        self,
        op: str | Operator | Callable[..., Any],
        fn: Callable[..., Any],
        *,
        allow_override: bool = True,
    ) -> Registration:
        """Register the fake kernel of an operator of the namespace; see `gpuops.register_fake`."""
        operator = self._resolve(op)
        return self.own(register_fake(operator, fn, allow_override=allow_override))

    def register_autograd(
        self,
        op: str | Operator | Callable[..., Any],
        backward: Callable[..., Any],
        *,
        setup_context: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
    ) -> Registration:
        """Register the gradient of an operator of the namespace; see `gpuops.register_autograd`."""
        operator = self._resolve(op)
        handle = register_autograd(operator, backward, setup_context=setup_context, forward=forward)
        return self.own(handle)

    def register_no_gradient(
        self, op: str | Operator | Callable[..., Any], reason: str
    ) -> Registration:
        """Say why an operator of the namespace has none; see `gpuops.register_no_gradient`."""
        operator = self._resolve(op)
        return self.own(register_no_gradient(operator, reason))

    def register_autocast(
        self, op: str | Operator | Callable[..., Any], device_type: str, cast_inputs: Any
    ) -> Registration:
        """Register what an operator's arrays are cast to; see `gpuops.register_autocast`."""
        operator = self._resolve(op)
        return self.own(register_autocast(operator, device_type, cast_inputs))

    def register_vmap(
        self, op: str | Operator | Callable[..., Any], fn: Callable[..., Any]
    ) -> Registration:
        """Register the batching rule of an operator; see `gpuops.register_vmap`."""
        operator = self._resolve(op)
        return self.own(register_vmap(operator, fn))

    def fallback(self, fn: Callable[..., Any], device_type: str | None = None) -> Registration:
        """Serve calls for which no kernel is registered, as ``fn(operator, *args, **kwargs)``.

        A library of the namespace ``"_"`` serves those of every namespace.

        Raises:
            UsageError: `fn` is not callable.
        """
        self.check_alive()
        if not callable(fn):
            raise UsageError(f"a fallback is required to be a callable, got {describe(fn)}")
        device = self._check_device(device_type)
        return self.own(registry.add_fallback(self.namespace, device, fn))

    # -- names -------------------------------------------------------------------------------------

    def _resolve(self, op: str | Operator | Callable[..., Any]) -> Operator:
        self.check_alive()
        if isinstance(op, str) and "::" not in op:
            op = f"{self.namespace}::{op}"
        operator = as_operator(op)
        if operator.namespace != self.namespace:
            raise RegistrationError(
                f"{self!r} is for the namespace {self.namespace!r}; "
                f"{operator.qualname} is in {operator.namespace!r}"
            )
        return operator

    def _check_device(self, device_type: str | None) -> str | None:
        if device_type in (None, "", "default"):
            return self.device_type
        check_device_type(device_type, where=repr(self))
        if self.device_type not in (None, device_type):
            raise RegistrationError(
                f"{self!r} is for {self.device_type!r} kernels, not for {device_type!r}"
            )
        return device_type

    def _parse(self, schema: str) -> Schema:
        self.check_alive()
        if self.kind == "IMPL":
            raise RegistrationError(
                f"{self!r} can only register kernels; define operators with a DEF or FRAGMENT one"
            )
        try:
            parsed = parse_schema(schema)
        except SchemaError as error:
            raise SchemaError(f"{self!r}: {error}") from None
        namespace, separator, name = parsed.name.rpartition("::")
        if not parsed.name:
            raise SchemaError(
                f"expected schema to look like 'name(Array x) -> Array', got {schema!r}: "
                "the name is missing"
            )
        if separator and namespace != self.namespace:
            raise SchemaError(
                f"{self!r} defines operators of {self.namespace!r}, not {parsed.name!r}"
            )
        return parsed.with_name(f"{self.namespace}::{name}", parsed.overload)


class Claim:
    """A DEF library's hold on its namespace."""

    __slots__ = ("handles", "library", "location")

    def __init__(
        self,
        location: Location,
        library: weakref.ref[Library],
        handles: dict[Registration, None],
    ) -> None:
        self.location = location
        self.library = library
        self.handles = handles


def _destroy(handles: dict[Registration, None], namespace: str) -> None:
    with registry.lock:
        for handle in reversed(list(handles)):
            handle.undo()
        claim = registry.definitions.get(namespace)
        if claim is not None and claim.handles is handles:
            del registry.definitions[namespace]


def _destroy_later(handles: dict[Registration, None], namespace: str) -> None:
    # The garbage collector may run this in the middle of a registration of this very thread.
    registry.lock.defer(lambda: _destroy(handles, namespace))
