"""Run as a program: do CuPy's functions take what the kernels pass them?

Every kernel runs with a stand-in for CuPy: the call's arguments are bound to the signature of
CuPy's function, and NumPy's computes. It needs CuPy and no GPU. Prints what does not fit, as JSON.
"""

from __future__ import annotations

import inspect
import json
import warnings
from typing import Any

import numpy as np

from gpuops import NoKernelError, xp
from tests.xp.samples import samples


class StandIn:
    """CuPy's names and signatures, NumPy's results."""

    def __init__(self, module: Any, oracle: Any) -> None:
        self._module = module
        self._oracle = oracle
        self.__name__ = module.__name__

    def __getattr__(self, name: str) -> Any:
        theirs = getattr(self._module, name)
        ours = getattr(self._oracle, name)
        if inspect.ismodule(theirs):
            return StandIn(theirs, ours)
        if not inspect.isfunction(theirs):
            return ours

        def call(*args: Any, **kwargs: Any) -> Any:
            inspect.signature(theirs).bind(*args, **kwargs)
            if name == "array" and kwargs.get("copy") is False:
                kwargs["copy"] = None  # NumPy's spelling
            return ours(*args, **kwargs)

        return call


def main() -> None:
    """Print the operators that fail, and those that CuPy has no function for."""
    warnings.simplefilter("ignore")
    # Only here: pytest imports this module, and loading CuPy would change what other tests see.
    import cupy

    failed, absent = {}, []
    for name, (args, kwargs) in samples().items():
        try:
            xp.ROWS[name].kernel(StandIn(cupy, np), *args, **kwargs)
        except NoKernelError:
            absent.append(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    print(json.dumps({"failed": failed, "absent": sorted(absent)}))  # noqa: T201


if __name__ == "__main__":
    main()
