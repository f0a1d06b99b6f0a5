"""Packs: packages that register operators and are found by entry point.

A pack's distribution declares, for each namespace it defines::

    [project.entry-points."gpuops.ops"]
    my_namespace = "my_package"

Importing the module has to register the operators of that namespace.
"""

from __future__ import annotations

import importlib
import threading

from gpuops.errors import OperatorNotFoundError
from gpuops.locks import fork_safe
from gpuops.registry import registry

__all__ = ["GROUP", "load_pack", "load_packs"]

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
    for name, module in sorted(_entry_points().items()):
        try:
            importlib.import_module(module)
        except Exception as error:  # one broken pack must not hide the others
            results[name] = f"{type(error).__name__}: {error}"
        else:
            results[name] = None
    return results


def load_pack(namespace: str) -> None:
    """Import the pack that defines a namespace, if one is installed.

    Raises:
        OperatorNotFoundError: there is one and it cannot be imported.
    """
    with _lock:
        # While a pack is imported it may look into its own namespace.
        if namespace in _loading:
            return
        module = OWN.get(namespace) or _entry_points().get(namespace)
        if module is None:
            return
        _loading.add(namespace)
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise OperatorNotFoundError(
                f"the pack {module!r} of the namespace {namespace!r} cannot be imported: {error}"
            ) from error
        finally:
            _loading.discard(namespace)


def _entry_points() -> dict[str, str]:
    # Only here: reading the metadata of all installed distributions takes milliseconds.
    from importlib.metadata import entry_points

    return {point.name: point.value.partition(":")[0] for point in entry_points(group=GROUP)}


registry.on_unknown_namespace = load_pack
