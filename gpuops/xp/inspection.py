"""What the namespace can do: ``__array_namespace_info__``."""

from __future__ import annotations

import sys
from typing import Any, final

import numpy as np

from gpuops.devices import Device
from gpuops.xp.dtypes import DTYPES

__all__ = ["NamespaceInfo", "namespace_info"]

_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
    None: "biufc",
}


@final
class NamespaceInfo:
    """What the standard's inspection functions tell."""

    def capabilities(self) -> dict[str, Any]:
        """What the namespace has: data-dependent shapes, and boolean indexing, among others."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device of new arrays."""
        return "cpu"

    def devices(self) -> list[str]:
        """The devices: the host, and the GPUs that CuPy knows of, once somebody has loaded it."""
        found = ["cpu"]
        cupy = sys.modules.get("cupy")
        if cupy is not None and hasattr(cupy, "cuda"):
            try:
                count = cupy.cuda.runtime.getDeviceCount()
            except cupy.cuda.runtime.CUDARuntimeError:
                count = 0
            found += [f"cuda:{index}" for index in range(count)]
        return found

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of new arrays by kind.

        Raises:
            DeviceError: an unknown device.
        """
        _check(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int_),
            "indexing": np.dtype(np.intp),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes by name.

        Args:
            device: a device; all have the same.
            kind: one of the standard's kinds, or a tuple of them; None for all.

        Raises:
            DeviceError: an unknown device.
            ValueError: an unknown kind.

        >>> sorted(NamespaceInfo().dtypes(kind="real floating"))
        ['float32', 'float64']
        """
        _check(device)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = ""
        for one in kinds:
            if one not in _KINDS:
                raise ValueError(f"unsupported kind: {one!r}; known are {', '.join(_named())}")
            wanted += _KINDS[one]
        dtypes = {name: np.dtype(cls) for name, cls in DTYPES.items()}
        return {name: dtype for name, dtype in dtypes.items() if dtype.kind in wanted}


def _named() -> list[str]:
    return [kind for kind in _KINDS if kind is not None]


def _check(device: Any) -> None:
    if device is not None:
        Device(device)


def namespace_info() -> NamespaceInfo:
    """The namespace's capabilities, devices and dtypes; see the standard's inspection API."""
    return NamespaceInfo()
