"""A kernel's cubin for an architecture: built beforehand, cached, or compiled now."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpuops.cuda import nvrtc, store
from gpuops.cuda.cachekey import digest, toolchain
from gpuops.cuda.store import Binary

if TYPE_CHECKING:
    from gpuops.cuda.kernel import Kernel

__all__ = ["build", "compile_binary", "obtain"]

# Code for these runs on no other chip of its generation, and other chips' code not on them.
_EMBEDDED = frozenset({"72", "87"})


def obtain(kernel: Kernel, arch: str) -> Binary:
    """The cubin of a kernel, in this order:

    1. from the folders of ``GPUOPS_CUBIN_PATH``, whatever compiled it, for this architecture or an
       earlier one of the same generation (code for sm_80 runs on sm_86);
    2. from the cache, if the installed compiler compiled it; without a compiler as in 1.;
    3. compiled now, and kept in the cache.

    Args:
        kernel: a `gpuops.cuda.Kernel`.
        arch: such as ``"sm_90"``.

    Raises:
        CompileError: the source does not compile.
        NvrtcNotFoundError: there is nothing compiled, and NVRTC is not installed.
    """
    for folder in store.prebuilt_folders():
        if found := _any_compiler(kernel, arch, folder, own=False):
            return found
    cache, compiler, key = store.cache_folder(), toolchain(), _key(kernel, arch)
    if cache is not None:
        if compiler is None:
            cached = _any_compiler(kernel, arch, cache, own=True)
        else:
            cached = store.find(cache, kernel.name, arch, key, compiler, own=True)
        if cached is not None:
            return cached
    binary = compile_binary(kernel, arch)
    store.save(cache, binary, key)
    return binary


def build(kernel: Kernel, arch: str, folder: Path) -> Path:
    """Compile a kernel into a folder, for ``GPUOPS_CUBIN_PATH`` of another machine.

    Raises:
        CompileError: the source does not compile.
        NvrtcNotFoundError: NVRTC is not installed.
        OSError: the folder cannot be written to.
    """
    binary = compile_binary(kernel, arch, announce=False)
    return store.write(folder, binary, _key(kernel, arch))


def compile_binary(kernel: Kernel, arch: str, *, announce: bool = True) -> Binary:
    """Compile a kernel, saying so on standard error unless ``GPUOPS_QUIET`` is set."""
    compiler = toolchain()
    if compiler is not None and announce:
        _announce(f"compiling {kernel.name} for {arch} ...")
    source, options, filename = kernel.program
    try:
        compiled = nvrtc.compile_cubin(
            source, arch, (*options, nvrtc.VERBOSE), (kernel.name,), filename, types=True
        )
    except nvrtc.NvrtcNotFoundError as error:
        places = [*store.prebuilt_folders(), store.cache_folder()]
        looked = ", ".join(str(place) for place in places if place)
        raise nvrtc.NvrtcNotFoundError(
            f"there is no compiled {kernel.name!r} for {arch} in {looked}; {error}"
        ) from error
    symbol = compiled.lowered[kernel.name]
    return Binary(
        kernel.name,
        arch,
        symbol,
        compiled.types.get(kernel.name, ""),
        nvrtc.read_spills(compiled.log).get(symbol, (0, 0)),
        str(compiler),
        compiled.code,
    )


def _announce(message: str) -> None:
    if os.environ.get("GPUOPS_QUIET", "") in ("", "0"):
        sys.stderr.write(f"gpuops: {message}\n")
        sys.stderr.flush()


def _key(kernel: Kernel, arch: str) -> str:
    source, options, _ = kernel.program
    return digest(source, kernel.folder, options, kernel.name, arch)


def _any_compiler(kernel: Kernel, arch: str, folder: Path, *, own: bool) -> Binary | None:
    for other in _compatible(arch):
        key = _key(kernel, other)
        if found := store.find(folder, kernel.name, other, key, None, own=own):
            return found
    return None


def _compatible(arch: str) -> list[str]:
    """The architectures whose cubins run on one, the closest first.

    >>> _compatible("sm_86")
    ['sm_86', 'sm_85', 'sm_84', 'sm_83', 'sm_82', 'sm_81', 'sm_80']
    >>> _compatible("sm_90a"), _compatible("sm_87")
    (['sm_90a'], ['sm_87'])
    """
    number = nvrtc.arch_number(arch)
    if not number.isdigit() or number in _EMBEDDED:
        return [arch]
    generation, minor = number[:-1], int(number[-1])
    return [f"sm_{generation}{step}" for step in range(minor, -1, -1)]
