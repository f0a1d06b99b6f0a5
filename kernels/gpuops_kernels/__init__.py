"""The pack of operators that comes with gpuops, namespace ``gpuops_kernels``.

Every folder in here is one operator: its module ``op`` declares an operator of the folder's name.
Importing the pack imports these declarations only; Numba, CuPy and the kernels are imported by the
first call that needs them.

>>> import numpy as np
>>> from gpuops_kernels import softmax
>>> softmax(np.zeros((1, 4), np.float32))
array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
"""

import importlib as _importlib
import pkgutil as _pkgutil

__all__ = []

for _found in _pkgutil.iter_modules(__path__):
    if _found.ispkg and not _found.name.startswith("_"):
        _op = _importlib.import_module(f"{__name__}.{_found.name}.op")
        # Over the submodule of the same name, which `sys.modules` still has.
        globals()[_found.name] = getattr(_op, _found.name)
        __all__.append(_found.name)
