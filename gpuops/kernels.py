"""Kernels by operator or name: `register_kernel` and `impl`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from gpuops import register
from gpuops.library import Library
from gpuops.registry import Registration, as_operator

__all__ = ["impl", "register_kernel"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def register_kernel(
    op: Any, device_types: Any, func: None = None, /, *, lib: Library | None = None
) -> Callable[[F], F]: ...
@overload
def register_kernel(
    op: Any,
    device_types: Any,
    func: Callable[..., Any] | str,
    /,
    *,
    lib: Library | None = None,
) -> Registration: ...
def register_kernel(
    op: Any, device_types: Any, func: Any = None, /, *, lib: Library | None = None
) -> Any:
    """Register the kernel of an operator for one or several device types.

    Args:
        op: the operator, or its name.
        device_types: ``"cpu"``, ``"cuda"``, a sequence of them, or None for the default kernel.
        func: the kernel: a function that takes the operator's positional arguments by position
            and its keyword-only ones by name, or ``"module:name"`` (``".module:name"`` relative to
            the caller's package), imported at the first call. Without it, a decorator is returned.
        lib: the library that the registration lives in.

    Returns:
        A handle that undoes it; in decorator form the function.

    Raises:
        OperatorNotFoundError: there is no such operator.
        DeviceError: an unknown device type.
        UsageError: `func` is not callable.
        RegistrationError: it cannot take the operator's arguments.
        SchemaError: the operator takes neither arrays nor a ``device`` argument.
    """
    operator = as_operator(op)
    name = operator.qualname
    found = register.kernel_devices(device_types, f"register_kernel({name})")
    register.check_factory(operator.schema, found, name)
    keys = register.keys_as_given(found)

    def add(function: Any) -> Registration:
        if lib is not None:
            return lib.register_kernel(operator, keys, function)
        return register.register_kernels(operator, keys, function)

    return register.added_or_decorator(add, func)


def impl(
    qualname: Any,
    types: Any = None,
    func: Any = None,
    *,
    lib: Library | None = None,
) -> Any:
    """Register a kernel by name; `register_kernel` under torch's other name.

    ``impl(lib, name, device_type)`` (torch's older form) is a decorator too.

    Returns:
        A handle that undoes it; in decorator form the function.
    """
    if isinstance(qualname, Library):
        library, name, device_type = qualname, types, func

        def decorate(function: F) -> F:
            library.impl(name, function, device_type)
            return function

        return decorate
    return register_kernel(qualname, types, func, lib=lib)
