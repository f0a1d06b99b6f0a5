"""`vmap`: a function of single elements as one of whole batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np

from gpuops.errors import ArgumentError, BatchDimensionError, VmapError, describe
from gpuops.symbols import is_symbolic, require_equal
from gpuops.transforms.array_methods import xp
from gpuops.transforms.pytree import tree
from gpuops.transforms.vmap.array import BatchedArray, is_array
from gpuops.transforms.vmap.interpreter import Batching
from gpuops.transforms.vmap.starts import Starts

__all__ = ["vmap"]

_RANDOMNESS = ("error", "different", "same")


def vmap(
    fn: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Run a function of single elements for a whole batch at once.

    The function is called once, with arrays that look like one element. Operators called with them
    run for the whole batch, by their batching rules (`register_vmap`, a gufunc ``signature=``), or
    else once per element, with a `PerformanceWarning`.

    Args:
        fn: a function of arrays, or of pytrees of arrays (nested tuples, lists, dictionaries and
            what is registered with optree), that returns arrays or pytrees of them.
        in_dims: the axis of the positional arguments that the batch is along; None for an argument
            that is the same for all elements. A tuple has one for each argument, and may be nested
            like the arguments themselves. Negative ones count from the end. Keyword arguments are
            the same for all elements.
        out_dims: likewise, where the batch axis is in what is returned. What is the same for all
            elements is repeated, as a read-only view; with None it is returned as it is.
        randomness: what operators that draw random numbers (those with an `RNGState`) do:
            ``"error"`` refuses them, ``"different"`` draws other numbers for each element, and
            ``"same"`` the same ones for all.
        chunk_size: the greatest number of elements at once; None for all of them.

    Returns:
        A function of the same arguments. It can be batched itself, differentiated and traced.

    Raises:
        ArgumentError: `fn` is not callable, an unknown `randomness`, a `chunk_size` below 1.
        VmapError (the returned function): nothing to batch; sizes that differ; `in_dims` or
            `out_dims` that do not go with the arguments or the results; a function that looks at
            an element's data.
        BatchDimensionError (the returned function): an array has no such axis.
        RandomnessError (the returned function): see `randomness`.

    >>> import numpy as np, gpuops
    >>> dot = gpuops.vmap(lambda x, y: (x * y).sum())
    >>> dot(np.arange(6.0).reshape(3, 2), np.ones((3, 2)))
    array([1., 5., 9.])
    >>> outer = gpuops.vmap(gpuops.vmap(lambda x, y: x * y, (None, 0)), (0, None))
    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    if not callable(fn):
        raise ArgumentError(f"vmap takes a function, got {describe(fn)}")
    if randomness not in _RANDOMNESS:
        raise ArgumentError(
            f"vmap: randomness must be 'error', 'different' or 'same', got {randomness!r}"
        )
    if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
        raise ArgumentError(
            f"vmap: chunk_size must be None or an int above 0, got {describe(chunk_size)}"
        )
    where = f"vmap({_name(fn)}, in_dims={in_dims!r}, out_dims={out_dims!r})"
    if type(in_dims) is list:
        in_dims = tuple(in_dims)

    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = _flat(args)
        dims = _in_dims(where, in_dims, args, leaves, nested=rebuild is not None)
        size = _batch_size(where, leaves, dims)

        def run(
            flat: Sequence[Any], part: Any, starts: Starts | None = None
        ) -> tuple[list[Any], Any]:
            batching = Batching(part, randomness, where, starts)
            wrapped = [
                x if dim is None else BatchedArray(x, dim, batching)
                for x, dim in zip(flat, dims, strict=True)
            ]
            out = batching.run(fn, wrapped if rebuild is None else rebuild(wrapped), kwargs)
            return _unwrap(batching, out, out_dims)

        if chunk_size is not None and not is_symbolic(size) and size > chunk_size:
            starts = Starts() if randomness == "same" else None
            flat, structure = _in_chunks(
                run, leaves, dims, size, chunk_size, where, out_dims, starts
            )
        else:
            flat, structure = run(leaves, size)
        return flat[0] if structure is None else structure.unflatten(flat)

    try:
        return wraps(fn)(batched)
    except (AttributeError, TypeError):  # a callable object without the usual attributes
        return batched


def _name(fn: Any) -> str:
    if isinstance(fn, partial):
        fn = fn.func
    return str(getattr(fn, "__name__", type(fn).__name__))


# -- the arguments ---------------------------------------------------------------------------------


def _flat(args: tuple[Any, ...]) -> tuple[Sequence[Any], Callable[[Any], Any] | None]:
    """The leaves of the arguments, and what puts them together again; None if they are the leaves.

    Taking apart and putting together takes a few microseconds, which plain arrays do not need.
    """
    for x in args:
        if type(x) is not np.ndarray and not is_array(x):
            leaves, structure = tree().tree_flatten(args, none_is_leaf=True)
            return leaves, structure.unflatten
    return args, None


def _in_dims(
    where: str, in_dims: Any, args: tuple[Any, ...], leaves: Sequence[Any], *, nested: bool
) -> list[Any]:
    """The batch axis of each leaf, counted from the front; None for what has none.

    Raises:
        VmapError: `in_dims` is of another structure; an argument that has one is no array.
        BatchDimensionError: there is no such axis.
    """
    if not args:
        raise VmapError(
            f"{where}: got no inputs: positional arguments are batched, keyword arguments are not"
        )
    if in_dims is None or type(in_dims) is int:
        dims: Sequence[Any] = [in_dims] * len(leaves)
    elif type(in_dims) is not tuple:
        raise VmapError(
            f"{where}: expected in_dims to be an int, None or a (nested) tuple that matches the "
            f"arguments, got {describe(in_dims)}"
        )
    else:
        if len(in_dims) != len(args):
            raise VmapError(
                f"{where}: in_dims has {len(in_dims)} items, for {len(args)} positional arguments"
            )
        plain = not nested and all(dim is None or type(dim) is int for dim in in_dims)
        try:
            dims = in_dims if plain else tree().broadcast_prefix(in_dims, args, none_is_leaf=True)
        except ValueError as error:
            raise VmapError(
                f"{where}: in_dims does not have the structure of the arguments: {error}"
            ) from None
    return [_in_dim(where, x, dim) for x, dim in zip(leaves, dims, strict=True)]


def _in_dim(where: str, x: Any, dim: Any) -> int | None:
    if dim is None or x is None:
        return None
    if type(dim) is not int:
        raise VmapError(f"{where}: an in_dim must be an int or None, got {describe(dim)}")
    if type(x) is not np.ndarray and not is_array(x):
        raise VmapError(
            f"{where}: got the in_dim {dim} for an argument that is no array: {describe(x)}. Only "
            "arrays have an axis to batch along; pass None as its in_dim"
        )
    ndim = len(x.shape)
    if not -ndim <= dim < ndim:
        raise BatchDimensionError(
            f"{where}: got the in_dim {dim} for {describe(x)}, which has {ndim} axes: expected "
            f"-{ndim} <= in_dim < {ndim}"
        )
    return dim if dim >= 0 else dim + ndim


def _batch_size(where: str, leaves: Sequence[Any], dims: list[Any]) -> Any:
    size: Any = None
    for x, dim in zip(leaves, dims, strict=True):
        if dim is None:
            continue
        own = x.shape[dim]
        if size is None or size is own:
            size = own
        elif (size == own) is not True:
            if is_symbolic(own) or is_symbolic(size):
                size = require_equal(size, own, f"{where}: sizes along the batch axis differ")
                continue
            found = [x.shape[d] for x, d in zip(leaves, dims, strict=True) if d is not None]
            raise VmapError(
                f"{where}: expected all arrays to have the same size along the axis that the batch "
                f"is along, got the sizes {found}"
            )
    if size is None:
        raise VmapError(
            f"{where}: there is nothing to batch: no argument has an in_dim other than None"
        )
    return size


# -- the results -----------------------------------------------------------------------------------


def _unwrap(batching: Batching, out: Any, out_dims: Any) -> tuple[list[Any], Any]:
    """The leaves of what the function returned, with their batch axes, and its structure.

    The structure is None if what was returned is one array.
    """
    if type(out) is BatchedArray:
        if out.transform is batching and out.dim == out_dims and type(out_dims) is int:
            return [out.value], None
        if out_dims is None or type(out_dims) is int:
            return [_with_axis(batching, out, out_dims)], None
    leaves, structure = tree().tree_flatten(out, none_is_leaf=True)
    dims = _out_dims(batching, out, out_dims, len(leaves))
    return [_with_axis(batching, x, dim) for x, dim in zip(leaves, dims, strict=True)], structure


def _out_dims(batching: Batching, out: Any, out_dims: Any, number: int) -> list[Any]:
    if out_dims is None or type(out_dims) is int:
        return [out_dims] * number
    if type(out_dims) is list and type(out) is tuple:
        out_dims = tuple(out_dims)
    elif type(out_dims) is tuple and type(out) is list:
        out_dims = list(out_dims)
    try:
        found: list[Any] = tree().broadcast_prefix(out_dims, out, none_is_leaf=True)
    except ValueError as error:
        raise VmapError(
            f"{batching.where}: out_dims does not have the structure of what the function "
            f"returned: {error}"
        ) from None
    return found


def _with_axis(batching: Batching, x: Any, dim: Any) -> Any:
    """One result with its batch axis at `dim`."""
    if x is None:
        return None
    where = batching.where
    own = type(x) is BatchedArray and x.transform is batching
    if not is_array(x):
        raise VmapError(
            f"{where}: the function may only return arrays, or pytrees of them, got {describe(x)}"
        )
    if dim is None:
        if own:
            raise VmapError(
                f"{where}: the out_dim of {x!r} is None, but it differs from element to element"
            )
        return x
    if type(dim) is not int:
        raise VmapError(f"{where}: an out_dim must be an int or None, got {describe(dim)}")
    ndim = len(x.shape) + 1
    if not -ndim <= dim < ndim:
        raise BatchDimensionError(
            f"{where}: got the out_dim {dim} for a result that has, with the batch axis, {ndim} "
            f"axes: expected -{ndim} <= out_dim < {ndim}"
        )
    if dim < 0:
        dim += ndim
    if own:
        return x.value if x.dim == dim else xp.moveaxis(x.value, (x.dim,), (dim,))
    shape = (*x.shape[:dim], batching.info.batch_size, *x.shape[dim:])
    return xp.broadcast_to(xp.expand_dims(x, (dim,)), shape)


# -- in parts --------------------------------------------------------------------------------------


def _in_chunks(
    run: Callable[[Sequence[Any], Any, Starts | None], tuple[list[Any], Any]],
    leaves: Sequence[Any],
    dims: list[Any],
    size: int,
    chunk_size: int,
    where: str,
    out_dims: Any,
    starts: Starts | None,
) -> tuple[list[Any], Any]:
    """The results of parts of the batch, one after the other, put together."""
    parts: list[list[Any]] = []
    structure: Any = None
    for start in range(0, size, chunk_size):
        stop = min(start + chunk_size, size)
        flat = [
            x if dim is None else xp.getitem(x, (*(slice(None),) * dim, slice(start, stop)))
            for x, dim in zip(leaves, dims, strict=True)
        ]
        if starts is not None:
            starts.begin()
        out, found = run(flat, stop - start, starts)
        if parts and found != structure:
            raise VmapError(
                f"{where}: the function returned {structure} for one chunk of the batch and "
                f"{found} for another"
            )
        structure = found
        parts.append(out)
    spread = _spread_over(structure, out_dims, len(parts[0]))
    joined = [
        items[0] if dim is None or items[0] is None else xp.concat(list(items), axis=dim)
        for items, dim in zip(zip(*parts, strict=True), spread, strict=True)
    ]
    return joined, structure


def _spread_over(structure: Any, out_dims: Any, number: int) -> list[Any]:
    """The out_dim of each leaf; they have been found to go with the structure before."""
    if structure is None or out_dims is None or type(out_dims) is int:
        return [out_dims] * number
    whole = structure.unflatten([0] * number)
    if type(out_dims) is not type(whole) and isinstance(whole, (tuple, list)):
        out_dims = type(whole)(out_dims)
    found: list[Any] = tree().broadcast_prefix(out_dims, whole, none_is_leaf=True)
    return found
