"""Declaring operators: `custom_op` from a function, `define` from a schema string."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from gpuops import infer, register
from gpuops.errors import SchemaError, UsageError, describe
from gpuops.kernels import register_kernel
from gpuops.library import Library
from gpuops.lookup import set_kernel_enabled
from gpuops.registry import Operator, Registration, registry
from gpuops.rules import (
    register_autocast,
    register_autograd,
    register_fake,
    register_no_gradient,
    register_vmap,
)
from gpuops.schema import Schema, parse_qualname
from gpuops.tags import Tag
from gpuops.written import read_written

__all__ = ["CustomOp", "custom_op", "define"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


class CustomOp(Protocol[P, R_co]):
    """What `custom_op` returns: a plain function with these attributes.

    It is a generated function rather than an instance with ``__call__`` because calling it then
    costs a function call and no more (`docs/dispatch.md` has the measurements).
    """

    operator: Operator
    schema: Schema
    tags: list[Tag]
    default: Operator
    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the operator."""

    @overload
    def register_kernel(self, device_types: Any, fn: None = None, /) -> Callable[[F], F]: ...
    @overload
    def register_kernel(
        self, device_types: Any, fn: Callable[..., Any] | str, /
    ) -> Registration: ...
    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """See `gpuops.register_kernel`."""

    @overload
    def register_fake(
        self, fn: None = None, /, *, allow_override: bool = True
    ) -> Callable[[F], F]: ...
    @overload
    def register_fake(self, fn: F, /, *, allow_override: bool = True) -> F: ...
    def register_fake(self, fn: Any = None, /, *, allow_override: bool = True) -> Any:
        """See `gpuops.register_fake`."""

    def register_autograd(
        self,
        backward: F,
        /,
        *,
        setup_context: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
    ) -> F:
        """See `gpuops.register_autograd`; returns `backward`."""

    def register_no_gradient(self, reason: str, /) -> Registration:
        """See `gpuops.register_no_gradient`."""

    @overload
    def register_vmap(self, fn: None = None, /) -> Callable[[F], F]: ...
    @overload
    def register_vmap(self, fn: F, /) -> F: ...
    def register_vmap(self, fn: Any = None, /) -> Any:
        """See `gpuops.register_vmap`."""

    def register_autocast(self, device_type: str, cast_inputs: Any, /) -> Registration:
        """See `gpuops.register_autocast`."""

    def set_kernel_enabled(
        self, device_type: str | None, enabled: bool = True
    ) -> AbstractContextManager[None]:
        """Switch the kernel of a device type off (or on again) in a ``with`` block."""

    def overloads(self) -> list[str]:
        """The names of the overloads that share this operator's name."""

    def undo(self) -> None:
        """Remove the operator and all that was registered for it."""


@overload
def custom_op(
    name: str,
    fn: None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Iterable[str] | None = None,
    schema: str | None = None,
    tags: Tag | Iterable[Tag] = (),
    signature: str | None = None,
) -> Callable[[Callable[P, R_co]], CustomOp[P, R_co]]: ...
@overload
def custom_op(
    name: str,
    fn: Callable[P, R_co],
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Iterable[str] | None = None,
    schema: str | None = None,
    tags: Tag | Iterable[Tag] = (),
    signature: str | None = None,
) -> CustomOp[P, R_co]: ...
def custom_op(
    name: str,
    fn: Any = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Iterable[str] | None = None,
    schema: str | None = None,
    tags: Tag | Iterable[Tag] = (),
    signature: str | None = None,
) -> Any:
    """Declare an operator; the decorated function is its first kernel.

    Args:
        name: ``"namespace::name"``, or ``"namespace::name.overload"``.
        fn: the function; without it, `custom_op` is a decorator.
        mutates_args: the names of the array arguments that the operator writes to (``()`` for
            none), or ``"unknown"`` for all of them.
        device_types: the device types that `fn` is the kernel for; None makes it the default
            kernel, which serves every device that has none of its own.
        schema: a nameless schema string such as ``"(Array x, float s) -> Array"``, in place of
            type hints.
        tags: one `Tag` or several.
        signature: a gufunc signature such as ``"(m,k),(k,n)->(m,n)"``.

    Returns:
        A function that calls the operator, with the name, docstring and signature of `fn` and the
        methods of `CustomOp`. An earlier operator of the same name is replaced, with all that was
        registered for it; calling the old one raises `StaleOperatorError`.

    Raises:
        SchemaError: a malformed name, a type hint that operators cannot have, a schema that
            disagrees with `fn` or `mutates_args`, tags that do not go with the schema.
        DeviceError: an unknown device type.
        UsageError: `name` is no string, or `fn` is not callable.
        RegistrationError: a `Library` defines an operator of that name.

    >>> import numpy as np
    >>> from gpuops import Array
    >>> @custom_op("demo::scale", mutates_args=())
    ... def scale(x: Array, s: float = 2.0) -> Array:
    ...     return x * s
    >>> scale(np.ones(2), 3)
    array([3., 3.])
    >>> print(scale.schema)
    demo::scale(Array x, float s=2.0) -> Array
    >>> scale.undo()
    """
    namespace, base, overload_name = parse_qualname(name)
    keys = register.kernel_devices(device_types, f"custom_op({name})")

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise UsageError(f"custom_op({name}) takes a function, got {describe(function)}")
        if schema is None:
            parsed = _inferred(name, function, mutates_args)
        else:
            parsed = read_written(name, function, schema, mutates_args)
        operator = register.make_operator(
            parsed.with_name(f"{namespace}::{base}", overload_name),
            kind="custom_op",
            tags=tags,
            default_tags=(Tag.compliant,),
            signature=signature,
            inferred=schema is None,
            function=function,
        )
        # Everything before it is visible: no caller ever meets an operator without its kernel.
        register.register_kernels(operator, register.keys_as_given(keys), function)
        call = _finish_call(operator, function)
        handle = registry.add(operator)
        call.undo = handle.undo  # type: ignore[attr-defined]
        return call

    return declare if fn is None else declare(fn)


def _inferred(name: str, function: Callable[..., Any], mutates_args: Any) -> Schema:
    try:
        return infer.infer(function, mutates_args=mutates_args)
    except SchemaError as error:
        raise SchemaError(f"custom_op({name}): {error}") from None


def _finish_call(operator: Operator, function: Callable[..., Any]) -> Callable[..., Any]:
    """The operator's call, made to look like the function that was decorated."""
    call: Any = operator.call
    named = function.func if isinstance(function, partial) else function
    call.__name__ = str(getattr(named, "__name__", operator.name))
    call.__doc__ = named.__doc__
    try:
        signature = infer.signature_of(function)
    except ValueError:
        call.__doc__ = call.__doc__ or str(operator.schema)
    else:
        # A written schema may have defaults that the function leaves to it.
        declared = {parameter.name: parameter for parameter in operator.schema.parameters}
        call.__signature__ = signature.replace(
            parameters=[
                parameter.replace(default=declared[name].default)
                if declared[name].has_default and parameter.default is parameter.empty
                else parameter
                for name, parameter in signature.parameters.items()
            ]
        )
    call.__annotations__ = infer.evaluated_hints(function)
    methods = _Methods(operator)
    call.register_kernel = methods.register_kernel
    call.register_fake = methods.register_fake
    call.register_autograd = methods.register_autograd
    call.register_no_gradient = methods.register_no_gradient
    call.register_vmap = methods.register_vmap
    call.register_autocast = methods.register_autocast
    call.set_kernel_enabled = methods.set_kernel_enabled
    return operator.call


class _Methods:
    """The methods of a `CustomOp`, which is a function and cannot have any."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """Register a kernel for one or several device types; see `gpuops.register_kernel`."""
        return register_kernel(self.operator, device_types, fn)

    def register_fake(self, fn: Any = None, /, *, allow_override: bool = True) -> Any:
        """Register the fake kernel; returns the function, for use as a decorator."""
        if fn is None:
            return lambda function: self.register_fake(function, allow_override=allow_override)
        register_fake(self.operator, fn, allow_override=allow_override)
        return fn

    def register_autograd(
        self,
        backward: F,
        /,
        *,
        setup_context: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
    ) -> F:
        """Register the gradient formula; returns `backward`, for use as a decorator."""
        register_autograd(self.operator, backward, setup_context=setup_context, forward=forward)
        return backward

    def register_no_gradient(self, reason: str, /) -> Registration:
        """Say why the operator has no gradient; see `gpuops.register_no_gradient`."""
        return register_no_gradient(self.operator, reason)

    def register_autocast(self, device_type: str, cast_inputs: Any, /) -> Registration:
        """Register the dtype that arrays are cast to within `gpuops.autocast`."""
        return register_autocast(self.operator, device_type, cast_inputs)

    def register_vmap(self, fn: Any = None, /) -> Any:
        """Register the batching rule; returns the function, for use as a decorator."""
        if fn is None:
            return self.register_vmap
        register_vmap(self.operator, fn)
        return fn

    def set_kernel_enabled(
        self, device_type: str | None, enabled: bool = True
    ) -> AbstractContextManager[None]:
        """Switch the kernel of a device type off or on in a ``with`` block."""
        return set_kernel_enabled(self.operator, device_type, enabled)


def define(
    qualname: str | Library,
    schema: str,
    alias_analysis: str = "",
    *,
    lib: Library | None = None,
    tags: Tag | Iterable[Tag] = (),
) -> Any:
    """Define an operator without a kernel from a schema string.

    Args:
        qualname: ``"namespace::name"``. Given a `Library` instead (torch's older form), `schema`
            has the name, and a decorator for the default kernel is returned.
        schema: nameless, such as ``"(Array x) -> Array"``.
        alias_analysis: ignored; there for torch's older form.
        lib: the library that the definition lives in; without one it stays until undone.
        tags: one `Tag` or several.

    Returns:
        A handle that undoes it.

    Raises:
        SchemaError: a malformed name or schema, or a schema that has a name.
        RegistrationError: the operator is defined already.

    >>> handle = define("demo::negate", "(Array x) -> Array")
    >>> handle.undo()
    """
    if isinstance(qualname, Library):
        operator, _ = qualname.define_operator(schema, tags=tags)
        library = qualname

        def default_kernel(function: F) -> F:
            library.impl(operator, function)
            return function

        return default_kernel
    namespace, base, overload_name = parse_qualname(qualname)
    parsed = register.parse_nameless(schema, f"define({qualname!r})")
    named = parsed.with_name(f"{namespace}::{base}", overload_name)
    if lib is not None:
        return lib.define(str(named), tags=tags)
    return registry.add(register.make_operator(named, kind="define", tags=tags))
