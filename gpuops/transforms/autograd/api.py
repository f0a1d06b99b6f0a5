"""`grad`, `value_and_grad`, `vjp`, `jacrev`, and `register_autograd`: what users call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.errors import ArgumentError, GradientError, UsageError, describe
from gpuops.memory import owner
from gpuops.registry import Operator
from gpuops.transforms.array_methods import xp
from gpuops.transforms.autograd.array import DiffArray
from gpuops.transforms.autograd.engine import fit, run_backward
from gpuops.transforms.autograd.nodes import Node
from gpuops.transforms.autograd.streaming import run_on_streams
from gpuops.transforms.autograd.tape import Tape
from gpuops.transforms.autograd.writes import LARGEST, Checksums
from gpuops.transforms.levels import nested_types
from gpuops.transforms.pytree import tree

__all__ = ["grad", "jacrev", "stop_gradient", "value_and_grad", "vjp"]

Argnums = int | Sequence[int]


def grad(
    fn: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that computes the gradient of a scalar function.

    Args:
        fn: returns a real 0-d array. Its arguments are arrays, numbers, or tuples, lists,
            dictionaries (pytrees) of them.
        argnums: the positional argument, or several, to differentiate with respect to; their
            arrays must be floating point or complex.
        has_aux: `fn` returns ``(scalar, aux)``; `aux` is returned beside the gradient.

    Returns:
        A function of the same arguments that returns the gradient, of the structure, shapes and
        dtypes of the argument (for several, a tuple of gradients); with `has_aux`,
        ``(gradient, aux)``. Of a complex argument z it is ``dL/d(real z) + i dL/d(imag z)``.

    Raises (the returned function):
        GradientError: `fn` does not return a real scalar, or a formula on the way is wrong.
        NoGradientError: an operator on the way has no gradient.
        ArgumentError: an argument to differentiate holds something else than floats.

    >>> import numpy as np
    >>> grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    """
    compute = value_and_grad(fn, argnums, has_aux=has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = compute(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return _named(gradient, "grad", fn)


def value_and_grad(
    fn: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Like `grad`; the function returns the value, too.

    Args:
        fn: see `grad`.
        argnums: see `grad`.
        has_aux: see `grad`.

    Returns:
        A function that returns ``(value, gradient)``, with `has_aux`
        ``((value, aux), gradient)``.

    >>> import numpy as np
    >>> value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    (array(5.), array([2., 4.]))
    """
    _check_function("value_and_grad", fn)
    numbers = _numbers(argnums)

    def compute(*args: Any, **kwargs: Any) -> Any:
        run = _Run("grad", fn, numbers, args, kwargs, has_aux)
        root = _scalar(fn, run)
        seed: list[tuple[Node, int, Any]] = []
        if root is not None:
            # Nothing that differentiations around this need to know of.
            seed.append((root.node, root.index, xp.ones_like(_value(root.value))))
        gradients = run.gradients(seed, retain=False)
        found = gradients[0] if _is_one(argnums) else tuple(gradients)
        value = run.results
        return ((value, run.aux), found) if has_aux else (value, found)

    return _named(compute, "value_and_grad", fn)


def vjp(fn: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function, and the function that carries gradients back through it.

    Args:
        fn: returns an array, or a pytree of arrays.
        primals: its arguments: floating-point arrays or pytrees of them.
        has_aux: `fn` returns ``(outputs, aux)``.

    Returns:
        ``(outputs, backward)``, with `has_aux` ``(outputs, backward, aux)``. ``backward(*cts,
        retain_graph=False)`` takes a gradient for each output (of its structure, shape and dtype;
        a single one is passed as it is) and returns a tuple with the gradient of each argument.
        What the graph keeps is freed on the way, so that a second pass needs
        ``retain_graph=True`` in the first.

    Raises:
        ArgumentError: an argument holds something else than floats.
        GradientError (of ``backward``): a gradient does not fit its output, the graph was freed,
            or an array that it needs was written to: by an operator, or by NumPy if it is an
            argument or a result of up to a megabyte.

    >>> import numpy as np
    >>> out, backward = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> out, backward(np.array([1.0, 10.0]))
    (array([3., 8.]), (array([ 3., 40.]), array([ 1., 20.])))
    """
    _check_function("vjp", fn)
    run = _Run("vjp", fn, tuple(range(len(primals))), primals, {}, has_aux)
    sums = Checksums(LARGEST)
    sums.look(run.in_hand())
    freed = False

    def backward(*cotangents: Any, retain_graph: bool = False) -> tuple[Any, ...]:
        nonlocal freed
        if freed:
            raise GradientError(
                "vjp: trying to go backward through the graph a second time, but the first pass "
                "freed what it keeps. Pass retain_graph=True to that one"
            )
        seeds = run.seeds(cotangents)
        sums.look_again()
        freed = not retain_graph
        return tuple(run.gradients(seeds, retain=retain_graph))

    return (run.results, backward, run.aux) if has_aux else (run.results, backward)


def jacrev(fn: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that computes Jacobians, a reverse pass for each element of the output.

    Args:
        fn: returns a real array, or a pytree of them.
        argnums: see `grad`.

    Returns:
        A function that returns, for each array of the output, the derivatives with respect to the
        argument: of shape ``(*output.shape, *argument.shape)``, in the structure of the output,
        within which is that of the argument; for several arguments, a tuple of them.

    >>> import numpy as np
    >>> jacrev(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    _check_function("jacrev", fn)
    numbers = _numbers(argnums)

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Run("jacrev", fn, numbers, args, kwargs, has_aux=False)
        blocks: list[Any] = [run.jacobian(index) for index in range(len(run.outputs))]
        blocks = [block[0] if _is_one(argnums) else tuple(block) for block in blocks]
        return tree().tree_unflatten(run.structure, blocks)

    return _named(jacobian, "jacrev", fn)


def stop_gradient(x: Any) -> Any:
    """Arrays as constants: the values of what is being differentiated, in a pytree of any kind.

    Args:
        x: an array or a pytree of arrays.

    Returns:
        The same, with each array that is being differentiated replaced by its value.

    >>> import numpy as np
    >>> from gpuops import grad
    >>> grad(lambda x: stop_gradient(x) * x)(3.0)
    array(3.)
    """
    return tree().tree_map(_value, x)


def _value(leaf: Any) -> Any:
    while type(leaf) is DiffArray:
        leaf = leaf.value
    return leaf


# -- one differentiation ---------------------------------------------------------------------------


class _Run:
    """A function that was run on differentiable arrays.

    Attributes:
        results: what it returned, with values in place of differentiable arrays.
        aux: what it returned beside, likewise.
        outputs: the leaves of what it returned.
        structure: the rest of what it returned.
    """

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        numbers: tuple[int, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        has_aux: bool,
    ) -> None:
        pytrees = tree()
        self.name, self.fn = name, fn
        tape = Tape()
        wrapped = list(args)
        self.inputs: list[tuple[list[DiffArray], Any]] = []
        for number in _positions(name, fn, numbers, len(args)):
            leaves, structure = pytrees.tree_flatten(args[number])
            paths = pytrees.treespec_paths(structure)
            arrays = [
                tape.leaf(_as_array(name, fn, number, path, leaf))
                for path, leaf in zip(paths, leaves, strict=True)
            ]
            self.inputs.append((arrays, structure))
            wrapped[number] = pytrees.tree_unflatten(structure, arrays)
        try:
            out = fn(*wrapped, **kwargs)
        finally:
            tape.active = False
        self.tape = tape
        self.aux: Any = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise UsageError(
                    f"{name}: with has_aux=True, {_of(fn)} must return a pair (output, aux), got "
                    f"{describe(out)}"
                )
            out, aux = out
            self.aux = pytrees.tree_map(self._result, aux)
        self.outputs, self.structure = pytrees.tree_flatten(out)
        self.results = pytrees.tree_unflatten(self.structure, map(self._result, self.outputs))

    def _result(self, leaf: Any) -> Any:
        return leaf.value if self.is_own(leaf) else leaf

    def is_own(self, leaf: Any) -> bool:
        """Whether it depends on an argument."""
        return type(leaf) is DiffArray and leaf.transform is self.tape

    def in_hand(self) -> list[Any]:
        """The arrays that the caller has in hand and that a reverse pass may need."""
        given = [array.value for arrays, _ in self.inputs for array in arrays]
        return given + [leaf.value for leaf in self.outputs if self.is_own(leaf)]

    def gradients(self, seeds: list[tuple[Node, int, Any]], *, retain: bool) -> list[Any]:
        """The gradient of each argument, zeros where nothing depends on it."""
        # Who writes to a gradient changes no other one, and nothing that the caller has in hand.
        taken = {id(owner(array)) for array in (*self.in_hand(), *(g for _, _, g in seeds))}
        if self.tape.sums is not None:
            self.tape.sums.look_again()
        streams = self.tape.streams
        if streams:
            found = run_on_streams(seeds, retain=retain, streams=streams)
        else:
            found = run_backward(seeds, retain=retain)
        gradients = []
        for arrays, structure in self.inputs:
            leaves = [
                xp.zeros_like(array.value)
                if (g := found.get(array.node)) is None
                else _of_its_own(g, taken)
                for array in arrays
            ]
            gradients.append(tree().tree_unflatten(structure, leaves))
        return gradients

    def seeds(self, cotangents: tuple[Any, ...]) -> list[tuple[Node, int, Any]]:
        """The gradients that a reverse pass begins with."""
        pytrees = tree()
        whole = cotangents[0] if len(cotangents) == 1 else cotangents
        leaves, structure = pytrees.tree_flatten(whole)
        if structure != self.structure:
            raise GradientError(
                f"{self.name}: the gradients must have the structure of the outputs of "
                f"{_of(self.fn)}: expected {self.structure}, got {structure}"
            )
        seeds = []
        for path, leaf, output in zip(
            pytrees.treespec_paths(structure), leaves, self.outputs, strict=True
        ):
            if not self.is_own(output):
                continue
            if isinstance(leaf, (int, float, complex, np.generic)):
                leaf = np.asarray(leaf)
            self._check_seed(leaf, output, path)
            meta = output.node.metas[output.index]
            seeds.append((output.node, output.index, fit(leaf, meta, output.node.operator, 0)))
        return seeds

    def _check_seed(self, leaf: Any, output: DiffArray, path: Any) -> None:
        device = array_kind(type(output.value))
        kinds = "fciub" if output.dtype.kind == "c" else "fiub"
        if not _is_array(leaf) or tuple(leaf.shape) != output.shape:
            wanted = f"shape {output.shape}"
        elif leaf.dtype.kind not in kinds:
            wanted = f"dtype {output.dtype}"
        elif device is not None and not _is_on(leaf, device.device_type):
            wanted = f"device {device.device_type}"
        else:
            return
        where = "".join(f"[{key!r}]" for key in path)
        raise GradientError(
            f"{self.name}: the gradient for output{where} of {_of(self.fn)} must be an array of "
            f"{wanted}, got {describe(leaf)}"
        )

    def jacobian(self, index: int) -> list[Any]:
        """The derivatives of an output with respect to each argument."""
        output = self.outputs[index]
        if not _is_array(output):
            raise GradientError(
                f"jacrev: {_of(self.fn)} must return arrays, got {describe(output)}"
            )
        shape = tuple(output.shape)
        if output.dtype.kind == "c":
            raise GradientError(
                f"jacrev: {_of(self.fn)} must return real arrays, got "
                f"{describe(self._result(output))}"
            )
        rows = []
        if self.is_own(output):
            for position in np.ndindex(*shape):
                seed = _one_hot(output.value, position)
                rows.append(self.gradients([(output.node, output.index, seed)], retain=True))
        blocks = []
        for number, (arrays, structure) in enumerate(self.inputs):
            columns = [tree().tree_leaves(row[number]) for row in rows]
            leaves = [
                xp.reshape(xp.stack([column[i] for column in columns]), (*shape, *array.shape))
                if columns
                else xp.zeros((*shape, *array.shape), dtype=array.dtype, device=array.device)
                for i, array in enumerate(arrays)
            ]
            blocks.append(tree().tree_unflatten(structure, leaves))
        return blocks


def _of_its_own(array: Any, taken: set[int]) -> Any:
    """An array in memory that is not taken yet and can be written to; now it is taken.

    Args:
        array: what is no real array is left as it is.
        taken: the ids of the owners of memory.
    """
    if array_kind(type(array)) is None:
        return array
    memory = id(owner(array))
    # CuPy's arrays that are broadcast have no flag that says so.
    is_spread = 0 in array.strides and array.size > 1
    if memory in taken or is_spread or not getattr(array.flags, "writeable", True):
        array = array.copy()
        memory = id(array)
    taken.add(memory)
    return array


def _one_hot(like: Any, position: tuple[int, ...]) -> Any:
    """An array like another with 1 in one place and 0 elsewhere."""
    number = int(np.ravel_multi_index(position, tuple(like.shape))) if position else 0
    flat = np.zeros(max(1, int(np.prod(like.shape))), like.dtype)
    flat[number] = 1
    return xp.multiply(xp.ones_like(like), _on_device_of(like, flat.reshape(tuple(like.shape))))


def _on_device_of(like: Any, array: np.ndarray) -> Any:
    kind = array_kind(type(_value(like)))
    if kind is None or kind.device_type == "cpu":
        return array
    from gpuops.cuda.transfer import asarray

    return asarray(array, device="cuda")


def _scalar(fn: Callable[..., Any], run: _Run) -> DiffArray | None:
    """The scalar to differentiate; None if it depends on no argument."""
    outputs = run.outputs
    single = len(outputs) == 1 and run.structure.is_leaf()
    # The usual case, without making the text for an error.
    if single and run.is_own(outputs[0]):
        usual: DiffArray = outputs[0]
        if usual.shape == () and usual.dtype.kind == "f":
            return usual
    what = describe(run._result(outputs[0]) if single else run.results)
    if not single or not (_is_array(outputs[0]) or isinstance(outputs[0], (float, np.floating))):
        raise GradientError(f"grad: {_of(fn)} must return a scalar (a 0-d array), got {what}")
    output = outputs[0]
    if not _is_array(output):
        return None
    if tuple(output.shape) != ():
        raise GradientError(
            f"grad: {_of(fn)} must return a scalar (a 0-d array), got {what}; take a sum of it, or "
            "use vjp or jacrev"
        )
    if output.dtype.kind == "c":
        raise GradientError(
            f"grad: {_of(fn)} must return a real scalar, got {what}; take its real part, or use vjp"
        )
    if output.dtype.kind != "f":
        raise GradientError(
            f"grad: {_of(fn)} must return a floating-point scalar, got {what}, which has no "
            "gradient"
        )
    return output if run.is_own(output) else None


def _is_array(value: Any) -> bool:
    return type(value) in wrapper_types or array_kind(type(value)) is not None


def _is_on(value: Any, device_type: str) -> bool:
    """Whether it is a real array on a device, or one of a transformation around this."""
    kind = array_kind(type(value))
    return type(value) in nested_types if kind is None else kind.device_type == device_type


def _as_array(name: str, fn: Callable[..., Any], number: int, path: Any, leaf: Any) -> Any:
    """An argument's leaf as an array of floats."""
    if isinstance(leaf, (float, complex, np.generic)):
        leaf = np.asarray(leaf)
    if _is_array(leaf) and leaf.dtype.kind in "fc":
        return leaf
    where = f"argument {number}" + "".join(f"[{key!r}]" for key in path)
    other = "let the function close over it" if name == "vjp" else "leave it out of argnums"
    raise ArgumentError(
        f"{name}: {where} of {_of(fn)} must hold floating-point or complex arrays, got "
        f"{describe(leaf)}. Convert it, or {other}"
    )


def _numbers(argnums: Any) -> tuple[int, ...]:
    given = (argnums,) if _is_one(argnums) else argnums
    if not given or not all(
        isinstance(n, (int, np.integer)) and type(n) is not bool for n in given
    ):
        raise UsageError(f"argnums must be an int or several ints, got {argnums!r}")
    if len(set(given)) < len(given):
        raise UsageError(f"argnums has an argument twice: {argnums!r}")
    return tuple(map(int, given))


def _is_one(argnums: Any) -> bool:
    return not isinstance(argnums, (tuple, list, range))


def _positions(
    name: str, fn: Callable[..., Any], numbers: tuple[int, ...], given: int
) -> list[int]:
    """The positions that `argnums` stands for, counted from the front."""
    positions: list[int] = []
    for number in numbers:
        if not -given <= number < given:
            raise ArgumentError(
                f"{name}: argnums has {number}, but {_of(fn)} was given {given} positional "
                "arguments"
            )
        if number % given in positions:
            raise UsageError(f"{name}: argnums has an argument of {_of(fn)} twice: {numbers!r}")
        positions.append(number % given)
    return positions


def _check_function(name: str, fn: Any) -> None:
    if not callable(fn):
        raise UsageError(f"{name} takes a function, got {describe(fn)}")


def _of(fn: Callable[..., Any]) -> str:
    operator = getattr(fn, "operator", None)
    if isinstance(operator, Operator):
        return operator.qualname
    return str(getattr(fn, "__qualname__", None) or getattr(fn, "__name__", None) or repr(fn))


def _named(function: Callable[..., Any], what: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = f"{what}({getattr(fn, '__name__', 'function')})"
    function.__wrapped__ = fn  # type: ignore[attr-defined]  # what inspect and trace look at
    return function
