"""Compile CUDA C++ with NVRTC. Needs neither a GPU nor a driver, and does not import CuPy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from gpuops.cuda.bindings import (
    HEADER_NAME,
    Binding,
    NvrtcNotFoundError,
    load_binding,
    package_folders,
)
from gpuops.errors import GpuopsError

__all__ = [
    "ArchitectureError",
    "CompileError",
    "Compiled",
    "NvrtcNotFoundError",
    "arch_number",
    "compile_cubin",
    "compile_ptx",
    "include_paths",
    "read_spills",
    "version",
]

# Templates need a standard to be named when CuPy compiles; CUDA 13's CCCL headers need this one.
STANDARD = "--std=c++17"

# A template that is instantiated with each kernel's type, when `types` are asked for: the symbol
# of the instance spells every parameter, with typedefs and template parameters resolved, and for
# ``extern "C"`` kernels too, whose own symbols say nothing. A header and not part of the source, so
# that the lines of the source keep their numbers.
_PROBE = HEADER_NAME
_PROBE_HEADER = f"template <typename> __global__ void {_PROBE}() {{}}\n"

# The file that NVRTC's log names where a name expression is wrong.
_NAME_MAP = "__nv_name_map"

VERBOSE = "--ptxas-options=-v"
"""Makes ptxas print what it spilled, which a cubin does not say; see `read_spills`."""

_FUNCTION = re.compile(
    r"Function properties for (\S+)\n"
    r".*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
)


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


class ArchitectureError(GpuopsError, ValueError):
    """There is no such architecture, or this version does not know it."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made of a source.

    Attributes:
        code: PTX text or a cubin, as bytes.
        log: warnings, and what ``--ptxas-options=-v`` prints.
        lowered: name expression -> the symbol it has in the code.
        types: name expression -> a symbol that spells the types of its parameters, for
            `gpuops.cuda.mangling.function_parameters`; only what was asked for and found.
    """

    code: bytes = field(repr=False)
    log: str
    lowered: dict[str, str]
    types: dict[str, str] = field(default_factory=dict)


def compile_ptx(
    source: str,
    arch: str | int = "sm_75",
    options: Sequence[str] = (),
    name_expressions: Sequence[str] = (),
    filename: str = "kernel.cu",
    *,
    types: bool = False,
) -> Compiled:
    """Compile to PTX for a virtual architecture.

    Args:
        source: CUDA C++.
        arch: ``"sm_80"``, ``"compute_80"`` or ``80``.
        options: of NVRTC, after the standard ones (`STANDARD`, include paths).
        name_expressions: such as ``"scale<float>"``; their templates are instantiated.
        filename: what messages and line information call the source.
        types: also find the types of the kernels' parameters; the code has an empty kernel more
            for each of them.

    Raises:
        CompileError: the source does not compile.
        ArchitectureError: no such architecture, or NVRTC does not know it.
        NvrtcNotFoundError: NVRTC is not installed.
    """
    real = f"compute_{arch_number(arch)}"
    return _compile(source, real, options, name_expressions, filename, types)


def compile_cubin(
    source: str,
    arch: str | int = "sm_75",
    options: Sequence[str] = (),
    name_expressions: Sequence[str] = (),
    filename: str = "kernel.cu",
    *,
    types: bool = False,
) -> Compiled:
    """Compile to machine code for a real architecture. Arguments and errors as `compile_ptx`."""
    real = f"sm_{arch_number(arch)}"
    return _compile(source, real, options, name_expressions, filename, types)


def version() -> tuple[int, int]:
    """NVRTC's major and minor version, such as ``(12, 9)``.

    Raises:
        NvrtcNotFoundError: NVRTC is not installed.
    """
    return _binding().version()


def arch_number(arch: str | int) -> str:
    """The number of an architecture.

    Raises:
        ArchitectureError: neither a number nor such a name.

    >>> arch_number("sm_90a"), arch_number("compute_75"), arch_number(120)
    ('90a', '75', '120')
    """
    match = re.fullmatch(r"(?:sm_|compute_)?(\d+[af]?)", str(arch))
    if match is None:
        raise ArchitectureError(f"expected an architecture such as 'sm_80' or 80, got {arch!r}")
    return match[1]


def _compile(
    source: str,
    arch: str,
    options: Sequence[str],
    names: Sequence[str],
    filename: str,
    types: bool,
) -> Compiled:
    binding = _binding()
    flags = [STANDARD, *(f"-I{path}" for path in include_paths()), *options, f"-arch={arch}"]
    probes = {name: f"{_PROBE}<decltype(&{name})>" for name in names} if types else {}
    header = _PROBE_HEADER if types else ""
    program = binding.create(source, filename, header)
    try:
        for name in (*names, *probes.values()):
            binding.add_name(program, name)
        if types:
            flags.append(f"--pre-include={_PROBE}")
        problem = binding.compile(program, flags)
        log = binding.log(program).strip("\x00\n ")
        if problem is not None and types and _NAME_MAP in log:
            # A name that stands for a kernel need not have an address: whoever asks for the types
            # has to do without, and any other error comes out cleaner.
            return _compile(source, arch, options, names, filename, False)
        if problem is not None and "--gpu-architecture" in log:
            major, minor = binding.version()
            raise ArchitectureError(f"NVRTC {major}.{minor} does not compile for {arch}")
        if problem is not None:
            raise_compile_error(log or problem, source, filename, f"for {arch}", names)
        code = binding.cubin(program) if arch.startswith("sm_") else binding.ptx(program)
        lowered = {name: binding.lowered(program, name) for name in names}
        found = {name: binding.lowered(program, probe) for name, probe in probes.items()}
        return Compiled(code, log, lowered, found)
    finally:
        binding.destroy(program)


def read_spills(log: str) -> dict[str, tuple[int, int]]:
    """Bytes of spill stores and loads per thread, by symbol, from what `VERBOSE` makes print.

    >>> read_spills('''Function properties for f
    ... ptxas         .     48 bytes stack frame, 92 bytes spill stores, 96 bytes spill loads''')
    {'f': (92, 96)}
    """
    return {
        symbol: (int(stores), int(loads)) for symbol, _, stores, loads in _FUNCTION.findall(log)
    }


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
    unclosed = re.search(r"^At end of source: error[^:]*: (.*)$", log, re.MULTILINE)
    if unclosed is not None:
        line = len(source.splitlines())
        message = f"{filename}:{line}: {unclosed[1]} at the end, compiling"
        raise CompileError(f"{message} {', '.join(names)} {where}\n{log}", filename, line, log)
    match = re.search(r"^(.+?)\((\d+)\): (?:catastrophic )?error[^:]*: (.*)$", log, re.MULTILINE)
    wanted = ", ".join(names) or "the source"
    if match is None:
        message = f"cannot compile {wanted} {where} ({filename}):\n{log}"
        raise CompileError(message, None, None, log)
    file, line, problem = match[1].strip(), int(match[2]), match[3]
    if file == _NAME_MAP:
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
    CUDA 13 share one, ``nvidia/cu13/include``. CUB and what cooperative groups need are in a wheel
    that gpuops does not ask for: without it, the copy that CuPy carries is used.
    """
    found: list[str] = []
    for root in package_folders("nvidia"):
        for name in ("cuda_runtime", "cuda_cccl", "cu*"):
            found += (
                str(path)
                for path in sorted(root.glob(f"{name}/include"))
                if str(path) not in found
                and any((path / inside).exists() for inside in ("cuda_fp16.h", "cub", "cccl"))
            )
    # CUDA 13 keeps CUB and Thrust one folder deeper.
    found += [f"{path}/cccl" for path in found if (Path(path) / "cccl").is_dir()]
    if not any((Path(path) / "nv" / "target").is_file() for path in found):
        found += _cccl_of_cupy()
    return tuple(found)


def _cccl_of_cupy() -> list[str]:
    for root in package_folders("cupy"):
        carried = root / "_core" / "include" / "cupy" / "_cccl"
        folders = [carried / name for name in ("cub", "thrust", "libcudacxx")]
        if (carried / "libcudacxx" / "nv" / "target").is_file():
            return [str(folder) for folder in folders if folder.is_dir()]
    return []


@cache
def _binding() -> Binding:
    return load_binding()
