"""What happens without a batching rule: the operator runs once per element."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from gpuops.batching import VmapInfo
from gpuops.conventions import returned_arguments
from gpuops.devices import device_of
from gpuops.errors import PerformanceWarning, VmapError, describe, user_stacklevel
from gpuops.registry import Operator
from gpuops.schema import Return
from gpuops.transforms.array_methods import xp
from gpuops.transforms.fake import FakeArray
from gpuops.transforms.vmap.array import is_array
from gpuops.transforms.vmap.axes import front

__all__ = ["loop", "warn_of_loop"]


def warn_of_loop(operator: Operator, batch_size: Any) -> None:
    """Warn, once per operator, that its batches are slow."""
    if "vmap_warned" in operator.memo:
        return
    warnings.warn(
        f"{operator.qualname} has no batching rule, so that vmap runs it {batch_size} times, once "
        f"per element. Register one with register_vmap({operator.qualname!r}, ...). "
        f"Declared as {operator.declaration}",
        PerformanceWarning,
        stacklevel=user_stacklevel(),
    )
    # Behind it: where warnings are errors, each call is one.
    operator.memo["vmap_warned"] = True


def loop(operator: Operator, *, copies: bool = False) -> Callable[..., Any]:
    """The batching rule that calls an operator once per element and stacks the results.

    Elements are views of the batch, so that an operator that writes to an argument writes to the
    batch. With ``randomness="same"`` each call draws from a copy of the random state, and the state
    moves on as for one.

    A declared view of an argument would be a view of nothing once it is stacked, so that only an
    argument that is returned itself is one of the batch.

    Args:
        operator: what is called.
        copies: whether what may be a view may be a copy as well.

    Raises (the returned function):
        VmapError: the results differ in shape or kind from element to element; one is declared to
            be a view of an argument; or there is no element, and no fake kernel tells the shape of
            a result.
    """
    schema = operator.schema
    # The caller puts the arguments in the place of what such an operator returns.
    operator_returns_arguments = bool(returned_arguments(schema, operator.tags))
    has_views = any(_is_view(operator, output) for output in schema.returns)

    def rule(info: VmapInfo, in_dims: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        batch = int(info.batch_size)
        dims = [*in_dims, *(info.keyword_in_dims.get(name) for name in kwargs)]
        moved = [_to_front(x, dim) for x, dim in zip([*args, *kwargs.values()], dims, strict=True)]
        same = info.randomness == "same"
        if not batch:
            results = [_result_of_none(operator, moved, dims, len(args), list(kwargs))]
        else:
            results, elements = [], []
            for index in range(batch):
                values = [_element(x, dim, index) for x, dim in zip(moved, dims, strict=True)]
                if same and index + 1 < batch:
                    values = [
                        x.copy() if p.type.base == "RNGState" and x is not None else x
                        for p, x in zip(schema.parameters, values, strict=True)
                    ]
                elements.append(values)
                named = dict(zip(kwargs, values[len(args) :], strict=True))
                results.append(operator.call(*values[: len(args)], **named))
            if has_views and not (copies or operator_returns_arguments):
                return _with_arguments(operator, results, elements, moved, dims)
        return _stacked(operator, results, empty=not batch)

    return rule


def _to_front(value: Any, dim: Any) -> Any:
    if type(dim) is list:
        return [_to_front(item, d) for item, d in zip(value, dim, strict=True)]
    return front(value, dim)


def _element(value: Any, dim: Any, index: Any) -> Any:
    if type(dim) is list:
        return [_element(item, d, index) for item, d in zip(value, dim, strict=True)]
    # With an ellipsis an element without axes is a view too, and no number.
    return value if dim is None else xp.getitem(value, (index, ...))


def _result_of_none(
    operator: Operator, values: list[Any], dims: list[Any], positional: int, names: list[str]
) -> Any:
    """A fake of what the operator would return for an element of a batch without any."""

    def fake(value: Any, dim: Any) -> Any:
        if type(value) is list:
            return [fake(x, d) for x, d in zip(value, dim or [None] * len(value), strict=True)]
        if not is_array(value):
            return value
        shape = tuple(value.shape) if dim is None else tuple(value.shape)[1:]
        return FakeArray(shape, value.dtype, device_of(value) or value.device)

    fakes = [fake(value, dim) for value, dim in zip(values, dims, strict=True)]
    try:
        return operator.call(
            *fakes[:positional], **dict(zip(names, fakes[positional:], strict=True))
        )
    except Exception as error:
        raise VmapError(
            f"vmap: the batch of {operator.qualname} has no elements, and what shape a result "
            f"would have is not known: {error}"
        ) from error


def _stacked(operator: Operator, results: list[Any], *, empty: bool) -> tuple[Any, Any]:
    schema = operator.schema
    if not schema.returns:
        return None, None
    if not schema.returns_tuple:
        return _stack(operator, results, empty)
    pairs = [_stack(operator, list(items), empty) for items in zip(*results, strict=True)]
    return tuple(out for out, _ in pairs), tuple(dim for _, dim in pairs)


def _with_arguments(
    operator: Operator,
    results: list[Any],
    elements: list[list[Any]],
    batches: list[Any],
    dims: list[Any],
) -> tuple[Any, Any]:
    """The outputs of all elements; those that are an argument in each are the batch of that."""
    returns = operator.schema.returns
    rows = results if operator.schema.returns_tuple else [(result,) for result in results]
    pairs: list[tuple[Any, Any]] = []
    for output, *items in zip(returns, *rows, strict=True):
        if not _is_view(operator, output):
            pairs.append(_stack(operator, items, False))
            continue
        columns = zip(*elements, strict=True)
        found = next((i for i, column in enumerate(columns) if _same(items, column)), None)
        if found is None:
            raise VmapError(
                f"vmap: {operator.qualname} returns a view of an argument, by its schema, and has "
                "no batching rule: its results for the elements of a batch, stacked, would be a "
                f"copy. Register a rule that returns a view, with register_vmap("
                f"{operator.qualname!r}, ...). Declared as {operator.declaration}"
            )
        pairs.append((batches[found], None if dims[found] is None else 0))
    if not operator.schema.returns_tuple:
        return pairs[0]
    return tuple(out for out, _ in pairs), tuple(dim for _, dim in pairs)


def _is_view(operator: Operator, output: Return) -> bool:
    """Whether an output may share memory with an argument."""
    sets = () if output.alias is None else output.alias.sets
    parameters = operator.schema.array_parameters
    return any(p.alias is not None and not set(sets).isdisjoint(p.alias.sets) for p in parameters)


def _same(items: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(one is other for one, other in zip(items, others, strict=True))


def _stack(operator: Operator, items: list[Any], empty: bool) -> tuple[Any, Any]:
    """One output of all elements, and where its batch axis is."""
    first = items[0]
    if type(first) is list:
        lengths = {len(item) for item in items}
        if len(lengths) > 1:
            _fail_ragged(operator, "lists of the lengths", sorted(lengths))
        pairs = [_stack(operator, list(column), empty) for column in zip(*items, strict=True)]
        return [out for out, _ in pairs], [dim for _, dim in pairs]
    if not is_array(first):
        if any(item is not first and item != first for item in items):
            raise VmapError(
                f"vmap: {operator.qualname} returned different values for the elements of a batch, "
                f"such as {describe(first)} and "
                f"{describe(next(item for item in items if item != first))}; "
                f"an operator that is batched returns arrays. Declared as {operator.declaration}"
            )
        return first, None
    if empty:
        return xp.zeros((0, *first.shape), dtype=first.dtype, device=first.device), 0
    others = [tuple(item.shape) for item in items if _differ(item.shape, first.shape)]
    if others:
        shapes = list(dict.fromkeys(map(str, (tuple(first.shape), *others))))
        _fail_ragged(operator, "arrays of the shapes", shapes)
    return xp.stack(items, axis=0), 0


def _differ(a: Any, b: Any) -> bool:
    """Whether two shapes are known to differ; of symbols that may, `stack` requires the rest."""
    return len(a) != len(b) or any((x == y) is False for x, y in zip(a, b, strict=True))


def _fail_ragged(operator: Operator, what: str, found: list[Any]) -> Any:
    listed = ", ".join(map(str, found[:4])) + (", ..." if len(found) > 4 else "")
    raise VmapError(
        f"vmap: {operator.qualname} returned {what} {listed} for the elements of a batch; they "
        f"have to be the same for all. Declared as {operator.declaration}"
    )
