"""Rules that are loaded when the first one is looked for.

Most programs call operators and need no gradient of any. A namespace says where its rules for a
token are, and the module is imported at the first look that finds none.
"""

from __future__ import annotations

import importlib
from typing import Final

from gpuops.entries import Entry
from gpuops.registry import Operator, registry

__all__ = ["find_rule", "provide_rules"]

_modules: Final[dict[tuple[str, str], str]] = {}


def provide_rules(namespace: str, token: str, module: str) -> None:
    """Say which module registers the rules of a namespace's operators.

    Args:
        namespace: of the operators.
        token: of the rules.
        module: its full name; importing it registers them.
    """
    _modules[namespace, token] = module


def find_rule(operator: Operator, token: str) -> Entry | None:
    """The rule in force for (operator, token), after those that are still to be loaded."""
    entry = registry.rule(operator, token)
    if entry is None and (operator.namespace, token) in _modules:
        importlib.import_module(_modules[operator.namespace, token])
        _modules.pop((operator.namespace, token), None)
        entry = registry.rule(operator, token)
    return entry
