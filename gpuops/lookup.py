"""What is in force: `operators` lists, `get_kernel` finds, `set_kernel_enabled` switches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from gpuops import register
from gpuops.devices import known_device_types
from gpuops.errors import (
    DeviceError,
    Location,
    NoKernelError,
    RegistrationError,
    UsageError,
    describe,
)
from gpuops.registry import Kernel, Operator, as_operator, registry
from gpuops.selection import switched_off

__all__ = ["SavedKernel", "get_kernel", "operators", "set_kernel_enabled"]


def operators(namespace: str | None = None) -> list[Operator]:
    """All registered operators, or those of one namespace, sorted by name.

    Raises:
        UsageError: `namespace` is neither a string nor None.
    """
    if namespace is not None and not isinstance(namespace, str):
        raise UsageError(f"operators: a namespace must be a string, got {describe(namespace)}")
    return registry.operators(namespace)


class SavedKernel:
    """A kernel as it was when `get_kernel` was called; calling it calls that kernel.

    It stays usable when another kernel is registered over it, and becomes invalid when its own
    registration is undone.
    """

    def __init__(self, operator: Operator, kernel: Kernel) -> None:
        self.operator = operator
        self._kernel = kernel

    @property
    def device_type(self) -> str | None:
        """The device type it is registered for; None for the default kernel."""
        return self._kernel.device_type

    @property
    def location(self) -> Location:
        """Where it was registered."""
        return self._kernel.location

    @property
    def function(self) -> Callable[..., Any]:
        """The kernel itself.

        Raises:
            RegistrationError: its registration was undone.
        """
        if not self._kernel.alive or self.operator.gone is not None:
            raise RegistrationError(
                f"the saved {self.device_type or 'default'} kernel of {self.operator.qualname}, "
                f"registered at {self.location}, has been invalidated: its registration was undone "
                "or its library destroyed"
            )
        return self._kernel.load()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        device = self.device_type or "default"
        return f"<SavedKernel of {self.operator.qualname} for {device}: {self._kernel}>"


def get_kernel(op: Any, device_type: str | None = None) -> SavedKernel:
    """The kernel in force for a device type: its own one, or else the default kernel.

    Args:
        op: the operator, or its name.
        device_type: ``"cpu"``, ``"cuda"``, or None (also ``"default"``) for the default kernel.

    Returns:
        The kernel, callable with the arguments that kernels get; no conversion or check is added.

    Raises:
        OperatorNotFoundError: there is no such operator.
        DeviceError: an unknown device type.
        UsageError: `device_type` is no string.
        NoKernelError: there is no such kernel.
    """
    operator = as_operator(op)
    key = register.kernel_device(device_type, f"get_kernel({operator.qualname})")
    kernel = operator.effective_kernel(key)
    if kernel is None:
        have = ", ".join(operator.kernel_table()) or "none"
        raise NoKernelError(
            f"no kernel for {(key or 'default').upper()} for {operator.qualname}; it has: {have}"
        )
    return SavedKernel(operator, kernel)


def set_kernel_enabled(
    op: Any, device_type: str | None, enabled: bool = True
) -> AbstractContextManager[None]:
    """Switch an operator's kernel for a device type off, or on again, in a ``with`` block.

    Only calls of this thread (or asynchronous task) are concerned. While a kernel is off, the
    default kernel serves its device. A device type without a kernel, known or not, changes
    nothing, which is logged, as is a kernel that is in the wanted state already.

    Raises:
        OperatorNotFoundError: there is no such operator.
        UsageError: `device_type` is no string, or `enabled` no bool.
    """
    operator = as_operator(op)
    where = f"set_kernel_enabled({operator.qualname})"
    try:
        key = register.kernel_device(device_type, where)
    except DeviceError:
        key = device_type  # no kernel can be registered for it, which is logged
    if not isinstance(enabled, bool):
        raise UsageError(f"{where}: enabled must be True or False, got {describe(enabled)}")
    return _switched(operator, key, enabled)


@contextmanager
def _switched(operator: Operator, key: str | None, enabled: bool) -> Iterator[None]:
    pair = (operator, key)
    off = switched_off.get()
    message = None
    if not operator.kernels.get(key):
        message = "no kernel was registered for this device type"
        if key is not None and key not in known_device_types():
            message += f" (known are {', '.join(known_device_types())})"
    elif (pair in off) != enabled:
        message = f"the kernel is already {'enabled' if enabled else 'disabled'}"
    if message is not None:
        import logging  # only here: the import takes longer than the whole call path

        logging.getLogger("gpuops").warning(
            "set_kernel_enabled(%r, %s) for %s: %s",
            key or "default",
            enabled,
            operator.qualname,
            message,
        )
        yield
        return
    switched_off.set(off - {pair} if enabled else off | {pair})
    _count_switches(operator, 1)
    try:
        yield
    finally:
        # Not reset() to what was before: contexts that are left in another order than they were
        # entered in would bring back what has been left already.
        now = switched_off.get()
        switched_off.set(now | {pair} if enabled else now - {pair})
        _count_switches(operator, -1)


def _count_switches(operator: Operator, step: int) -> None:
    with registry.lock:
        operator.switched_off += step
        Operator.refresh_call(operator)
