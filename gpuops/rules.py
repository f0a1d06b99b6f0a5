"""Rules by operator or name: fake kernels, gradients or why there are none, batching, casts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gpuops import batching, casting, formulas, register
from gpuops.library import Library
from gpuops.registry import Registration, as_operator

__all__ = [
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_no_gradient",
    "register_vmap",
]

F = TypeVar("F", bound=Callable[..., Any])


def register_fake(
    op: Any,
    func: Any = None,
    /,
    *,
    lib: Library | None = None,
    allow_override: bool = True,
) -> Any:
    """Register the fake kernel of an operator: the function that computes output metadata only.

    Args:
        op: the operator, or its name.
        func: takes the operator's arguments as kernels do and returns arrays without data; without
            it, a decorator is returned.
        lib: the library that the registration lives in.
        allow_override: replace a fake kernel that is there already.

    Returns:
        A handle that undoes it; in decorator form the function.

    Raises:
        OperatorNotFoundError: there is no such operator.
        UsageError: `func` is not callable.
        RegistrationError: there is one already and `allow_override` is False, or `func` cannot
            take the operator's arguments.

    Warns:
        UserWarning: the operator has `Tag.inplace` or `Tag.out`, and so a fake kernel by itself.
    """
    operator = as_operator(op)

    def add(function: Any) -> Registration:
        if lib is not None:
            return lib.register_fake(operator, function, allow_override=allow_override)
        return register.register_fake(operator, function, allow_override=allow_override)

    return register.added_or_decorator(add, func)


def register_autograd(
    op: Any,
    backward: Callable[..., Any],
    /,
    *,
    setup_context: Callable[..., Any] | None = None,
    forward: Callable[..., Any] | None = None,
    lib: Library | None = None,
) -> Registration:
    """Register the gradient formula of an operator; it replaces the one before.

    Args:
        op: the operator, or its name. It must be functional: write to nothing, return no view.
        backward: called as ``backward(ctx, *gradients)`` with the gradient of the result with
            respect to each output: an array of its shape; of a list, a list; of what is no array,
            None. It returns the gradient with respect to each positional input, in order (for one
            input, the gradient itself will do): an array; of a list, a list with an array or None
            for each item; None for inputs that are no arrays, and for zero. If there are
            keyword-only arrays, the gradients of the keyword-only inputs follow. A gradient of the
            shape that the input was broadcast to is summed, and cast to the input's dtype. It
            should compute with operators (those of `gpuops.xp`, for instance), so that it can be
            differentiated, batched and traced in turn.
        setup_context: called after the kernel as ``setup_context(ctx=, inputs=, output=)`` (for
            an operator with keyword-only inputs also with ``keyword_only_inputs=``, a
            dictionary), with defaults filled in, to keep what `backward` needs:
            ``ctx.save_for_backward(*arrays)``, which `backward` finds in ``ctx.saved_arrays``, and
            any attribute of `ctx`. ``ctx.needs_input_grad`` says which gradients will be used.
        forward: called in the operator's place where a gradient is computed, with the same
            arguments, for a gradient that needs what the operator does not return. It calls
            operators, and returns ``(output, residuals)``: what the operator would return, and
            anything else, which `setup_context` is given as ``residuals=``.
        lib: the library that the registration lives in.

    Returns:
        A handle that undoes it.

    Raises:
        OperatorNotFoundError: there is no such operator.
        UsageError: `backward`, `setup_context` or `forward` is not callable, or there is a
            `forward` and no `setup_context`.
        RegistrationError: the operator is not functional, or one of the functions cannot take its
            arguments.

    >>> import numpy as np, gpuops
    >>> from gpuops import Array
    >>> @gpuops.custom_op("demo_autograd::cube", mutates_args=())
    ... def cube(x: Array) -> Array:
    ...     return x**3
    >>> def keep(ctx, inputs, output):
    ...     ctx.save_for_backward(*inputs)
    >>> def backward(ctx, gradient):
    ...     (x,) = ctx.saved_arrays
    ...     return gradient * 3 * x**2
    >>> handle = gpuops.register_autograd(cube, backward, setup_context=keep)
    >>> gpuops.grad(lambda x: cube(x).sum())(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> cube.undo()
    """
    operator = as_operator(op)
    if lib is not None:
        return lib.register_autograd(
            operator, backward, setup_context=setup_context, forward=forward
        )
    return formulas.register_autograd(
        operator, backward, setup_context=setup_context, forward=forward
    )


def register_vmap(op: Any, func: Any = None, /, *, lib: Library | None = None) -> Any:
    """Register the batching rule of an operator: how `gpuops.vmap` runs it for a whole batch.

    Args:
        op: the operator, or its name.
        func: called as ``func(info, in_dims, *args, **kwargs)`` when `vmap` meets the operator with
            at least one batched argument. `info` is a `VmapInfo`, `in_dims` has for each positional
            argument the axis that the batch is along, or None where it has none (for a list of
            arrays, a list of these). The arguments are whole batches. It returns ``(output,
            out_dims)``: for each output where its batch axis is, or None for one that is the same
            for every element; one int or None stands for all outputs. Without it, a decorator is
            returned.
        lib: the library that the registration lives in.

    Returns:
        A handle that undoes it; in decorator form the function. A second registration replaces the
        first.

    Raises:
        OperatorNotFoundError: there is no such operator.
        UsageError: `func` is not callable.
        RegistrationError: it cannot take the operator's arguments behind ``info`` and ``in_dims``.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_vmap::total", mutates_args=())
    ... def total(x: gpuops.Array) -> gpuops.Array:
    ...     return np.asarray(x.sum())
    >>> @gpuops.register_vmap(total)
    ... def _(info, in_dims, x):
    ...     axes = [axis for axis in range(x.ndim) if axis != in_dims[0]]
    ...     return gpuops.xp.sum(x, axis=axes), 0
    >>> gpuops.vmap(total)(np.ones((2, 3)))
    array([3., 3.])
    >>> total.undo()
    """
    operator = as_operator(op)

    def add(function: Any) -> Registration:
        if lib is not None:
            return lib.register_vmap(operator, function)
        return batching.register_vmap(operator, function)

    return register.added_or_decorator(add, func)


def register_autocast(
    op: Any, device_type: str, cast_inputs: Any, /, *, lib: Library | None = None
) -> Registration:
    """Cast an operator's arrays within ``with gpuops.autocast(device_type):``.

    Args:
        op: the operator, or its name.
        device_type: ``"cpu"`` or ``"cuda"``: whose arrays are cast. There is a dtype for each.
        cast_inputs: the floating-point dtype that arrays of float16 and float32 are cast to, also
            in lists and by name. Those of float64, of integers and anything else stay as they are.
        lib: the library that the registration lives in.

    Returns:
        A handle that undoes it. A second registration for the device type replaces the first.

    Raises:
        OperatorNotFoundError: there is no such operator.
        DeviceError: `device_type` is no string, or names no known device type; a `ValueError`.
        ArgumentError: `cast_inputs` is no floating-point dtype.
        RegistrationError: the operator writes to an argument: it would write to a copy.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_autocast::double", mutates_args=())
    ... def double(x: gpuops.Array) -> gpuops.Array:
    ...     return x + x
    >>> handle = gpuops.register_autocast(double, "cpu", np.float16)
    >>> with gpuops.autocast("cpu"):
    ...     double(np.ones(2, np.float32))
    array([2., 2.], dtype=float16)
    >>> double.undo()
    """
    operator = as_operator(op)
    if lib is not None:
        return lib.register_autocast(operator, device_type, cast_inputs)
    return casting.register_autocast(operator, device_type, cast_inputs)


def register_no_gradient(op: Any, reason: str, /, *, lib: Library | None = None) -> Registration:
    """Say why an operator has no gradient, and is to have none.

    Calls stay as they are. An error about the missing gradient gives the reason, and whoever checks
    that each operator of a pack has a gradient knows that none was forgotten. A formula that is
    registered later is used all the same.

    Args:
        op: the operator, or its name.
        reason: a sentence for whoever asks for the gradient.
        lib: the library that the registration lives in.

    Returns:
        A handle that undoes it.

    Raises:
        OperatorNotFoundError: there is no such operator.
        UsageError: `reason` is no text, or an empty one.
        RegistrationError: the operator has a gradient formula.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_no_gradient::rank", mutates_args=())
    ... def rank(x: gpuops.Array) -> gpuops.Array:
    ...     return np.argsort(np.argsort(x)).astype(x.dtype)
    >>> handle = gpuops.register_no_gradient(rank, "ranks are constant almost everywhere")
    >>> gpuops.grad(lambda x: rank(x).sum())(np.ones(2))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    gpuops.errors.NoGradientError: demo_no_gradient::rank: no autograd formula was registered \
for it, so there is no gradient with respect to 'x': ranks are constant almost \
everywhere (stated at ...
    >>> rank.undo()
    """
    operator = as_operator(op)
    if lib is not None:
        return lib.register_no_gradient(operator, reason)
    return formulas.register_no_gradient(operator, reason)
