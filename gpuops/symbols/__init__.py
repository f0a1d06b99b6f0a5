"""Sizes that may be symbolic: `SymInt`, and what shape rules need to work with ints and symbols."""

from gpuops.symbols.env import Condition, ShapeEnv, Symbol
from gpuops.symbols.sizes import (
    broadcast_shapes,
    broadcast_sizes,
    known_equal,
    product,
    require_equal,
)
from gpuops.symbols.symint import SymBool, SymInt, is_symbolic, sym_max, sym_min

__all__ = [
    "Condition",
    "ShapeEnv",
    "SymBool",
    "SymInt",
    "Symbol",
    "broadcast_shapes",
    "broadcast_sizes",
    "is_symbolic",
    "known_equal",
    "product",
    "require_equal",
    "sym_max",
    "sym_min",
]
