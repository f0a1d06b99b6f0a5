"""`autocast`: a region in which operators get their arrays in another precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from gpuops.casting import autocast_token, cast_dtype
from gpuops.convert import wrapper_types
from gpuops.devices import array_kind, check_device_type, device_of
from gpuops.interception import ambient, entered
from gpuops.registry import Operator, registry
from gpuops.transforms.array_methods import xp

__all__ = ["autocast"]

LEVEL: Final = 100
"""Above all wrappers: a cast is an operator call for them too, so that it is differentiated."""

_CAST: Final = frozenset(map(np.dtype, ("float16", "float32")))
"""What is cast; float64 was asked for by somebody who needs it."""


@contextmanager
def autocast(device_type: str, dtype: Any = None) -> Iterator[None]:
    """Let operators that are registered for it get their arrays in another dtype.

    Those are the operators with a `register_autocast` for the device type, and no others. They run
    outside of the region: what a kernel calls is not cast again. Regions nest, for several device
    types at a time. A region belongs to the thread or task that enters it; calls of all operators
    take the slow path meanwhile. To have casts in a graph, enter it in the traced function.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``: whose arrays are cast.
        dtype: the floating-point dtype; None for that which each operator is registered with.

    Raises:
        DeviceError: `device_type` is no string, or names no known device type; a `ValueError`.
        ArgumentError: `dtype` is no floating-point dtype.
    """
    device_type = check_device_type(device_type, where="autocast")
    wanted = None if dtype is None else cast_dtype(dtype, "autocast")
    with entered(_Region(device_type, wanted)):
        yield


class _Region:
    """The ambient interpreter of one region."""

    level = LEVEL
    only_factories = False

    def __init__(self, device_type: str, dtype: np.dtype[Any] | None) -> None:
        self.device_type = device_type
        self.token = autocast_token(device_type)
        self.dtype = dtype
        self.outer = ambient.get()
        # Where new fakes belong; see `gpuops.transforms.fake.context.current_mode`.
        self.mode = getattr(self.outer, "mode", None)

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Cast the arrays if the operator is registered, and run it outside of the region."""
        token = ambient.set(self.outer)
        try:
            rule = registry.rule(operator, self.token)
            if rule is not None:
                dtype = rule.value if self.dtype is None else self.dtype
                args = [self._cast(value, dtype) for value in args]
                kwargs = {name: self._cast(value, dtype) for name, value in kwargs.items()}
            return operator.call(*args, **kwargs)
        finally:
            ambient.reset(token)

    def _cast(self, value: Any, dtype: np.dtype[Any]) -> Any:
        cls = type(value)
        if cls is list:
            return [self._cast(item, dtype) for item in value]
        if array_kind(cls) is None and cls not in wrapper_types:
            return value
        if value.dtype not in _CAST or value.dtype == dtype:
            return value
        device = device_of(value) or value.device
        return xp.astype(value, dtype) if device.type == self.device_type else value
