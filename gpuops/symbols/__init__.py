"""Sizes that may be symbolic: `SymInt`, and what shape rules need to work with ints and symbols."""

from typing import TYPE_CHECKING, Any

from gpuops.symbols.symint import SymBool, SymInt, is_symbolic, sym_max, sym_min
from gpuops.symbols.symnumber import SymComplex, SymFlag, SymFloat, SymNumber, is_sym_number

if TYPE_CHECKING:
    from gpuops.symbols.env import Condition, ShapeEnv, Symbol
    from gpuops.symbols.sizes import (
        broadcast_shapes,
        broadcast_sizes,
        known_equal,
        product,
        require_equal,
    )

__all__ = [
    "Condition",
    "ShapeEnv",
    "SymBool",
    "SymComplex",
    "SymFlag",
    "SymFloat",
    "SymInt",
    "SymNumber",
    "Symbol",
    "broadcast_shapes",
    "broadcast_sizes",
    "is_sym_number",
    "is_symbolic",
    "known_equal",
    "product",
    "require_equal",
    "sym_max",
    "sym_min",
]

# Operator calls need to know a `SymInt` when they see one, and nothing else of this package.
_LAZY = {
    "Condition": "env",
    "ShapeEnv": "env",
    "Symbol": "env",
    "broadcast_shapes": "sizes",
    "broadcast_sizes": "sizes",
    "known_equal": "sizes",
    "product": "sizes",
    "require_equal": "sizes",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return value
