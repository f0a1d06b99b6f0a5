"""A CUDA kernel: source and name, compiled at first use, launched like a function."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gpuops.convert import wrapper_types
from gpuops.cuda import nvrtc
from gpuops.errors import ArgumentError, DeviceError, FakeDataError, RegistrationError

__all__ = ["Kernel"]

Dim = int | tuple[int, ...]

# Of every architecture since sm_30 (CUDA C++ Programming Guide, table 21).
_MAX_GRID = (2**31 - 1, 65535, 65535)
_MAX_BLOCK = (1024, 1024, 64)
_MAX_THREADS = 1024


class Kernel:
    """A ``__global__`` function of a CUDA C++ source, launched through CuPy.

    Making one costs nothing and needs no GPU: the source is compiled at the first launch, once
    per device, and CuPy, which is imported then, keeps the result on disk.

    Args:
        source: CUDA C++ text; or a file ending in ``.cu``, as a string or a path, relative to
            the file of the module that calls. Headers beside the file are found.
        name: of the function: one declared ``extern "C"``, or a C++ name expression such as
            ``"scale<float, 256>"``, whose template is instantiated.
        options: of NVRTC, such as ``("--use_fast_math",)``. ``--std=c++17`` and CUDA's headers
            are always given.

    Attributes:
        name: as given.
        options: as given, a tuple.
        filename: what error messages call the source: the path, or ``"<name>.cu"``.

    Calls:
        ``kernel(grid, block, args, shared_mem=0)`` launches on the current CuPy device and stream
        and returns without waiting. `grid` (blocks) and `block` (threads) are ints or tuples of
        up to three; a grid with a 0 in it launches nothing. `args` are CuPy arrays and scalars:
        a Python int is passed as ``long long``, a float as ``double``, a bool as ``bool``, a
        NumPy scalar as its own type. `shared_mem` is the dynamic shared memory in bytes.

    Raises:
        RegistrationError: there is no such file.
        ArgumentError: (launch) a grid or block no GPU accepts, or an argument that is a NumPy
            array or of no known type.
        CompileError: (launch) the source does not compile.
        DeviceError: (launch) CuPy is not installed, or there is no CUDA device.

    >>> scale = Kernel('''
    ... template <typename T> __global__ void scale(T* x, double s, long long n) {
    ...     long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    ...     if (i < n) x[i] = T(x[i] * s);
    ... }''', "scale<float>")
    >>> scale
    Kernel('scale<float>', <text>)
    """

    def __init__(self, source: str | Path, name: str, *, options: Sequence[str] = ()) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"Kernel: name must be a function's name, got {name!r}")
        if isinstance(options, str):
            raise ArgumentError(f"Kernel: options must be a sequence of strings, got {options!r}")
        self.name = name
        self.options = tuple(options)
        self._path: Path | None = None
        self._text: str | None = None
        if isinstance(source, Path) or source.endswith(".cu"):
            beside = Path(sys._getframe(1).f_globals.get("__file__", ".")).resolve().parent
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
        # cupy.RawKernel: loads itself on every device it is launched on.
        self._function: Any = None

    @property
    def source(self) -> str:
        """The CUDA C++ text; a file is read at the first use and then kept."""
        if self._text is None:
            assert self._path is not None
            self._text = self._path.read_text(encoding="utf-8")
        return self._text

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
        return run(self.source, arch, self._flags(), (self.name,), self.filename)

    def _flags(self) -> tuple[str, ...]:
        beside = () if self._path is None else (f"-I{self._path.parent}",)
        return (*beside, *self.options)

    def __call__(self, grid: Dim, block: Dim, args: Sequence[Any], shared_mem: int = 0) -> None:
        blocks = self._dimensions("grid", grid, 0, _MAX_GRID)
        threads = self._dimensions("block", block, 1, _MAX_BLOCK)
        if threads[0] * threads[1] * threads[2] > _MAX_THREADS:
            self._refuse(f"block must have at most {_MAX_THREADS} threads, got {block}")
        for position, arg in enumerate(args):
            # CuPy would pass a NumPy array's bytes by value: no error, and garbage for a pointer.
            if isinstance(arg, np.ndarray):
                self._refuse(f"args[{position}] must be a CuPy array or a scalar, got {type(arg)}")
            if type(arg) in wrapper_types:
                raise FakeDataError(
                    f"launching {self.name!r} needs data, and args[{position}] has no data: {arg!r}"
                )
        if 0 in blocks:
            return
        function = self._function or self._load()
        function(blocks, threads, tuple(args), shared_mem=shared_mem)

    def _dimensions(self, what: str, given: Dim, least: int, most: tuple[int, int, int]) -> Any:
        sizes = (given,) if isinstance(given, int | np.integer) else tuple(given)
        if not 1 <= len(sizes) <= 3 or not all(isinstance(n, int | np.integer) for n in sizes):
            self._refuse(f"{what} must be an int or a tuple of one to three, got {given!r}")
        full = (*(int(n) for n in sizes), 1, 1)[:3]
        if not all(least <= n <= limit for n, limit in zip(full, most, strict=True)):
            self._refuse(f"{what} must be from {least} to {most} along x, y and z, got {given!r}")
        return full

    def _refuse(self, problem: str) -> NoReturn:
        raise ArgumentError(f"Kernel {self.name!r}: {problem}")

    def _load(self) -> Any:
        """The compiled function, made once however many threads launch at the same time."""
        with self._lock:
            if self._function is None:
                self._function = self._build(_cupy(self.name))
        return self._function

    def _build(self, cupy: Any) -> Any:
        includes = (f"-I{path}" for path in nvrtc.include_paths())
        # CuPy compiles under a temporary name; with this, messages and line tables have ours.
        code = f'#line 1 "{Path(self.filename).as_posix()}"\n{self.source}'
        options = (nvrtc.STANDARD, *includes, *self._flags())
        module = cupy.RawModule(code=code, options=options, name_expressions=(self.name,))
        try:
            return module.get_function(self.name)
        except cupy.cuda.compiler.CompileException as error:
            log = error.get_message()
            where = f"on device {cupy.cuda.Device().id}"
            nvrtc.raise_compile_error(log, self.source, self.filename, where, (self.name,))

    def __repr__(self) -> str:
        where = "<text>" if self._path is None else repr(self._path.name)
        options = f", options={self.options!r}" if self.options else ""
        return f"Kernel({self.name!r}, {where}{options})"

    # By its text and not by its path: another machine may have the package elsewhere.
    def __getstate__(self) -> dict[str, Any]:
        hidden = ("_lock", "_function")
        return {k: v for k, v in self.__dict__.items() if k not in hidden} | {"_text": self.source}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()


def _cupy(name: str) -> Any:
    """CuPy, where it is installed and finds a device.

    Raises:
        DeviceError: it is not, or does not.
    """
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"launching {name!r} needs CuPy: pip install 'gpuops[cuda12]' or 'gpuops[cuda13]' "
            f"({error})"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(f"cannot launch {name!r}: no CUDA device or driver ({error})") from error
    if not count:
        raise DeviceError(f"cannot launch {name!r}: the CUDA driver finds no device")
    return cupy
