"""Moving arrays between the host and a GPU, real or simulated."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from gpuops.cuda.available import load_cupy
from gpuops.devices import Device, array_kind, kind_for, simulated_kind
from gpuops.errors import ArgumentError, DeviceError, describe

__all__ = ["asarray", "namespace"]


def namespace(device: str | Device) -> Any:
    """The array library of a device: `numpy`, `cupy`, or the simulated GPU's namespace.

    Host code that has an array takes ``x.__array_namespace__()``; this is for code that has none,
    such as the kernel of a factory operator.

    Raises:
        DeviceError: no such device, or CuPy cannot be used here.

    >>> namespace("cpu").__name__
    'numpy'
    """
    if Device(device).type == "cpu":
        return np
    if simulated_kind.get() is not None:
        from gpuops.cuda.simulated import NAMESPACE

        return NAMESPACE
    return load_cupy(f"use arrays of device {str(device)!r}")


def asarray(x: Any, *, dtype: Any = None, device: str | Device | None = None) -> Any:
    """`x` as an array on a device.

    Args:
        x: an array of a known library, or what `numpy.asarray` takes.
        dtype: of the result; None keeps it.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; None leaves arrays where they are, and puts
            anything else on the host. Inside `gpuops.cuda.simulator`, "cuda" is the simulated GPU.

    Returns:
        `x` itself where nothing has to change, else a new array.

    Raises:
        DeviceError: there is no such device.
        ArgumentError: `x` cannot be made an array.

    >>> import numpy as np
    >>> asarray([1, 2], device="cpu")
    array([1, 2])
    >>> x = np.ones(3)
    >>> asarray(x) is x
    True
    """
    kind = array_kind(type(x))
    if kind is None:
        x = _from_host(x)
        kind = array_kind(np.ndarray)
    assert kind is not None
    here = kind.device_of(x)
    wanted = here if device is None else Device(device)
    if wanted.type != here.type or wanted.index not in (None, here.index):
        x = _move(x, here, wanted)
    elif wanted.type == "cuda" and not _is_of_this_context(x):
        x = _move(_move(x, here, Device("cpu")), Device("cpu"), wanted)
    return x if dtype is None or x.dtype == np.dtype(dtype) else x.astype(dtype)


def _from_host(x: Any) -> np.ndarray:
    found = np.asarray(x)
    if found.dtype.kind == "O":
        raise ArgumentError(f"asarray: expected an array or numbers, got {describe(x)}")
    return found


def _is_of_this_context(x: Any) -> bool:
    """Whether an array on "cuda" is of the GPU, real or simulated, that the context is about."""
    simulated = simulated_kind.get()
    return simulated is None or type(x) is simulated.cls


def _move(x: Any, here: Device, wanted: Device) -> Any:
    if wanted.type == "cpu":
        return x.get()
    xp = namespace(wanted)
    if simulated_kind.get() is not None:
        return _to_simulated(x.get() if here.type == "cuda" else x, wanted)
    kind = kind_for("cuda")
    assert kind is not None  # CuPy is loaded
    current = importlib.import_module("cupy").cuda.runtime.getDevice()
    with kind.guard(wanted if wanted.index is not None else Device("cuda", current)):
        return xp.asarray(x)


def _to_simulated(x: np.ndarray, wanted: Device) -> Any:
    from gpuops.cuda.simulated import NAMESPACE, devices

    there = devices()
    if wanted.index is not None and wanted not in there:
        which = f"{there[0]} only" if len(there) == 1 else f"{there[0]} to {there[-1]}"
        raise DeviceError(f"asarray: there is no {wanted}; the simulator has {which}")
    kind = simulated_kind.get()
    assert kind is not None
    with kind.guard(wanted):
        return NAMESPACE.asarray(x)
