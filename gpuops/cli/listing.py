"""What `gpuops ops` reports: the registered operators, one dictionary each."""

from __future__ import annotations

from typing import Any

import gpuops
from gpuops.errors import OperatorNotFoundError, closest
from gpuops.registry import Operator

__all__ = ["describe_operator", "find_operators"]


def find_operators(text: str | None) -> list[Operator]:
    """The operators whose name contains `text`; all of them for None.

    Raises:
        OperatorNotFoundError: there is none; the message names the closest.
    """
    found = gpuops.operators()
    if text is None:
        return found
    chosen = [operator for operator in found if text.casefold() in operator.qualname.casefold()]
    if not chosen:
        names = [operator.qualname for operator in found]
        names += [operator.name for operator in found]
        raise OperatorNotFoundError(f"no operator's name contains {text!r}{closest(text, names)}")
    return chosen


def describe_operator(operator: Operator) -> dict[str, Any]:
    """Name, schema, tags, kernels by device and places of an operator, ready for JSON."""
    return {
        "name": operator.qualname,
        "schema": str(operator.schema),
        "tags": [tag.name for tag in operator.tags],
        "kernels": operator.kernel_table(),
        "declared_at": str(operator.location),
    }
