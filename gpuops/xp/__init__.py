"""`gpuops.xp`: the Array API standard, every function an operator in the namespace ``xp::``.

It is a namespace over NumPy arrays, CuPy arrays, fakes and every other wrapper: what runs depends
on the arguments.

>>> import numpy as np
>>> import gpuops
>>> from gpuops import xp
>>> xp.add(np.ones(2, np.float32), 1.5)
array([2.5, 2.5], dtype=float32)
>>> xp.add(gpuops.FakeArray((10**9, 1), "float32"), gpuops.FakeArray((4,), "float64"))
FakeArray(shape=(1000000000, 4), dtype=float64, device='cpu')
"""

import sys
from typing import Any

import numpy as np

from gpuops.batching import VMAP
from gpuops.transforms.array_methods import provide_namespace
from gpuops.transforms.providers import provide_rules
from gpuops.xp import (
    calculus,
    choosing,
    conversion,
    creation,
    decompositions,
    elementwise,
    extras,
    fourier,
    indexing,
    joining,
    manipulation,
    norms,
    products,
    quantiles,
    robust,
    searching,
    sets,
    sorting,
    statistics,
    tables,
    utility,
)
from gpuops.xp import fft as fft
from gpuops.xp import linalg as linalg
from gpuops.xp._row import ROWS as ROWS
from gpuops.xp._row import Row as Row
from gpuops.xp.composites import COMPOSITES
from gpuops.xp.derived import DERIVED
from gpuops.xp.dtypes import DTYPES, can_cast, finfo, iinfo, isdtype, result_type
from gpuops.xp.functions import FUNCTIONS
from gpuops.xp.inspection import namespace_info
from gpuops.xp.names import ALIASES, STANDARD
from gpuops.xp.shorthands import SHORTHANDS

__array_api_version__ = "2024.12"
__array_namespace_info__ = namespace_info

e = np.e
inf = np.inf
nan = np.nan
newaxis = None
pi = np.pi

CHAPTERS = (
    calculus,
    choosing,
    conversion,
    creation,
    decompositions,
    elementwise,
    extras,
    fourier,
    indexing,
    joining,
    manipulation,
    norms,
    products,
    quantiles,
    robust,
    searching,
    sets,
    sorting,
    statistics,
    tables,
    utility,
)
"""The modules whose rows make up the namespace."""

_NAMED = {
    **DTYPES,
    **COMPOSITES,
    **DERIVED,
    **FUNCTIONS,
    **SHORTHANDS,
    "can_cast": can_cast,
    "finfo": finfo,
    "iinfo": iinfo,
    "isdtype": isdtype,
    "result_type": result_type,
}


def _public(name: str) -> Any:
    """A function, or a dtype, of the namespace; None if there is none of that name."""
    name = ALIASES.get(name, name)
    row = ROWS.get(name)
    if name in _NAMED:
        found = _NAMED[name]
        if row is not None:
            # As the functions that are made from a schema have them.
            found.operator, found.row = row.operator, row
        return found
    if row is None or name.startswith(("linalg_", "fft_")):
        return None
    return row.function


def __getattr__(name: str) -> Any:
    # Functions are made when they are first asked for: there are hundreds.
    found = _public(name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    rows = {name for name in ROWS if not name.startswith(("linalg_", "fft_"))}
    return sorted({*STANDARD, *_NAMED, *rows, *ALIASES, "ROWS", "Row"})


__all__ = [*__dir__()]  # noqa: PLE0604, RUF100

provide_namespace(sys.modules[__name__])
provide_rules("xp", "autograd", "gpuops.xp.gradients")
provide_rules("xp", VMAP, "gpuops.xp.batching")
