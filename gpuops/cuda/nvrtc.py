"""Compile CUDA C++ with NVRTC. Needs neither a GPU nor a driver.

NVRTC is reached through whichever binding is installed: CuPy's or NVIDIA's ``cuda.bindings``.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, Protocol

from gpuops.errors import GpuopsError

__all__ = [
    "CompileError",
    "Compiled",
    "NvrtcNotFoundError",
    "compile_cubin",
    "compile_ptx",
    "include_paths",
]

# Templates need a standard to be named when CuPy compiles; CUDA 13's CCCL headers need this one.
STANDARD = "--std=c++17"

_INSTALL = "pip install 'gpuops[cuda12]' or 'gpuops[cuda13]'"


class NvrtcNotFoundError(GpuopsError, ImportError):
    """NVRTC, NVIDIA's run-time compiler, or a Python binding of it is not installed."""


class CompileError(GpuopsError, RuntimeError):
    """A kernel's source does not compile.

    Attributes:
        filename: the file of the first error; None if the log names none.
        line: its line, from 1; None if the log names none.
        log: what the compiler said, whole.
    """

    def __init__(self, message: str, filename: str | None, line: int | None, log: str) -> None:
        super().__init__(message)
        self.filename = filename
        self.line = line
        self.log = log

    def __reduce__(self) -> tuple[Any, ...]:
        return CompileError, (str(self), self.filename, self.line, self.log)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made of a source.

    Attributes:
        code: PTX text or a cubin, as bytes.
        log: warnings, and what ``--ptxas-options=-v`` prints.
        lowered: name expression -> the symbol it has in the code.
    """

    code: bytes = field(repr=False)
    log: str
    lowered: dict[str, str]


def compile_ptx(
    source: str,
    arch: str | int = "sm_75",
    options: Sequence[str] = (),
    name_expressions: Sequence[str] = (),
    filename: str = "kernel.cu",
) -> Compiled:
    """Compile to PTX for a virtual architecture.

    Args:
        source: CUDA C++.
        arch: ``"sm_80"``, ``"compute_80"`` or ``80``.
        options: of NVRTC, after the standard ones (`STANDARD`, include paths).
        name_expressions: such as ``"scale<float>"``; their templates are instantiated.
        filename: what messages and line information call the source.

    Raises:
        CompileError: the source does not compile, or no such architecture.
        NvrtcNotFoundError: NVRTC is not installed.
    """
    return _compile(source, f"compute_{_number(arch)}", options, name_expressions, filename)


def compile_cubin(
    source: str,
    arch: str | int = "sm_75",
    options: Sequence[str] = (),
    name_expressions: Sequence[str] = (),
    filename: str = "kernel.cu",
) -> Compiled:
    """Compile to machine code for a real architecture. Arguments and errors as `compile_ptx`."""
    return _compile(source, f"sm_{_number(arch)}", options, name_expressions, filename)


def _number(arch: str | int) -> str:
    match = re.fullmatch(r"(?:sm_|compute_)?(\d+[af]?)", str(arch))
    if match is None:
        raise ValueError(f"expected an architecture such as 'sm_80' or 80, got {arch!r}")
    return match[1]


def _compile(
    source: str, arch: str, options: Sequence[str], names: Sequence[str], filename: str
) -> Compiled:
    binding = _binding()
    flags = [STANDARD, *(f"-I{path}" for path in include_paths()), *options, f"-arch={arch}"]
    program = binding.create(source, filename)
    try:
        for name in names:
            binding.add_name(program, name)
        problem = binding.compile(program, flags)
        log = binding.log(program).strip("\x00\n ")
        if problem is not None:
            raise_compile_error(log or problem, source, filename, f"for {arch}", names)
        code = binding.cubin(program) if arch.startswith("sm_") else binding.ptx(program)
        return Compiled(code, log, {name: binding.lowered(program, name) for name in names})
    finally:
        binding.destroy(program)


def raise_compile_error(
    log: str, source: str, filename: str, where: str, names: Sequence[str]
) -> NoReturn:
    """Raise what a compiler's log says, with the place of the first error in front.

    Args:
        log: of NVRTC, with or without source lines and carets.
        source: what was compiled.
        filename: of the source, as in the log.
        where: such as ``"for sm_80"``.
        names: the kernels asked for.
    """
    match = re.search(r"^(.+?)\((\d+)\): (?:catastrophic )?error[^:]*: (.*)$", log, re.MULTILINE)
    wanted = ", ".join(names) or "the source"
    if match is None:
        message = f"cannot compile {wanted} {where} ({filename}):\n{log}"
        raise CompileError(message, None, None, log)
    file, line, problem = match[1].strip(), int(match[2]), match[3]
    if file == "__nv_name_map":  # where NVRTC looks a name expression up
        message = f"{filename} has no __global__ function {wanted}: {problem} ({where})"
        raise CompileError(message, filename, None, log)
    message = f"{file}:{line}: {problem}, compiling {wanted} {where}\n"
    lines = source.splitlines()
    shown = log[match.end() :].lstrip("\n").split("\n")[0].strip()
    # NVRTC prints the line and a caret below most errors, though not below all.
    if file == filename and 0 < line <= len(lines) and shown != lines[line - 1].strip():
        message += f"    {lines[line - 1].strip()}\n"
    raise CompileError(message + log, file, line, log)


@cache
def include_paths() -> tuple[str, ...]:
    """Folders of CUDA's headers (``cuda_fp16.h`` and others) in the installed wheels.

    The wheels for CUDA 12 have a folder per component, ``nvidia/cuda_runtime/include``; those for
    CUDA 13 share one, ``nvidia/cu13/include``.
    """
    spec = importlib.util.find_spec("nvidia")
    found: list[str] = []
    for root in (spec and spec.submodule_search_locations) or ():
        for name in ("cuda_runtime", "cuda_cccl", "cu*"):
            found += (
                str(path)
                for path in sorted(Path(root).glob(f"{name}/include"))
                if str(path) not in found
                and any((path / inside).exists() for inside in ("cuda_fp16.h", "cub", "cccl"))
            )
    # CUDA 13 keeps CUB and Thrust one folder deeper.
    return tuple(found + [f"{p}/cccl" for p in found if (Path(p) / "cccl").is_dir()])


class _Binding(Protocol):
    """NVRTC as both bindings can give it. A program is an opaque value."""

    def create(self, source: str, filename: str) -> Any: ...
    def add_name(self, program: Any, name: str) -> None: ...
    def compile(self, program: Any, options: list[str]) -> str | None: ...
    def log(self, program: Any) -> str: ...
    def ptx(self, program: Any) -> bytes: ...
    def cubin(self, program: Any) -> bytes: ...
    def lowered(self, program: Any, name: str) -> str: ...
    def destroy(self, program: Any) -> None: ...


class _Cupy:
    """Through the wrapper inside CuPy, which imports neither CuPy nor the driver."""

    def __init__(self) -> None:
        self.nvrtc: Any = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        self.nvrtc.getVersion()

    def create(self, source: str, filename: str) -> Any:
        return self.nvrtc.createProgram(source, filename, (), ())

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
        return bytes(self.nvrtc.getCUBIN(program))

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

    def create(self, source: str, filename: str) -> Any:
        name = filename.encode()
        return self._call("nvrtcCreateProgram", source.encode(), name, 0, None, None)

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


@cache
def _binding() -> _Binding:
    problems: list[str] = []
    candidates: tuple[type[_Binding], ...] = (_Cupy, _Bindings)
    for candidate in candidates:
        # A binding may be there without the library: each reports that in its own way.
        try:
            return candidate()
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
    raise NvrtcNotFoundError(
        f"compiling CUDA kernels needs NVRTC: {_INSTALL} ({'; '.join(problems)})"
    )
