"""What brings operators from elsewhere: packs, found by entry point, and shared libraries.

A pack's distribution declares, for each namespace it defines::

    [project.entry-points."gpuops.ops"]
    my_namespace = "my_package"

Importing the module has to register the operators of that namespace. Several packs may add to one
namespace.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import Any

from gpuops.errors import OperatorNotFoundError, UsageError, describe
from gpuops.locks import fork_safe
from gpuops.registry import registry

__all__ = ["GROUP", "load_library", "load_pack", "load_packs"]

GROUP = "gpuops.ops"

OWN = {"xp": "gpuops.xp"}
"""The namespaces that gpuops itself defines, when something is first looked up in them."""

_lock = fork_safe(threading.RLock())
_loading: set[str] = set()


def load_packs() -> dict[str, str | None]:
    """Import every installed pack.

    Returns:
        For each pack, by the name of its entry point, None or why it could not be imported.
    """
    results: dict[str, str | None] = {}
    for name, modules in sorted(_entry_points().items()):
        problems = [problem for module in modules if (problem := _problem(module)) is not None]
        results[name] = "; ".join(problems) or None
    return results


def _problem(module: str) -> str | None:
    """Import a module; why it could not be imported, or None."""
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # one broken pack must not hide the others
        return f"{type(error).__name__}: {error}"
    return None


def load_pack(namespace: str) -> None:
    """Import the packs that define a namespace, if any are installed.

    Raises:
        OperatorNotFoundError: there is one and it cannot be imported.
    """
    with _lock:
        # While a pack is imported it may look into its own namespace.
        if namespace in _loading:
            return
        own = OWN.get(namespace)
        _loading.add(namespace)
        try:
            for module in (own,) if own else _entry_points().get(namespace, ()):
                _import(module, namespace)
        finally:
            _loading.discard(namespace)


def _import(module: str, namespace: str) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the pack does, it has no such operator
        raise OperatorNotFoundError(
            f"the pack {module!r} of the namespace {namespace!r} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error


def _entry_points() -> dict[str, list[str]]:
    # Only here: reading the metadata of all installed distributions takes milliseconds.
    from importlib.metadata import entry_points

    found: dict[str, list[str]] = {}
    for point in entry_points(group=GROUP):
        modules = found.setdefault(point.name, [])
        # An editable installation can be listed twice.
        if point.module not in modules:
            modules.append(point.module)
    return found


def load_library(path: str | os.PathLike[str]) -> Any:
    """Load a shared library whose functions kernels call, or which registers operators itself.

    Args:
        path: the path of the library.

    Returns:
        The `ctypes.CDLL`.

    Raises:
        UsageError: `path` is no path.
        OSError: it cannot be loaded; the message names it.
    """
    import ctypes  # only here: few programs load libraries of their own

    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"load_library takes the path of a library, got {describe(path)}")
    if not os.fspath(path):
        # The C library takes an empty name for the program itself.
        raise OSError(f"Could not load this library: {path!r}: it names no file")
    try:
        return ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise OSError(f"Could not load this library: {path}: {error}") from error


registry.on_unknown_namespace = load_pack
