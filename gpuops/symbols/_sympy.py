"""SymPy, imported when the first symbol is made."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpuops.errors import SymbolsNotInstalledError

__all__ = ["sympy"]


@cache
def sympy() -> Any:
    """The module, imported at the first call.

    Raises:
        SymbolsNotInstalledError: it is not installed.
    """
    try:
        import sympy as module
    except ImportError as error:
        raise SymbolsNotInstalledError(
            f"symbolic sizes need SymPy: pip install 'gpuops[symbolic]' ({error})"
        ) from error
    return module
