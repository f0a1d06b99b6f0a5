"""Compiled kernels on disk: found by what they were made of, and never trusted unread.

A file holds one kernel for one architecture: a first line that names the format, the checksum of
the rest, a line of JSON, and the cubin. It is written under another name and then renamed, so that
other processes see all of it or nothing; whoever finds a file that is cut off or changed takes it
away and compiles again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from gpuops.cuda.cubin import CubinError, Resources, read_cubin

__all__ = ["Binary", "cache_folder", "decode", "encode", "file_name", "find", "prebuilt_folders"]

_MAGIC = b"gpuops cubin 1\n"


@dataclass(frozen=True)
class Binary:
    """One compiled kernel.

    Attributes:
        kernel: its name.
        arch: what it was compiled for, such as ``"sm_90"``.
        symbol: its name in the cubin.
        types: a symbol that spells the types of its parameters; empty where they are not known.
        spills: bytes of spill stores and of spill loads per thread.
        toolchain: what compiled it.
        code: the cubin.
        origin: the file it was read from; None if it was compiled in this process.
    """

    kernel: str
    arch: str
    symbol: str
    types: str
    spills: tuple[int, int]
    toolchain: str
    code: bytes = field(repr=False)
    origin: Path | None = None

    @cached_property
    def resources(self) -> Resources:
        """Registers, memory and parameters.

        Raises:
            CubinError: the code is no cubin, or has no such kernel.
        """
        found = read_cubin(self.code).get(self.symbol)
        if found is None:
            raise CubinError(f"the cubin of {self.kernel!r} has no kernel {self.symbol!r}")
        return found


def encode(binary: Binary) -> bytes:
    """The file of a compiled kernel."""
    fields = asdict(binary)
    for name in ("code", "origin"):
        del fields[name]
    body = json.dumps(fields).encode() + b"\n" + binary.code
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(data: bytes, origin: Path | None = None) -> Binary:
    """What `encode` made a file of.

    Raises:
        ValueError: the file is cut off, changed, or of another format.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("not a file of compiled kernels, or one of another version")
    checksum, _, body = data[len(_MAGIC) :].partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("its checksum is wrong")
    head, _, code = body.partition(b"\n")
    fields = json.loads(head)
    fields["spills"] = tuple(fields["spills"])
    return Binary(**fields, code=code, origin=origin)


def file_name(kernel: str, arch: str, digest: str, toolchain: str) -> str:
    """The file of a kernel: for people in front, for `find` behind.

    >>> file_name("norm<float, 4>", "sm_90", "1f" * 4, "nvrtc12.9-aa")
    'norm_float_4.sm_90.1f1f1f1f.nvrtc12.9-aa.cubin'
    """
    return f"{_prefix(kernel, arch, digest)}{toolchain}.cubin"


def _prefix(kernel: str, arch: str, digest: str) -> str:
    readable = re.sub(r"\W+", "_", kernel).strip("_")[:60]
    return f"{readable}.{arch}.{digest}."


def cache_folder() -> Path | None:
    """Where compiled kernels are kept.

    ``$GPUOPS_CACHE_DIR``, else ``$XDG_CACHE_HOME/gpuops``, else ``~/.cache/gpuops``; None for a
    user without a home.
    """
    if named := os.environ.get("GPUOPS_CACHE_DIR"):
        return Path(named).expanduser()
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "gpuops"
    try:
        return Path.home() / ".cache" / "gpuops"
    except RuntimeError:
        return None


def prebuilt_folders() -> list[Path]:
    """Where ``gpuops cuda build`` has put kernels: the folders in ``$GPUOPS_CUBIN_PATH``."""
    named = os.environ.get("GPUOPS_CUBIN_PATH", "")
    return [Path(folder).expanduser() for folder in named.split(os.pathsep) if folder]


def find(
    folder: Path, kernel: str, arch: str, digest: str, toolchain: str | None, *, own: bool
) -> Binary | None:
    """A kernel in a folder.

    Args:
        folder: need not exist.
        kernel: its name.
        arch: such as ``"sm_90"``.
        digest: see `gpuops.cuda.cachekey`.
        toolchain: the compiler; None for whatever compiled it.
        own: whether the folder is ours: a file that is not whole is deleted then, else reported.
    """
    for path in _candidates(folder, _prefix(kernel, arch, digest), toolchain):
        try:
            data = path.read_bytes()
        except OSError:  # not there, or not for us to read
            continue
        try:
            return decode(data, path)
        except (ValueError, KeyError, TypeError) as error:
            _discard(path, error, own)
    return None


def _candidates(folder: Path, prefix: str, toolchain: str | None) -> Iterator[Path]:
    if toolchain is not None:
        yield folder / f"{prefix}{toolchain}.cubin"
        return
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return
    for name in names:
        if name.startswith(prefix) and name.endswith(".cubin"):
            yield folder / name


def _discard(path: Path, error: Exception, own: bool) -> None:
    if own:
        with suppress(OSError):  # somebody else did, or we may not
            path.unlink()
    else:
        _warn_once(f"{path} is not used: {error}")


def save(folder: Path | None, binary: Binary, digest: str) -> None:
    """Keep a kernel; a folder that cannot be written to is reported once and changes nothing."""
    if folder is None:
        _warn_once("compiled kernels are not kept: this user has no home; set GPUOPS_CACHE_DIR")
        return
    try:
        write(folder, binary, digest)
    except OSError as error:
        _warn_once(
            f"compiled kernels are not kept, {folder} cannot be written to "
            f"({error.strerror or error}): every process compiles them again. Set "
            "GPUOPS_CACHE_DIR to a folder that can be"
        )


def write(folder: Path, binary: Binary, digest: str) -> Path:
    """Write a kernel's file; its path.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(binary.kernel, binary.arch, digest, binary.toolchain)
    # `os.open` and not `tempfile`, whose files only their owner may read: a cache can be shared.
    temporary = folder / f".{digest}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(encode(binary))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(f"gpuops: {message}", RuntimeWarning, stacklevel=2)
