"""The operators that opcheck is tested with, written for torch: the same faults and samples.

A kernel runs as it stands, on NumPy views of torch's tensors, as kernels of torch's own examples
do. What it returns becomes tensors again, and what shares memory with an argument becomes a view of
that argument, so that an alias is as visible to torch as to gpuops. Formulas, batching rules and
fake kernels run as they stand, too, on what has NumPy's methods and is made of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

import gpuops

__all__ = ["NOT_FOR_TORCH", "TorchAnimal", "is_gap", "reason_against"]

NOT_FOR_TORCH: dict[str, str] = {
    "fake_interface": "torch's fakes have no array interface that a kernel could ask for",
    "fake_real_array": "in a fake kernel, torch.zeros makes a fake: that is no fault",
    "layout_of_numpy": "its fake asks NumPy's empty_like, which torch's fakes have no form of",
    "memory_order": "torch has no function that reads an array in the order of its memory",
    "noise_from_state": "an RNGState is among its arguments, and no type of torch's schemas",
    "tuple_of_one": "a schema of torch has no tuple of one",
}
"""Why an operator cannot be written for torch; what its check says of it, see `reason_against`."""


def reason_against(animal: Any) -> str | None:
    """Why an animal cannot be written for torch, or None if it can."""
    if animal.name in NOT_FOR_TORCH:
        return NOT_FOR_TORCH[animal.name]
    if animal.check == "test_devices":
        return 'its fault is in a "cuda" kernel, which torch runs on a GPU only'
    return None


def is_gap(error: BaseException) -> bool:
    """Whether it is this module, or torch's own NumPy, that cannot do what an operator does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file = "" if trace is None else trace.tb_frame.f_code.co_filename.replace("\\", "/")
    unknown = isinstance(error, (AttributeError, NotImplementedError)) or "_dtypes.py" in file
    in_numpy = "/torch/_numpy/" in file and unknown
    lacking = isinstance(getattr(error, "obj", None), (FakeView, FakeContext, FormulaContext))
    return lacking or in_numpy or file == __file__.replace("\\", "/")


def torch_schema(text: str) -> str:
    """A schema in torch's words.

    >>> torch_schema("(Array(a!)? x, Array[] xs) -> (Array, int)")
    '(Tensor(a!)? x, Tensor[] xs) -> (Tensor, int)'
    """
    return text.replace("Array", "Tensor")


class TorchAnimal:
    """One operator of the zoo as a `torch.library.custom_op`.

    Args:
        animal: the operator.
        modules: of the zoo: what their functions know as ``np``, ``xp`` and ``get_ctx`` is torch's
            while a formula, a rule or a fake kernel runs.
        namespace: of the operators.
    """

    def __init__(self, animal: Any, modules: list[ModuleType], namespace: str) -> None:
        import torch

        self.animal = animal
        self._modules = modules
        # Arrays that the kernel keeps are the same tensors each time.
        self._tensors: dict[int, tuple[Any, Any]] = {}
        schema = torch_schema(animal.schema)
        self._schema = gpuops.parse_schema(animal.schema)
        mutated = [parameter.name for parameter in self._schema.parameters if parameter.is_mutated]
        name = f"{namespace}::{animal.name}"
        self.op = torch.library.custom_op(
            name, self._kernel, mutates_args=mutated, schema=schema, device_types="cpu"
        )
        if animal.fake is not None:
            self.op.register_fake(self._fake)
        if animal.backward is not None:
            self.op.register_autograd(self._backward, setup_context=self._setup)
        if animal.vmap is not None:
            self.op.register_vmap(self._vmap)

    def sample(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The sample as tensors; they require gradients if there is a formula."""

        def one(value: Any) -> Any:
            tensor = _tensor_of(value)
            if self.animal.backward is not None and (
                tensor.is_floating_point() or tensor.is_complex()
            ):
                tensor.requires_grad_()
            return tensor

        convert = partial(_map, np.ndarray, one)
        kwargs = self.animal.kwargs or {}
        return convert(self.animal.sample()), {k: convert(v) for k, v in kwargs.items()}

    # -- what is registered ------------------------------------------------------------------------

    def _kernel(self, *args: Any, **kwargs: Any) -> Any:
        import torch

        given: list[tuple[Any, Any]] = []

        def view(tensor: Any) -> Any:
            array = tensor.detach().resolve_conj().resolve_neg().numpy()
            given.append((array, tensor))
            return array

        result = self._call(self.animal.kernel, partial(_map, torch.Tensor, view), args, kwargs)
        for array, tensor in given:
            if array.shape != tuple(tensor.shape):  # it was given another shape in place
                tensor.as_strided_(array.shape, [s // array.itemsize for s in array.strides])
        return _map(np.ndarray, partial(self._returned, given), result)

    def _returned(self, given: list[tuple[Any, Any]], array: Any) -> Any:
        for base, tensor in [*given, *self._tensors.values()]:
            if array is base:
                return tensor
        for base, tensor in [*given, *self._tensors.values()]:
            if _is_view(array, base):
                return _torch_view(array, base, tensor)
        base = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        if not any(base is other for other, _ in given):
            self._tensors[id(base)] = (base, _tensor_of(base))
        known = self._tensors[id(base)][1]
        return known if base is array else _torch_view(array, base, known)

    def _fake(self, *args: Any, **kwargs: Any) -> Any:
        import torch

        with self._in_torchs_words():
            wrap = partial(_map, torch.Tensor, FakeView)
            result = self._call(self.animal.fake, wrap, args, kwargs)
        result = _map(FakeView, lambda view: view.tensor, result)
        return _map(np.ndarray, _tensor_of, result)

    def _call(self, function: Any, convert: Any, args: Any, kwargs: Any) -> Any:
        """Call a function as gpuops does: with every argument, those at their defaults too."""
        positional = self._schema.positional
        args = [*args, *(parameter.default for parameter in positional[len(args) :])]
        by_name = {p.name: kwargs.get(p.name, p.default) for p in self._schema.keyword_only}
        return function(*convert(args), **{name: convert(value) for name, value in by_name.items()})

    def _setup(self, ctx: Any, inputs: Any, output: Any, **more: Any) -> None:
        with self._in_torchs_words():
            view = FormulaContext(ctx)
            if getattr(self.animal, "setup", None) is not None:
                self.animal.setup(
                    ctx=view, inputs=_as_arrays(inputs), output=_as_arrays(output), **more
                )
            else:
                view.save_for_backward(*(x for x in _as_arrays(inputs) if hasattr(x, "shape")))

    def _backward(self, ctx: Any, *gradients: Any) -> Any:
        with self._in_torchs_words():
            result = self.animal.backward(FormulaContext(ctx), *_as_arrays(gradients))
        return _as_tensors(result)

    def _vmap(self, info: Any, in_dims: Any, *args: Any, **kwargs: Any) -> Any:
        with self._in_torchs_words():
            result, out_dims = self.animal.vmap(info, in_dims, *_as_arrays(args), **kwargs)
        return _as_tensors(result), out_dims

    @contextmanager
    def _in_torchs_words(self) -> Iterator[None]:
        import torch
        import torch._numpy

        words = {
            "np": _NumpyOfTensors(torch._numpy),
            "xp": _NumpyOfTensors(torch._numpy),
            "get_ctx": lambda: FakeContext(torch.library.get_ctx()),
            "stop_gradient": lambda x: _as_arrays(_as_tensors(x).detach()),
        }
        before = [
            (module, name, vars(module)[name])
            for module in self._modules
            for name in words
            if name in vars(module)
        ]
        try:
            for module, name, _ in before:
                setattr(module, name, words[name])
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)


# -- tensors and arrays ----------------------------------------------------------------------------


def _map(cls: type, function: Callable[[Any], Any], value: Any) -> Any:
    """`value` with each instance of `cls` in it, also in tuples and lists, converted."""
    if isinstance(value, (tuple, list)):
        return type(value)([_map(cls, function, item) for item in value])
    return function(value) if isinstance(value, cls) else value


def _tensor_of(array: Any) -> Any:
    import torch

    if any(stride < 0 for stride in array.strides):  # which no tensor has
        array = array.copy()
    if not array.flags.writeable:
        array = array.copy(order="K")
    return torch.from_numpy(array)


def _is_view(array: Any, base: Any) -> bool:
    """Whether NumPy knows that an array is a view of another."""
    chain = array
    while isinstance(chain.base, np.ndarray):
        chain = chain.base
        if chain is base or (base.base is not None and chain is base.base):
            return bool(np.may_share_memory(array, base)) or not array.size
    return False


def _torch_view(array: Any, base: Any, tensor: Any) -> Any:
    """The view of a tensor that is to it what `array` is to `base`."""
    start = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    strides = [stride // array.itemsize for stride in array.strides]
    if any(stride < 0 for stride in strides) or array.dtype != base.dtype:
        return _tensor_of(array)
    offset = tensor.storage_offset() + (start // array.itemsize if array.size else 0)
    return tensor.as_strided(array.shape, strides, offset)


def _as_arrays(value: Any) -> Any:
    import torch
    import torch._numpy

    return _map(torch.Tensor, torch._numpy.ndarray, value)


def _as_tensors(value: Any) -> Any:
    import torch._numpy

    return _map(torch._numpy.ndarray, lambda array: array.tensor, value)


class _NumpyOfTensors:
    """NumPy's functions on tensors: torch's own, without the argument `order`, which it lacks."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    random = np.random

    def __getattr__(self, name: str) -> Any:
        import torch

        if name == "broadcast_shapes":
            return lambda *shapes: tuple(torch.broadcast_shapes(*shapes))
        if name == "cumsum":  # torch's NumPy has none of bools, torch has
            return lambda x, axis: _as_arrays(torch.cumsum(_as_tensors(x), axis))
        found = getattr(self._module, name)
        if name not in ("array", "asarray", "empty", "zeros", "ones"):
            return found

        def without_order(*args: Any, order: str = "C", **kwargs: Any) -> Any:
            convert = partial(_map, np.dtype, lambda dtype: getattr(self._module, dtype.name))
            return found(*convert(args), **{key: convert(value) for key, value in kwargs.items()})

        return without_order


class FormulaContext:
    """A formula's context with gpuops' names, over torch's."""

    def __init__(self, ctx: Any) -> None:
        object.__setattr__(self, "_ctx", ctx)

    @property
    def saved_arrays(self) -> Any:
        return _as_arrays(self._ctx.saved_tensors)

    def save_for_backward(self, *arrays: Any) -> None:
        self._ctx.save_for_backward(*_as_tensors(arrays))

    def mark_non_differentiable(self, *arrays: Any) -> None:
        self._ctx.mark_non_differentiable(*_as_tensors(arrays))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._ctx, name, value)


class FakeContext:
    """A fake kernel's context with gpuops' names, over torch's."""

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx

    def new_dynamic_size(self, **bounds: Any) -> Any:
        # torch takes no bound that is a symbol: who writes for it leaves it out.
        known = {name: bound for name, bound in bounds.items() if isinstance(bound, int)}
        return self._ctx.new_dynamic_size(**known)


class FakeView:
    """What gpuops hands to fake kernels, made of torch's fake tensor."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    shape = property(lambda self: tuple(self.tensor.shape))
    ndim = property(lambda self: self.tensor.ndim)
    size = property(lambda self: self.tensor.numel())
    dtype = property(lambda self: _numpy_dtype(self.tensor.dtype))
    device = property(lambda self: self.tensor.device)
    strides = property(
        lambda self: tuple(n * self.tensor.element_size() for n in self.tensor.stride())
    )
    flags = property(
        lambda self: SimpleNamespace(
            c_contiguous=self.tensor.is_contiguous(), f_contiguous=self.T.tensor.is_contiguous()
        )
    )
    T = property(lambda self: FakeView(self.tensor.permute(*reversed(range(self.tensor.ndim)))))

    def new_empty(self, shape: Any, dtype: Any = None, device: str | None = None) -> FakeView:
        kwargs = {} if dtype is None else {"dtype": _torch_dtype(dtype)}
        if device is not None:
            kwargs["device"] = device
        return FakeView(self.tensor.new_empty(tuple(shape), **kwargs))

    def reshape(self, *shape: Any) -> FakeView:
        return FakeView(self.tensor.reshape(*shape))

    def sum(self) -> FakeView:
        return FakeView(self.tensor.sum())

    def all(self) -> FakeView:
        return FakeView(self.tensor.all())

    def any(self) -> FakeView:
        return FakeView(self.tensor.any())

    def max(self) -> FakeView:
        return FakeView(self.tensor.max())

    def __gt__(self, other: Any) -> FakeView:
        return FakeView(self.tensor > other)

    def __int__(self) -> int:
        return int(self.tensor)

    def __bool__(self) -> bool:
        return bool(self.tensor)

    def __getitem__(self, key: Any) -> FakeView:
        return FakeView(self.tensor[key])


def _torch_dtype(dtype: Any) -> Any:
    import torch

    return dtype if isinstance(dtype, torch.dtype) else getattr(torch, _name(dtype))


def _numpy_dtype(dtype: Any) -> Any:
    return np.dtype(str(dtype).rpartition(".")[2])


def _name(dtype: Any) -> str:
    # torch's NumPy has types of its own.
    text = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    return {"bool_": "bool"}.get(text, text)
