"""A CUDA kernel: source and name, compiled at first use, launched like a function."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpuops.convert import wrapper_types
from gpuops.cuda import nvrtc, simulated
from gpuops.cuda.binaries import obtain
from gpuops.cuda.geometry import MAX_BLOCKS, MAX_THREADS, Dim, launch_sizes
from gpuops.cuda.launcher import Launch, launcher_for
from gpuops.cuda.limits import SUPPORTED_ARCHS
from gpuops.cuda.mangling import function_parameters
from gpuops.cuda.parameter_names import parameter_names
from gpuops.cuda.signature import KernelSignature, signature_of
from gpuops.cuda.store import Binary
from gpuops.errors import (
    ArgumentError,
    DeviceError,
    FakeDataError,
    Location,
    RegistrationError,
)
from gpuops.locks import fork_safe

__all__ = ["Kernel", "all_kernels"]

_lock = fork_safe(threading.Lock())
_kernels: weakref.WeakSet[Kernel] = weakref.WeakSet()


class Kernel:
    """A ``__global__`` function of a CUDA C++ source, launched through CuPy or simulated.

    Making one costs nothing and needs no GPU: the source is compiled at the first launch on each
    device, which says so on standard error, and kept on disk; see ``docs/cuda.md``.

    Args:
        source: CUDA C++ text; or a file ending in ``.cu``, as a string or a path, relative to
            the file of the module that calls (typed interactively, to the current folder).
            Headers beside the file are found.
        name: of the function: one declared ``extern "C"``, or a C++ name expression such as
            ``"scale<float, 256>"``, whose template is instantiated.
        options: of NVRTC, such as ``("--use_fast_math",)``. ``--std=c++17`` and CUDA's headers
            are always given.

    Attributes:
        name: as given.
        options: as given, a tuple.
        filename: what error messages call the source: the path, or ``"<name>.cu"``.
        location: where it was made.

    Calls:
        ``kernel(grid, block, args, shared_mem=0)`` launches on the device of the arrays in `args`
        and its current stream, and returns without waiting. `grid` (blocks) and `block` (threads)
        are ints or tuples of up to three; a grid with a 0 in it launches nothing. `args` are CuPy
        arrays and numbers, checked against what the compiler found the kernel to take: an array
        for a pointer, of the dtype it points to and C-contiguous (see `gpuops.cuda.pointer`); a
        Python number that fits, or a NumPy scalar of exactly the parameter's type; None for a null
        pointer; a NumPy scalar or array of one element for a struct. `shared_mem` is the dynamic
        shared memory in bytes. With arrays of the simulated GPU (`gpuops.cuda.simulator`) the
        launch runs in `gpuops.cuda.simulate`.

    Raises:
        RegistrationError: there is no such file.
        ArgumentError: (launch) a grid or block no GPU accepts, or arguments that the kernel does
            not take.
        CompileError: (launch) the source does not compile.
        DeviceError: (launch) CuPy is not installed, there is no CUDA device, or the arrays are on
            several.
        LaunchError: (launch) the driver refused it, or an earlier kernel failed; in debug mode,
            the kernel failed.

    >>> scale = Kernel('''
    ... template <typename T> __global__ void scale(T* x, double s, long long n) {
    ...     long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    ...     if (i < n) x[i] = T(x[i] * s);
    ... }''', "scale<float>")
    >>> scale
    Kernel('scale<float>', <text>)
    >>> print(scale.signature)
    scale<float>(float* x, double s, long long n)
    """

    def __init__(self, source: str | Path, name: str, *, options: Sequence[str] = ()) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"Kernel: name must be a function's name, got {name!r}")
        if not isinstance(source, str | Path):
            raise ArgumentError(
                f"Kernel {name!r}: source must be CUDA C++ text or the path of a .cu file, "
                f"got {source!r}"
            )
        if isinstance(options, str):
            raise ArgumentError(f"Kernel: options must be a sequence of strings, got {options!r}")
        caller = sys._getframe(1)
        module = str(caller.f_globals.get("__name__", ""))
        self.name = name
        self.options = tuple(options)
        self.location = Location(caller.f_code.co_filename, caller.f_lineno, module)
        self._path: Path | None = None
        self._text: str | None = None
        if isinstance(source, Path) or source.endswith(".cu"):
            file = caller.f_globals.get("__file__")
            # Typed interactively there is no file: then the current folder.
            beside = Path(file).resolve().parent if file else Path.cwd()
            self._path = beside / source
            if not self._path.is_file():
                raise RegistrationError(f"Kernel {name!r}: there is no file {self._path}")
            self.filename = str(self._path)
        else:
            self._text = source
            self.filename = f"{name.partition('<')[0].rpartition(':')[2]}.cu"
        self._prepare()

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._launch: Launch | None = None
        self._signature: KernelSignature | None = None
        with _lock:
            _kernels.add(self)

    # -- the source --------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The CUDA C++ text; a file is read at the first use and then kept."""
        if self._text is None:
            assert self._path is not None
            self._text = self._path.read_text(encoding="utf-8")
        return self._text

    @property
    def folder(self) -> Path | None:
        """Where the source lies; None for text."""
        return None if self._path is None else self._path.parent

    @property
    def program(self) -> tuple[str, tuple[str, ...], str]:
        """Source, options with the source's folder among them, and file name.

        Kernels for which these are equal can be compiled together.
        """
        beside = () if self._path is None else (f"-I{self._path.parent}",)
        return self.source, (*beside, *self.options), self.filename

    # -- without a GPU -----------------------------------------------------------------------------

    def compile(self, arch: str | int, *, ptx: bool = False) -> nvrtc.Compiled:
        """Compile with no GPU and no driver.

        Args:
            arch: such as ``"sm_80"``.
            ptx: PTX text instead of a cubin.

        Raises:
            CompileError: the source does not compile for it.
            NvrtcNotFoundError: NVRTC is not installed.
        """
        run = nvrtc.compile_ptx if ptx else nvrtc.compile_cubin
        source, options, filename = self.program
        return run(source, arch, options, (self.name,), filename, types=True)

    @property
    def signature(self) -> KernelSignature:
        """What the kernel takes, as the compiler sees it; compiled once if it has not been yet.

        Raises:
            CompileError: the source does not compile.
            NvrtcNotFoundError: NVRTC is not installed, and no compiled kernel is found.
        """
        if self._signature is None:
            # Parameters are the same for every architecture.
            self.signature_from(obtain(self, SUPPORTED_ARCHS[0]))
        assert self._signature is not None
        return self._signature

    def signature_from(self, binary: Binary) -> KernelSignature:
        """The signature, from one of the kernel's binaries."""
        if self._signature is None:
            types = function_parameters(binary.types) if binary.types else None
            names = parameter_names(self.source, self.name)
            slots = binary.resources.parameters
            self._signature = signature_of(self.name, types, slots, names, str(self.location))
        return self._signature

    # -- on a GPU ----------------------------------------------------------------------------------

    def __call__(self, grid: Dim, block: Dim, args: Sequence[Any], shared_mem: int = 0) -> None:
        # The usual form first: what this adds to a launch is felt (bench/bench_launch.py).
        if type(grid) is type(block) is int and 0 < grid <= MAX_BLOCKS and 0 < block <= MAX_THREADS:
            blocks, threads = (grid, 1, 1), (block, 1, 1)
        else:
            blocks, threads = launch_sizes(self.name, grid, block)
            if 0 in blocks:
                return None
        try:
            if simulated.state.used and simulated.concerns(args):
                return self._simulate(blocks, threads, args, shared_mem)
            launch = self._launch or self._load()
            launch(blocks, threads, args, shared_mem)
        except (ArgumentError, DeviceError):
            self._refuse_fakes(args)
            raise

    def _refuse_fakes(self, args: Sequence[Any]) -> None:
        """Say of arrays without data that they have none: a better reason than any other."""
        for position, arg in enumerate(args):
            if type(arg) in wrapper_types:
                raise FakeDataError(
                    f"launching {self.name!r} needs data, and args[{position}] has no data: {arg!r}"
                )

    def _simulate(self, blocks: Dim, threads: Dim, args: Sequence[Any], shared_mem: int) -> None:
        from gpuops.cuda.simulation import simulate  # a GPU host has no use for it

        checked = self.signature.check_arguments(args, simulated.SimulatedArray)
        simulated.check_one_device(self.name, args)
        note = simulated.state.on_launch
        if note is not None:
            arrays = [
                (getattr(arg, "array", arg), parameter.const)
                for arg, parameter in zip(args, self.signature.parameters, strict=True)
                if isinstance(getattr(arg, "array", arg), simulated.SimulatedArray)
            ]
            note(self.name, [a for a, const in arrays if const], [a for a, c in arrays if not c])
        written = [getattr(arg, "written", None) for arg in checked]
        simulate(self, blocks, threads, checked, shared_mem, _written=written)

    def _load(self) -> Launch:
        """What launches the kernel, made once however many threads launch at the same time."""
        with self._lock:
            if self._launch is None:
                self._launch = launcher_for(self)
        return self._launch

    def __repr__(self) -> str:
        where = "<text>" if self._path is None else repr(self._path.name)
        options = f", options={self.options!r}" if self.options else ""
        return f"Kernel({self.name!r}, {where}{options})"

    # By its text and not by its path: another machine may have the package elsewhere.
    def __getstate__(self) -> dict[str, Any]:
        hidden = ("_lock", "_launch", "_signature")
        return {k: v for k, v in self.__dict__.items() if k not in hidden} | {"_text": self.source}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()


def all_kernels() -> list[Kernel]:
    """The kernels of this process, in the order of their names."""
    with _lock:
        found = list(_kernels)
    return sorted(found, key=lambda kernel: (kernel.location.module, kernel.name))


def _after_fork() -> None:
    """A child has none of the parent's threads, which may hold locks, and no CUDA context."""
    for kernel in list(_kernels):
        kernel._lock = threading.Lock()
        kernel._launch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
