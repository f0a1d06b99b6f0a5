"""Profiles in files and streams."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from gpuops.errors import UsageError, describe
from gpuops.profiles.errors import ProfileError
from gpuops.profiles.model import OpProfile
from gpuops.profiles.text import LARGEST, generate_yaml_from_profiles, read_profiles_from_yaml

__all__ = ["load_op_profiles", "save_op_profiles"]


def save_op_profiles(profiles: Mapping[str, Set[OpProfile]], f: Any) -> None:
    """Write profiles to a file.

    Args:
        profiles: as `record_op_profiles` gives them.
        f: a path, or a binary or text stream. A file at a path is replaced at once: whatever
            happens meanwhile, it is the old one or the new one, with the old one's permissions.

    Raises:
        ProfileError: malformed profiles; nothing is written then.
        UsageError: `f` is something else.
        OSError: it cannot be written.
    """
    text = generate_yaml_from_profiles(profiles)
    if isinstance(f, (str, os.PathLike)):
        _replace(Path(f), text.encode())
    elif isinstance(f, io.TextIOBase):
        f.write(text)
    elif isinstance(f, io.RawIOBase):
        with io.BytesIO(text.encode()) as left:
            while data := left.read(1 << 16):
                written = f.write(data)
                left.seek((written or 0) - len(data), io.SEEK_CUR)
    elif callable(getattr(f, "write", None)):
        _write(f, text)
    else:
        raise UsageError(f"save_op_profiles takes a path or a stream, got {describe(f)}")


def _write(stream: Any, text: str) -> None:
    """Write to a stream that may be of either kind, as wrappers of files are."""
    try:
        stream.write(text.encode())
    except TypeError:
        stream.write(text)


def _replace(path: Path, data: bytes) -> None:
    # A link stays a link, and what is no file of its own (a device, a pipe) is written to.
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    # In the same folder, for a rename does not cross file systems.
    new = path.with_name(f".gpuops-{secrets.token_hex(8)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _keep_permissions(path, new)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _keep_permissions(old: Path, new: Path) -> None:
    try:
        status = old.stat()
    except FileNotFoundError:
        return
    if (status.st_uid, status.st_gid) != (os.getuid(), os.getgid()):
        # Only root may give a file away.
        with contextlib.suppress(PermissionError):
            os.chown(new, status.st_uid, status.st_gid)
    os.chmod(new, status.st_mode & 0o7777)


def load_op_profiles(f: Any) -> dict[str, set[OpProfile]]:
    """Read what `save_op_profiles` wrote.

    Args:
        f: a path, or a binary or text stream.

    Raises:
        OutdatedProfileError: a RuntimeError: the format is of another major version.
        ProfileError: a ValueError: anything else is wrong; it names line and key.
        UsageError: `f` is something else.
        OSError: it cannot be read.

    >>> import io
    >>> stream = io.BytesIO()
    >>> save_op_profiles({}, stream)
    >>> _ = stream.seek(0)
    >>> load_op_profiles(stream)
    {}
    """
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            # One more than is read, which says that there is more.
            return read_profiles_from_yaml(file.read(LARGEST + 1))
    if not callable(getattr(f, "read", None)):
        raise UsageError(f"load_op_profiles takes a path or a stream, got {describe(f)}")
    try:
        data = f.read()
    except UnicodeDecodeError as error:
        raise ProfileError(f"profiles, line 1: the file is not UTF-8: {error}") from error
    return read_profiles_from_yaml(data)
