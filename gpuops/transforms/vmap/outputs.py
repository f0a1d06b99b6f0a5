"""What a batching rule returned: checked, and made into arrays of one element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gpuops.entries import Entry
from gpuops.errors import BatchDimensionError, VmapError, describe
from gpuops.registry import Operator
from gpuops.schema import Type
from gpuops.symbols import require_equal
from gpuops.transforms.vmap.array import BatchedArray, is_array

if TYPE_CHECKING:
    from gpuops.transforms.vmap.interpreter import Batching

__all__ = ["wrap_outputs"]


def wrap_outputs(batching: Batching, operator: Operator, result: Any, rule: Entry | None) -> Any:
    """The outputs of a batched call.

    Args:
        batching: the batch.
        operator: what was called.
        result: what its rule returned: (output, out_dims).
        rule: the rule that was registered; None for one that gpuops made.

    Raises:
        VmapError: it is no pair, or its two halves do not go together.
        BatchDimensionError: an output has no such axis, or one of another size than the batch.
    """
    returns = operator.schema.returns
    if type(result) is tuple and len(result) == 2:
        out, dims = result
        if type(dims) is int and len(returns) == 1 and type(out) is np.ndarray:
            # The usual case: one array, with its batch axis where it should be.
            shape = out.shape
            if 0 <= dims < len(shape) and shape[dims] == batching.info.batch_size:
                return BatchedArray(out, dims, batching)
    place = "gpuops" if rule is None else str(rule.location)
    if type(result) is not tuple or len(result) != 2:
        got = f"a tuple of {len(result)}" if type(result) is tuple else describe(result)
        raise VmapError(
            f"the batching rule of {operator.qualname} (at {place}) is expected to have two "
            f"returns, the output and its out_dims, got {got}. Declared as {operator.declaration}"
        )
    if type(out) is not tuple and len(returns) == 1 and type(dims) is int and is_array(out):
        return _wrap(batching, operator, place, out, dims, "its output")
    if not returns:
        if out is not None:
            _fail_structure(operator, place, out, dims, "it returns nothing, so None was expected")
        return None
    if not operator.schema.returns_tuple:
        return _output(batching, operator, place, returns[0].type, out, dims, "its output")
    if not isinstance(out, (tuple, list)) or len(out) != len(returns):
        _fail_structure(operator, place, out, dims, f"{len(returns)} outputs were expected")
    spread = _spread(operator, place, out, dims)
    return tuple(
        _output(batching, operator, place, returned.type, value, dim, f"output {index}")
        for index, (returned, value, dim) in enumerate(zip(returns, out, spread, strict=True))
    )


def _spread(operator: Operator, place: str, out: Any, dims: Any) -> list[Any]:
    """A dim per item: one int or None stands for all."""
    if dims is None or type(dims) is int:
        return [dims] * len(out)
    if not isinstance(dims, (tuple, list)) or len(dims) != len(out):
        _fail_structure(operator, place, out, dims, f"there are {len(out)} items in the output")
    return list(dims)


def _output(
    batching: Batching,
    operator: Operator,
    place: str,
    type_: Type,
    value: Any,
    dims: Any,
    which: str,
) -> Any:
    if type_.is_list and isinstance(value, (list, tuple)):
        item_type = type_.item
        return [
            _output(batching, operator, place, item_type, item, dim, f"{which}[{index}]")
            for index, (item, dim) in enumerate(
                zip(value, _spread(operator, place, value, dims), strict=True)
            )
        ]
    if value is None and type_.optional:
        return None
    if type_.is_array and not is_array(value):
        _fail_structure(operator, place, value, dims, f"{which} is {describe(value)}, no array")
    if dims is None:
        return value
    if type(dims) is not int:
        _fail_structure(operator, place, value, dims, f"{which} is {describe(value)}")
    if not is_array(value):
        _fail_structure(operator, place, value, dims, f"{which} is {describe(value)}, no array")
    return _wrap(batching, operator, place, value, dims, which)


def _wrap(
    batching: Batching, operator: Operator, place: str, value: Any, dim: int, which: str
) -> Any:
    shape = value.shape
    ndim = len(shape)
    if not -ndim <= dim < ndim:
        raise BatchDimensionError(
            f"the batching rule of {operator.qualname} (at {place}) returned the out_dim {dim} "
            f"for {which}, which has {ndim} axes: expected -{ndim} <= out_dim < {ndim}. "
            f"Declared as {operator.declaration}"
        )
    size, expected = shape[dim], batching.info.batch_size
    if size is not expected and (size == expected) is not True:
        _check_size(operator, place, size, expected, dim, which)
    return BatchedArray(value, dim if dim >= 0 else dim + ndim, batching)


def _check_size(
    operator: Operator, place: str, size: Any, expected: Any, dim: int, which: str
) -> None:
    what = (
        f"the batching rule of {operator.qualname} (at {place}) returned {which} with the size "
        f"{size} along its out_dim {dim}, but the batch has the size {expected}"
    )
    if type(size) is int and type(expected) is int:
        raise BatchDimensionError(f"{what}. Declared as {operator.declaration}")
    require_equal(size, expected, what)


def _fail_structure(operator: Operator, place: str, out: Any, dims: Any, why: str) -> NoReturn:
    raise VmapError(
        f"the batching rule of {operator.qualname} (at {place}) returned an incompatible (output, "
        f"out_dims) pair: the output is {describe(out)}, out_dims is {dims!r}; {why}. "
        f"Declared as {operator.declaration}"
    )
