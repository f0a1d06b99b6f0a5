"""Which kernel a call runs: the device's own, the default one, a fallback, or none."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn

from gpuops import checks, interception
from gpuops.devices import Device
from gpuops.errors import NoKernelError, describe
from gpuops.observers import observers
from gpuops.registry import Entry, Kernel, Operator, registry

__all__ = [
    "describe_kernel",
    "fail_without_kernel",
    "find_kernel",
    "quick_kernel",
    "switched_off",
]

# (operator, device type) pairs whose kernel is switched off in this context.
switched_off: ContextVar[frozenset[tuple[Operator, str | None]]] = ContextVar(
    "gpuops_switched_off", default=frozenset()
)


def find_kernel(
    operator: Operator, device_type: str | None
) -> tuple[Callable[..., Any], Entry] | None:
    """The kernel for a device type, then the default kernel, then a fallback; and its entry."""
    off = switched_off.get() if operator.switched_off else frozenset()
    keys = (device_type, None) if device_type is not None else (None,)
    for key in keys:
        for kernel in reversed(operator.kernels.get(key, ())):
            if (operator, key) in off:
                break
            if kernel.value is None:
                kernel.load()
                with registry.lock:
                    Operator.refresh_call(operator)
            if not kernel.is_fallthrough:
                return kernel.value, kernel
    entry = registry.fallback(operator.namespace, device_type)
    if entry is None:
        return None
    return partial(entry.value, operator), entry


def describe_kernel(entry: Entry) -> str:
    """What `find_kernel` found, and its place, for messages."""
    if isinstance(entry, Kernel):
        return str(entry)
    return f"{describe(entry.value)} ({entry.location})"


def quick_kernel(operator: Operator, device_type: str | None) -> Callable[..., Any] | None:
    """The kernel's function if calls may go straight to it, without a look at anything else."""
    if (
        operator.switched_off
        or checks.state.contexts
        or interception.is_entered()
        or observers.active
    ):
        return None
    kernel = operator.effective_kernel(device_type)
    return None if kernel is None else kernel.value


def fail_without_kernel(operator: Operator, device: Device | None) -> NoReturn:
    """Say that no kernel serves a device, and what there is.

    Raises:
        NoKernelError: always.
    """
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
