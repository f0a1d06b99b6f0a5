"""The fake that a gufunc signature gives: shapes by name of dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.errors import ShapeError
from gpuops.gufunc import CoreDimension
from gpuops.registry import Operator
from gpuops.symbols import broadcast_shapes, require_equal
from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.remembered import of_metadata

__all__ = ["gufunc_fake"]

Size = Any


def gufunc_fake(operator: Operator) -> Callable[..., Any]:
    """The fake kernel of an operator with a gufunc signature.

    The loop dimensions, in front of the core dimensions, are broadcast. Outputs are C-contiguous,
    of the dtype that NumPy promotes the arrays' dtypes to.

    Raises (the returned function):
        ShapeError: too few axes, or sizes that differ for one name; it names the dimension.
    """
    schema = operator.schema
    arrays = [p.name for p in schema.array_parameters]
    positions = {p.name: i for i, p in enumerate(schema.positional)}

    def fake(*args: Any, **kwargs: Any) -> Any:
        given: list[FakeArray] = [
            args[positions[name]] if name in positions else kwargs[name] for name in arrays
        ]
        dtype = np.result_type(*(array.dtype for array in given))
        shapes = _shapes(operator, arrays, [array.shape for array in given])
        outputs = [given[0].new_empty(shape, dtype) for shape in shapes]
        return tuple(outputs) if schema.returns_tuple else outputs[0]

    return of_metadata(fake)


def _shapes(
    operator: Operator, names: list[str], shapes: list[tuple[Size, ...]]
) -> list[tuple[Size, ...]]:
    """The shapes of the outputs."""
    signature = operator.signature
    assert signature is not None
    sizes: dict[str, tuple[Size, str]] = {}
    missing = _missing(signature.inputs, shapes)
    loops = []
    for name, shape, core in zip(names, shapes, signature.inputs, strict=True):
        present = [dimension for dimension in core if dimension.name not in missing]
        split = len(shape) - len(present)
        if split < 0:
            raise ShapeError(
                f"{operator.qualname}: argument {name!r} must have at least {len(present)} "
                f"axes, ({','.join(map(str, core))}) of the signature {signature}, but has the "
                f"shape ({', '.join(map(str, shape))})"
            )
        loops.append(shape[:split])
        for dimension, size in zip(present, shape[split:], strict=True):
            _bind(operator, sizes, dimension, size, name)
    loop = _broadcast(operator, names, loops)
    outputs = []
    for core in signature.outputs:
        kept = [d for d in core if d.name not in missing]
        outputs.append((*loop, *(sizes[d.name][0] if d.size is None else d.size for d in kept)))
    return outputs


def _missing(
    inputs: tuple[tuple[CoreDimension, ...], ...], shapes: list[tuple[Size, ...]]
) -> set[str]:
    """The optional dimensions that the arrays lack: those an operand with too few axes has."""
    missing: set[str] = set()
    for core, shape in zip(inputs, shapes, strict=True):
        lacking = len(core) - len(shape)
        marks = [dimension.name for dimension in core if dimension.optional]
        if 0 < lacking <= len(marks):
            missing.update(marks[:lacking])
    return missing


def _bind(
    operator: Operator,
    sizes: dict[str, tuple[Size, str]],
    dimension: CoreDimension,
    size: Size,
    argument: str,
) -> None:
    prefix = f"{operator.qualname}: dimension {dimension.name!r} of {operator.signature}"
    if dimension.size is not None:
        require_equal(size, dimension.size, f"{prefix} must be its number in {argument!r}")
        return
    known = sizes.get(dimension.name)
    if known is None:
        sizes[dimension.name] = size, argument
        return
    earlier, owner = known
    same = require_equal(earlier, size, f"{prefix} differs between {owner!r} and {argument!r}")
    sizes[dimension.name] = same, owner


def _broadcast(operator: Operator, names: list[str], loops: list[Any]) -> tuple[Size, ...]:
    try:
        return broadcast_shapes(*loops)
    except ShapeError as error:
        raise ShapeError(
            f"{operator.qualname}: the loop dimensions of {', '.join(map(repr, names))} (those in "
            f"front of the core dimensions of {operator.signature}) do not go together: {error}"
        ) from None
