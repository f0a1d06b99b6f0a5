"""What `gpuops info` reports: versions, devices, extras, packs, caches. Plain data, no layout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpuops
from gpuops import checks
from gpuops.cuda.available import why_unavailable
from gpuops.cuda.store import cache_folder

__all__ = ["CudaState", "cuda_state", "facts", "processor"]

# One requirement of the package's metadata: a name, and the extra it belongs to.
_REQUIREMENT = re.compile(r"""^(?P<name>[\w.-]+).*;.*\bextra\s*==\s*['"](?P<extra>[\w-]+)['"]""")


@dataclass(frozen=True, slots=True)
class CudaState:
    """The CUDA devices that kernels can run on, and why there are none."""

    devices: list[dict[str, Any]]
    reason: str | None


def cuda_state() -> CudaState:
    """The devices that CuPy finds; it is imported only where there is a driver with a device."""
    reason = why_unavailable()
    if reason is not None:
        return CudaState([], reason)
    try:
        import cupy

        runtime = cupy.cuda.runtime
        devices = []
        for index in range(runtime.getDeviceCount()):
            properties = runtime.getDeviceProperties(index)
            devices.append(
                {
                    "device": f"cuda:{index}",
                    "name": properties["name"].decode(),
                    "compute_capability": f"{properties['major']}.{properties['minor']}",
                    "memory_bytes": int(properties["totalGlobalMem"]),
                }
            )
    except Exception as error:  # CuPy has an exception class of its own for each library
        return CudaState([], f"CuPy finds no device: {str(error).splitlines()[0]}")
    return CudaState(devices, None if devices else "the CUDA driver finds no device")


def processor() -> dict[str, Any]:
    """The CPU's name and how many of its cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"device": "cpu", "name": _processor_name(), "cores": cores}


def _processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def facts() -> dict[str, Any]:
    """Everything that `gpuops info` reports, ready for JSON."""
    cuda = cuda_state()
    return {
        "gpuops": gpuops.__version__,
        "location": str(Path(gpuops.__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": _version("numpy"),
        "debug": bool(checks.enabled.get()),
        "devices": [processor(), *cuda.devices],
        "no_cuda_because": cuda.reason,
        "extras": _extras(),
        "packs": gpuops.load_packs(),
        "caches": [_kernel_cache(), _cupy_cache(), _numba_cache()],
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extras() -> dict[str, dict[str, str | None]]:
    """For each extra, its distributions and the installed version of each, None if missing.

    Read from the installed package's own metadata; empty where gpuops runs without being
    installed (from a source tree on the import path).
    """
    try:
        requirements = importlib.metadata.requires("gpuops") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in requirements:
        found = _REQUIREMENT.match(requirement)
        if found and found["name"] != "gpuops":
            extras.setdefault(found["extra"], {})[found["name"]] = _version(found["name"])
    return extras


def _kernel_cache() -> dict[str, Any]:
    return _cache("CUDA kernels", cache_folder() or Path(), ("*.cubin",))


def _cupy_cache() -> dict[str, Any]:
    folder = os.environ.get("CUPY_CACHE_DIR") or Path.home() / ".cupy" / "kernel_cache"
    return _cache("CuPy's own kernels", Path(folder), ("*.cubin",))


def _numba_cache() -> dict[str, Any]:
    """Numba's compiled kernels of the packs: in NUMBA_CACHE_DIR, or beside the sources."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return _cache("CPU kernels (Numba)", Path(named), ("*.nbi", "*.nbc"))
    found = importlib.util.find_spec("gpuops_kernels")
    folders = list(found.submodule_search_locations or []) if found else []
    folder = Path(folders[0]) if folders else Path(gpuops.__file__).parent
    return _cache("CPU kernels (Numba)", folder, ("*.nbi", "*.nbc"))


def _cache(name: str, folder: Path, patterns: tuple[str, ...]) -> dict[str, Any]:
    entries = [path for pattern in patterns for path in folder.rglob(pattern)]
    sizes = []
    for path in entries:
        try:
            sizes.append(path.stat().st_size)
        except OSError:  # another process has just replaced it
            continue
    return {"name": name, "folder": str(folder), "files": len(sizes), "bytes": sum(sizes)}
