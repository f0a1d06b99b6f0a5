"""Profiles in files and streams."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from gpuops.errors import UsageError, describe
from gpuops.profiles.model import OpProfile
from gpuops.profiles.text import generate_yaml_from_profiles, read_profiles_from_yaml

__all__ = ["load_op_profiles", "save_op_profiles"]


def save_op_profiles(profiles: Mapping[str, Set[OpProfile]], f: Any) -> None:
    """Write profiles to a file.

    Args:
        profiles: as `record_op_profiles` gives them.
        f: a path, or a binary or text stream. A file at a path is replaced at once: whatever
            happens meanwhile, it is the old one or the new one.

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
    # In the same folder, for a rename does not cross file systems; a link stays a link.
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
        return read_profiles_from_yaml(Path(f).read_bytes())
    if not callable(getattr(f, "read", None)):
        raise UsageError(f"load_op_profiles takes a path or a stream, got {describe(f)}")
    try:
        data = f.read()
    except UnicodeDecodeError as error:
        from gpuops.profiles.errors import ProfileError

        raise ProfileError(f"profiles, line 1: the file is not UTF-8: {error}") from error
    return read_profiles_from_yaml(data)
