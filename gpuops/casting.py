"""Which dtype an operator's arrays are cast to within `gpuops.autocast`."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.devices import check_device_type
from gpuops.errors import ArgumentError, RegistrationError, describe
from gpuops.registry import Operator, Registration, registry

__all__ = ["autocast_token", "cast_dtype", "register_autocast"]


def autocast_token(device_type: str) -> str:
    """The token of the rule for a device type."""
    return f"autocast.{device_type}"


def cast_dtype(dtype: Any, where: str) -> np.dtype[Any]:
    """A floating-point dtype.

    Raises:
        ArgumentError: it is something else.
    """
    try:
        found: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise ArgumentError(f"{where}: expected a floating-point dtype, got {describe(dtype)}")
    return found


def register_autocast(operator: Operator, device_type: Any, cast_inputs: Any) -> Registration:
    """Register the dtype for a device type; see `gpuops.register_autocast`.

    Raises:
        DeviceError: no known device type.
        ArgumentError: no floating-point dtype.
        RegistrationError: the operator writes to an argument.
    """
    where = f"register_autocast({operator.qualname})"
    device_type = check_device_type(device_type, where=where)
    dtype = cast_dtype(cast_inputs, where)
    mutated = list(operator.schema.mutated)
    if mutated:
        raise RegistrationError(
            f"{where}: the operator writes to {', '.join(map(repr, mutated))}, and would write to "
            f"a copy where that is cast. Declared as {operator.declaration}"
        )
    return registry.add_rule(operator, autocast_token(device_type), dtype)
