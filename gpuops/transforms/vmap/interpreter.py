"""Runs operators on batches: one `Batching` is one run of a function that `vmap` made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gpuops.batching import VMAP, VmapInfo
from gpuops.conventions import returned_arguments
from gpuops.errors import RandomnessError, VmapError, caller_location
from gpuops.interception import ambient, intercepted
from gpuops.registry import Operator
from gpuops.transforms.levels import LEVEL, begin, register_nested
from gpuops.transforms.providers import find_rule
from gpuops.transforms.vmap.array import BatchedArray
from gpuops.transforms.vmap.gufunc import gufunc_rule
from gpuops.transforms.vmap.loop import loop, warn_of_loop
from gpuops.transforms.vmap.outputs import wrap_outputs
from gpuops.transforms.vmap.starts import Starts

__all__ = ["Batching"]


class Batching:
    """One batch on its way through a function.

    It is the ambient interpreter while the function runs, so that it meets the random operators
    that have no batched argument.

    Attributes:
        depth: see `gpuops.transforms.levels`.
        outer: the ambient interpreter around it.
        info: what rules are told.
        starts: where random states were at the first draw, of a batch in parts that draws the same
            numbers for all elements; None for any other.
        where: what messages call the `vmap`.
    """

    __slots__ = ("active", "depth", "info", "mode", "outer", "starts", "where")

    level = LEVEL
    only_factories = False

    def __init__(
        self, batch_size: Any, randomness: str, where: str, starts: Starts | None = None
    ) -> None:
        self.depth = begin()
        self.outer = ambient.get()
        # Where new fakes belong; see `gpuops.transforms.fake.context.current_mode`.
        self.mode = getattr(self.outer, "mode", None)
        self.info = VmapInfo(batch_size, randomness)
        self.where = where
        self.starts = starts
        self.active = True

    def run(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """What the function returns for arguments with `BatchedArray` among them."""
        token = ambient.set(self)
        intercepted.append(None)
        try:
            return function(*args, **kwargs)
        finally:
            intercepted.pop()
            ambient.reset(token)
            self.active = False

    def unwrap(self, value: Any) -> tuple[Any, Any]:
        """An argument as rules get it, and where its batch axis is."""
        if type(value) is BatchedArray and value.transform is self:
            return value.value, value.dim
        if type(value) is list:
            pairs = [self.unwrap(item) for item in value]
            return [item for item, _ in pairs], [dim for _, dim in pairs]
        return value, None

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator; see `gpuops.transforms.levels.Transform`.

        Raises:
            RandomnessError: it draws random numbers, and what that means was not said.
            VmapError: it writes to an array that has no room for what it writes; its batching rule
                returned something else than it has to.
        """
        if not self.active:
            _fail_ended(self, operator)
        plan = operator.memo.get("vmap")
        if plan is None:
            plan = operator.memo["vmap"] = _Plan(operator)
        values: list[Any] = []
        dims: list[Any] = []
        batched = False
        if plan.is_plain:
            for arg in args:
                if type(arg) is BatchedArray and arg.transform is self:
                    values.append(arg.value)
                    dims.append(arg.dim)
                    batched = True
                else:
                    values.append(arg)
                    dims.append(None)
            token = ambient.set(self.outer)
            try:
                if not batched:
                    return operator.call(*values, **kwargs)
                entry = find_rule(operator, VMAP)
                rule = self._own_rule(operator, plan) if entry is None else entry.value
                result = rule(self.info, tuple(dims), *values, **kwargs)
                return wrap_outputs(self, operator, result, entry)
            except Exception as error:
                self._note(error, operator, dims)
                raise
            finally:
                ambient.reset(token)
        return self._interpret(operator, plan, args, kwargs)

    def _interpret(
        self, operator: Operator, plan: _Plan, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operator with lists of arrays, that writes, or that draws."""
        values: list[Any] = []
        dims: list[Any] = []
        batched = False
        for arg in args:
            cls = type(arg)
            if cls is BatchedArray and arg.transform is self:
                values.append(arg.value)
                dims.append(arg.dim)
                batched = True
            elif cls is list and plan.array_lists:
                items, item_dims = self.unwrap(arg)
                values.append(items)
                dims.append(item_dims)
                batched = batched or _has_batch(item_dims)
            else:
                values.append(arg)
                dims.append(None)
        info = self.info
        named = kwargs
        if plan.keyword_arrays:
            named, info, by_name = self._keywords(plan, kwargs)
            batched = batched or by_name
        token = ambient.set(self.outer)
        try:
            if plan.is_random:
                self._check_random(operator)
                if self.starts is not None:
                    self.starts.meet(plan.states(args, kwargs), self.where)
                if not batched and info.randomness == "same":
                    return operator.call(*values, **named)
            elif not batched:
                return operator.call(*values, **named)
            if plan.mutated:
                plan.check_room(self, args, kwargs, dims, info)
            entry = find_rule(operator, VMAP)
            rule = self._own_rule(operator, plan) if entry is None else entry.value
            result = rule(info, tuple(dims), *values, **named)
            out = wrap_outputs(self, operator, result, entry)
        except Exception as error:
            self._note(error, operator, dims)
            raise
        finally:
            ambient.reset(token)
        if plan.returned:
            return plan.return_arguments(args, kwargs)
        return out

    def _note(self, error: Exception, operator: Operator, dims: Sequence[Any]) -> None:
        """Say of an error that its axes and sizes may be those of the batch."""
        if _has_batch(list(dims)) and not isinstance(error, VmapError):
            error.add_note(
                f"in {self.where}: {operator.qualname} ran for a batch of {self.info.batch_size}, "
                f"along the axes {tuple(dims)} of its arguments; axes and sizes in the message may "
                "be those of the batch"
            )

    def _keywords(
        self, plan: _Plan, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], VmapInfo, bool]:
        """Keyword-only arguments as rules get them, and an info that tells their batch axes."""
        dims: dict[str, Any] = {}
        values = dict(kwargs)
        for name in plan.keyword_arrays:
            values[name], dims[name] = self.unwrap(kwargs[name])
        if any(map(_has_batch, dims.values())):
            return values, VmapInfo(self.info.batch_size, self.info.randomness, dims), True
        return values, self.info, False

    def _own_rule(self, operator: Operator, plan: _Plan) -> Callable[..., Any]:
        """The batching rule of an operator for which none is registered."""
        if plan.own is None:
            if operator.signature is not None:
                plan.own = gufunc_rule(operator)
            else:
                plan.own = loop(operator)
        if operator.signature is None:
            warn_of_loop(operator, self.info.batch_size)
        return plan.own

    def _check_random(self, operator: Operator) -> None:
        if self.info.randomness == "error":
            raise RandomnessError(
                f"{self.where}: the random operator {operator.qualname} was called at "
                f"{caller_location()}, with randomness='error'. Pass randomness='different' for "
                "numbers of its own for each element, or randomness='same' for the same ones. "
                f"Declared as {operator.declaration}"
            )


class _Plan:
    """What is the same for all batched calls of an operator."""

    __slots__ = (
        "array_lists",
        "is_plain",
        "is_random",
        "keyword_arrays",
        "mutated",
        "operator",
        "own",
        "positional",
        "returned",
    )

    def __init__(self, operator: Operator) -> None:
        schema = operator.schema
        self.operator = operator
        self.positional = [p.name for p in schema.positional]
        self.array_lists = any(p.type.is_list for p in schema.array_parameters)
        self.keyword_arrays = [p.name for p in schema.keyword_only if p.type.is_array]
        self.mutated = list(schema.mutated)
        self.is_random = any(p.type.base == "RNGState" for p in schema.parameters)
        self.returned = [p.name for p in returned_arguments(schema, operator.tags)]
        self.is_plain = not (
            self.array_lists or self.keyword_arrays or self.mutated or self.is_random
        )
        # The rule for an operator for which none is registered.
        self.own: Callable[..., Any] | None = None

    def check_room(
        self,
        batching: Batching,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        dims: Sequence[Any],
        info: VmapInfo,
    ) -> None:
        """Refuse to write a batch to an array without a batch axis.

        Raises:
            VmapError: it names the arguments.
        """
        where = {**dict(zip(self.positional, dims, strict=True)), **info.keyword_in_dims}
        given = {**dict(zip(self.positional, args, strict=True)), **kwargs}
        for name in self.mutated:
            value, dim = given[name], where.get(name)
            if type(value) is list:
                dim = dim or [None] * len(value)
                room = all(d is not None or v is None for v, d in zip(value, dim, strict=True))
            else:
                room = dim is not None or value is None
            if not room:
                others = [n for n, d in where.items() if _has_batch(d)]
                raise VmapError(
                    f"{batching.where}: {self.operator.qualname} writes to the argument {name!r}, "
                    f"which is not batched, while {', '.join(map(repr, others)) or 'it draws'} "
                    "is: it has no room for a result per element. Make it from a batched array, as "
                    f"with xp.zeros_like. Declared as {self.operator.declaration}"
                )

    def states(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """The random states among a call's arguments."""
        given = (*args, *kwargs.values())
        parameters = self.operator.schema.parameters
        return [
            value
            for value, parameter in zip(given, parameters, strict=True)
            if parameter.type.base == "RNGState" and value is not None
        ]

    def return_arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The very arguments that an in-place or out operator returns."""
        given = {**dict(zip(self.positional, args, strict=True)), **kwargs}
        arrays = tuple(given[name] for name in self.returned)
        return arrays if self.operator.schema.returns_tuple else arrays[0]


def _has_batch(dim: Any) -> bool:
    return any(d is not None for d in dim) if type(dim) is list else dim is not None


def _fail_ended(batching: Batching, operator: Operator) -> NoReturn:
    raise VmapError(
        f"{operator.qualname} was called with an array of a batch that has ended, of "
        f"{batching.where}; the function must not keep its arrays"
    )


register_nested(BatchedArray)
