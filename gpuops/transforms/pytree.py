"""Nested tuples, lists, dictionaries and registered classes: optree, loaded when first needed."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpuops.errors import PytreesNotInstalledError

__all__ = ["tree"]


@cache
def tree() -> Any:
    """The module `optree`.

    Raises:
        PytreesNotInstalledError: it is not installed.

    >>> tree().tree_leaves({"a": [1, 2], "b": (3,)})
    [1, 2, 3]
    """
    try:
        import optree
    except ImportError as error:
        raise PytreesNotInstalledError(
            "gradients and batching need optree, which is not installed: "
            "pip install 'gpuops[transforms]'"
        ) from error
    return optree
