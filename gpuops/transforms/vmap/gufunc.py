"""The batching rule that a gufunc signature gives: the batch axis is one more loop axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuops.batching import VmapInfo
from gpuops.errors import ShapeError
from gpuops.gufunc import CoreDimension, GufuncSignature
from gpuops.registry import Operator
from gpuops.transforms.array_methods import xp
from gpuops.transforms.vmap.axes import front, insert_axes, logical_ndim

__all__ = ["gufunc_rule"]


def gufunc_rule(operator: Operator, signature: GufuncSignature | None = None) -> Callable[..., Any]:
    """The batching rule of an operator with a gufunc signature.

    Args:
        operator: the operator; its arguments for the signature's inputs are plain arrays.
        signature: the signature; the operator's own if it is None.

    Loop axes are lined up from the right, and the batch axis is put in front of them: an array with
    fewer loop axes than another gets axes of size 1 behind the batch axis. An optional dimension
    that an element lacks becomes an axis of size 1 and is taken away from the results, so that the
    batch axis is not taken for it.

    Raises (the returned function):
        ShapeError: an element has too few axes, so that the batch axis would be taken for one.
    """
    schema = operator.schema
    signature = operator.signature if signature is None else signature
    assert signature is not None
    arrays = [p.name for p in schema.array_parameters]
    positions = {p.name: i for i, p in enumerate(schema.positional)}

    def rule(info: VmapInfo, in_dims: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        values = list(args)
        given = [values[positions[n]] if n in positions else kwargs[n] for n in arrays]
        dims = [
            in_dims[positions[n]] if n in positions else info.keyword_in_dims.get(n) for n in arrays
        ]
        ranks = [logical_ndim(x, dim) for x, dim in zip(given, dims, strict=True)]
        missing = _missing(signature.inputs, ranks)
        # The number of loop axes of one element.
        loops = [
            rank - sum(d.name not in missing for d in core)
            for rank, core in zip(ranks, signature.inputs, strict=True)
        ]
        for name, loop, rank, core in zip(arrays, loops, ranks, signature.inputs, strict=True):
            if loop < 0:
                raise ShapeError(
                    f"{operator.qualname}: argument {name!r} must have at least {rank - loop} "
                    f"axes, ({','.join(map(str, core))}) of the signature {signature}, but an "
                    f"element of the batch has {rank}. Declared as {operator.declaration}"
                )
        most = max(loops)
        for name, x, dim, loop, core in zip(
            arrays, given, dims, loops, signature.inputs, strict=True
        ):
            moved = front(x, dim)
            start = loop + (dim is not None)
            if missing:
                moved = _with_missing(moved, start, core, missing)
            if dim is not None:
                moved = insert_axes(moved, 1, most - loop)
            if name in positions:
                values[positions[name]] = moved
            else:
                kwargs[name] = moved
        out = operator.call(*values, **kwargs)
        if not missing:
            return out, 0
        outputs = out if schema.returns_tuple else (out,)
        outputs = tuple(
            _without_missing(x, core, missing)
            for x, core in zip(outputs, signature.outputs, strict=True)
        )
        return outputs if schema.returns_tuple else outputs[0], 0

    return rule


def _missing(inputs: Sequence[tuple[CoreDimension, ...]], ranks: Sequence[int]) -> set[str]:
    """The optional dimensions that the elements lack: those an operand with too few axes has."""
    missing: set[str] = set()
    for core, rank in zip(inputs, ranks, strict=True):
        lacking = len(core) - rank
        marks = [dimension.name for dimension in core if dimension.optional]
        if 0 < lacking <= len(marks):
            missing.update(marks[:lacking])
    return missing


def _with_missing(x: Any, start: int, core: Sequence[CoreDimension], missing: set[str]) -> Any:
    """The array with an axis of size 1 for each dimension that it lacks."""
    axes = tuple(start + i for i, dimension in enumerate(core) if dimension.name in missing)
    return xp.expand_dims(x, axes) if axes else x


def _without_missing(x: Any, core: Sequence[CoreDimension], missing: set[str]) -> Any:
    start = len(x.shape) - len(core)
    axes = tuple(start + i for i, dimension in enumerate(core) if dimension.name in missing)
    return xp.squeeze(x, axes) if axes else x
