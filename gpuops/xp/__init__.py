"""The Array API standard as operators."""

import sys
from typing import Any

from gpuops.transforms.array_methods import provide_namespace
from gpuops.xp import creation as creation
from gpuops.xp import decompositions as decompositions
from gpuops.xp import elementwise as elementwise
from gpuops.xp import extras as extras
from gpuops.xp import fft as fft
from gpuops.xp import linalg as linalg
from gpuops.xp import manipulation as manipulation
from gpuops.xp import norms as norms
from gpuops.xp import products as products
from gpuops.xp import searching as searching
from gpuops.xp import sets as sets
from gpuops.xp import sorting as sorting
from gpuops.xp import indexing as indexing
from gpuops.xp import statistics as statistics
from gpuops.xp import utility as utility
from gpuops.xp._row import ROWS as ROWS


def __getattr__(name: str) -> Any:
    row = ROWS.get(name)
    if row is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = row.function
    return function


provide_namespace(sys.modules[__name__])
