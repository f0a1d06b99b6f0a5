"""NVRTC, reached as a library or through whichever Python binding is installed.

As a library first: it is in a wheel that the extras bring, and loading it takes no time. CuPy's
own binding imports all of CuPy.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Protocol

from gpuops.errors import GpuopsError

__all__ = ["HEADER_NAME", "Binding", "NvrtcNotFoundError", "load_binding", "package_folders"]

HEADER_NAME = "gpuops_signature"
"""What the one header is called that a program may be given in memory."""

_INSTALL = "pip install 'gpuops[cuda12]' or 'gpuops[cuda13]'"


class NvrtcNotFoundError(GpuopsError, ImportError):
    """NVRTC, NVIDIA's run-time compiler, or a Python binding of it is not installed."""


class Binding(Protocol):
    """NVRTC as every binding can give it. A program is an opaque value."""

    def version(self) -> tuple[int, int]: ...
    def create(self, source: str, filename: str, header: str) -> Any: ...
    def add_name(self, program: Any, name: str) -> None: ...
    def compile(self, program: Any, options: list[str]) -> str | None: ...
    def log(self, program: Any) -> str: ...
    def ptx(self, program: Any) -> bytes: ...
    def cubin(self, program: Any) -> bytes: ...
    def lowered(self, program: Any, name: str) -> str: ...
    def destroy(self, program: Any) -> None: ...


class _Library:
    """The library itself, through ctypes, which lets other threads run during a call."""

    def __init__(self) -> None:
        self.library = _open()
        self.version()

    def _call(self, function: str, *args: Any) -> None:
        status = getattr(self.library, function)(*args)
        if status:
            describe = self.library.nvrtcGetErrorString
            describe.restype = ctypes.c_char_p
            raise RuntimeError(f"{function}: {describe(status).decode()}")

    def _bytes(self, program: Any, get: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"{get}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(get, program, buffer)
        return buffer.raw

    def version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def create(self, source: str, filename: str, header: str) -> Any:
        program = ctypes.c_void_p()
        count = 1 if header else 0
        texts = (ctypes.c_char_p * 1)(header.encode())
        names = (ctypes.c_char_p * 1)(HEADER_NAME.encode())
        created = ctypes.byref(program)
        code, name = source.encode(), filename.encode()
        self._call("nvrtcCreateProgram", created, code, name, count, texts, names)
        return program

    def add_name(self, program: Any, name: str) -> None:
        self._call("nvrtcAddNameExpression", program, name.encode())

    def compile(self, program: Any, options: list[str]) -> str | None:
        flags = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        try:
            self._call("nvrtcCompileProgram", program, len(options), flags)
        except RuntimeError as error:
            return str(error)
        return None

    def log(self, program: Any) -> str:
        return self._bytes(program, "nvrtcGetProgramLog").decode(errors="replace")

    def ptx(self, program: Any) -> bytes:
        return self._bytes(program, "nvrtcGetPTX").rstrip(b"\x00")

    def cubin(self, program: Any) -> bytes:
        return self._bytes(program, "nvrtcGetCUBIN")

    def lowered(self, program: Any, name: str) -> str:
        symbol = ctypes.c_char_p()
        self._call("nvrtcGetLoweredName", program, name.encode(), ctypes.byref(symbol))
        assert symbol.value is not None
        return symbol.value.decode()

    def destroy(self, program: Any) -> None:
        self._call("nvrtcDestroyProgram", ctypes.byref(program))


def _open() -> ctypes.CDLL:
    """The library from a wheel, of the version that CuPy is built for if there are several.

    Raises:
        OSError: there is none, or it cannot be loaded.
    """
    found = _in_wheels()
    wanted = _cupy_major()
    found.sort(key=lambda path: f"nvrtc64_{wanted}" in path.name or path.name.endswith(wanted))
    if found:
        return ctypes.CDLL(str(found[-1]))
    name = ctypes.util.find_library("nvrtc")
    if name is None:
        raise OSError("the library nvrtc is not installed")
    return ctypes.CDLL(name)


def package_folders(name: str) -> list[Path]:
    """Where a package is installed, without importing it or minding whether it has been."""
    spec = PathFinder.find_spec(name)
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]


def _in_wheels() -> list[Path]:
    """Wheels for CUDA 12 have ``nvidia/cuda_nvrtc``, those for CUDA 13 ``nvidia/cu13``."""
    pattern = "bin/**/nvrtc64_*_0.dll" if sys.platform == "win32" else "lib/libnvrtc.so.*"
    return [
        path
        for root in package_folders("nvidia")
        for folder in ("cuda_nvrtc", "cu*[0-9]")
        for path in sorted(root.glob(f"{folder}/{pattern}"))
        if "alt" not in path.name
    ]


def _cupy_major() -> str:
    """``"12"`` where cupy-cuda12x is installed, told by its metadata and not by importing it."""
    for root in package_folders("cupy"):
        for path in root.parent.glob("cupy_cuda*.dist-info"):
            if found := re.match(r"cupy_cuda(\d+)x-", path.name):
                return found[1]
    return "12"


class _Cupy:
    """Through the wrapper inside CuPy, where its packaging knows better where the library is."""

    def __init__(self) -> None:
        self.nvrtc: Any = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        self.nvrtc.getVersion()

    def version(self) -> tuple[int, int]:
        major, minor = self.nvrtc.getVersion()
        return int(major), int(minor)

    def create(self, source: str, filename: str, header: str) -> Any:
        headers = ((header.encode(),), (HEADER_NAME.encode(),)) if header else ((), ())
        return self.nvrtc.createProgram(source, filename, *headers)

    def add_name(self, program: Any, name: str) -> None:
        self.nvrtc.addNameExpression(program, name)

    def compile(self, program: Any, options: list[str]) -> str | None:
        try:
            self.nvrtc.compileProgram(program, tuple(options))
        except self.nvrtc.NVRTCError as error:
            return str(error)
        return None

    def log(self, program: Any) -> str:
        return str(self.nvrtc.getProgramLog(program))

    def ptx(self, program: Any) -> bytes:
        code = self.nvrtc.getPTX(program)
        return code.encode() if isinstance(code, str) else bytes(code)

    def cubin(self, program: Any) -> bytes:
        # CuPy takes the last byte, which belongs to the last header, for the end of a text.
        return bytes(self.nvrtc.getCUBIN(program)) + b"\x00"

    def lowered(self, program: Any, name: str) -> str:
        symbol = self.nvrtc.getLoweredName(program, name)
        return symbol.decode() if isinstance(symbol, bytes) else str(symbol)

    def destroy(self, program: Any) -> None:
        self.nvrtc.destroyProgram(program)


class _Bindings:
    """Through NVIDIA's ``cuda.bindings``; its functions return (status, values...)."""

    def __init__(self) -> None:
        self.nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
        self._call("nvrtcVersion")

    def _call(self, function: str, *args: Any) -> Any:
        status, *values = getattr(self.nvrtc, function)(*args)
        if int(status):
            raise RuntimeError(f"{function}: {status.name}")
        return values[0] if len(values) == 1 else values

    def _bytes(self, program: Any, size: str, get: str) -> bytes:
        buffer = bytearray(self._call(size, program))
        self._call(get, program, buffer)
        return bytes(buffer)

    def version(self) -> tuple[int, int]:
        major, minor = self._call("nvrtcVersion")
        return int(major), int(minor)

    def create(self, source: str, filename: str, header: str) -> Any:
        texts, names = ([header.encode()], [HEADER_NAME.encode()]) if header else (None, None)
        count = 1 if header else 0
        code, name = source.encode(), filename.encode()
        return self._call("nvrtcCreateProgram", code, name, count, texts, names)

    def add_name(self, program: Any, name: str) -> None:
        self._call("nvrtcAddNameExpression", program, name.encode())

    def compile(self, program: Any, options: list[str]) -> str | None:
        flags = [option.encode() for option in options]
        (status,) = self.nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        return str(status.name) if int(status) else None

    def log(self, program: Any) -> str:
        return self._bytes(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").decode()

    def ptx(self, program: Any) -> bytes:
        return self._bytes(program, "nvrtcGetPTXSize", "nvrtcGetPTX").rstrip(b"\x00")

    def cubin(self, program: Any) -> bytes:
        return self._bytes(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")

    def lowered(self, program: Any, name: str) -> str:
        symbol = self._call("nvrtcGetLoweredName", program, name.encode())
        return symbol.decode() if isinstance(symbol, bytes) else str(symbol)

    def destroy(self, program: Any) -> None:
        self._call("nvrtcDestroyProgram", program)


def load_binding() -> Binding:
    """The first binding that works.

    Raises:
        NvrtcNotFoundError: none does.
    """
    problems: list[str] = []
    candidates: tuple[type[Binding], ...] = (_Library, _Cupy, _Bindings)
    for candidate in candidates:
        # A binding may be there without the library: each reports that in its own way.
        try:
            return candidate()
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
    raise NvrtcNotFoundError(
        f"compiling CUDA kernels needs NVRTC: {_INSTALL} ({'; '.join(problems)})"
    )
