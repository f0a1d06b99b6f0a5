"""Wrappers as arrays: operators, methods, indexing and NumPy's functions, against NumPy itself.

Each expression is computed three times: on NumPy's arrays, on fakes (metadata has to agree), and
traced with symbolic sizes (the graph has to give the numbers).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from gpuops import (
    ArgumentError,
    FakeArray,
    FakeDataError,
    FakeMixError,
    FakeMode,
    ShapeError,
    TraceError,
    trace,
)
from gpuops.symbols import SymInt

# The layer above defines the operators that these become.
xp = pytest.importorskip("gpuops.xp", reason="the operators of the namespace xp are not there")


def sort(x: Any) -> Any:
    x.sort(0)
    return x


def fill(x: Any) -> Any:
    x.fill(3)
    return x


def assign(x: Any) -> Any:
    x[1:, ::2] = 7
    x[0] = x[1]
    return x


def in_place(x: Any) -> Any:
    y = x
    y += 1
    y *= 2
    y -= x / 4
    return y


def out(x: Any) -> Any:
    y = np.empty_like(x)
    assert np.add(x, 1, out=y) is y
    assert np.sum(x, axis=0, out=y[0]) is not None
    return y


def forms(op: Any) -> dict[str, Any]:
    """A binary operator in its forms."""
    return {
        "array": lambda x: op(x, x * 2 + 1),
        "number": lambda x: op(x, 2),
        "reflected": lambda x: op(3, x),
        "broadcast": lambda x: op(x, x[0]),
    }


EXPRESSIONS: dict[str, Any] = {
    **{
        f"{name} {kind}": form
        for name, op in {
            "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
            "//": operator.floordiv, "%": operator.mod, "**": operator.pow,
            "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
            "==": operator.eq, "!=": operator.ne,
        }.items()
        for kind, form in forms(op).items()
    },
    **{
        name: lambda x, op=op: op(x.astype("int32"), x.astype("int32") + 1)
        for name, op in {
            "&": operator.and_, "|": operator.or_, "^": operator.xor,
            "<<": operator.lshift, ">>": operator.rshift,
        }.items()
    },
    "@": lambda x: x @ x.T,
    "neg": lambda x: -x,
    "pos": lambda x: +x,
    "abs": lambda x: abs(x - 3),
    "invert": lambda x: ~(x > 2),
    "divmod": lambda x: divmod(x, 2)[1],
    "row": lambda x: x[1],
    "element": lambda x: x[1, 2] + 0,
    "slice": lambda x: x[1:, ::-2],
    "newaxis": lambda x: x[:, None, 1:],
    "ellipsis": lambda x: x[..., 0],
    "integers": lambda x: x[[0, 2, 1]],
    "mask": lambda x: x[x > 2],
    "integer array": lambda x: x[np.array([[0, 2], [1, -1]])],
    "mask of numbers": lambda x: x[np.array([True, False, True])],
    "mask among others": lambda x: x[None, ..., np.array([True, False, True, True])],
    "arrays among others": lambda x: x[1:, np.array([1, 0])],
    "iterate": lambda x: sum(x),
    "T": lambda x: x.T,
    "mT": lambda x: x[None].mT,
    "sum": lambda x: x.sum(),
    "sum axis": lambda x: x.sum(0),
    "sum keepdims": lambda x: x.sum(axis=-1, keepdims=True),
    "prod": lambda x: x.prod(1),
    "max": lambda x: x.max(0),
    "min": lambda x: x.min(),
    "all": lambda x: (x > 1).all(0),
    "any": lambda x: (x > 1).any(),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(),
    "mean": lambda x: x.mean(0),
    "std": lambda x: x.std(0, ddof=1),
    "var": lambda x: x.var(),
    "cumsum": lambda x: x.cumsum(1),
    "cumsum flat": lambda x: x.cumsum(),
    "cumprod": lambda x: x.cumprod(0),
    "argsort": lambda x: x.argsort(0),
    "clip": lambda x: x.clip(1, 3),
    "integers in an axis": lambda x: x[:, [1, 0]],
    "astype": lambda x: x.astype("int8"),
    "copy": lambda x: x.T.copy(),
    "reshape": lambda x: x.reshape(-1),
    "reshape two": lambda x: x.reshape(2, -1),
    "ravel": lambda x: x.ravel(),
    "flatten": lambda x: x.T.flatten(),
    "transpose": lambda x: x[None].transpose(2, 0, 1),
    "transpose tuple": lambda x: x.transpose((1, 0)),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "squeeze": lambda x: x[:, None].squeeze(1),
    "dot": lambda x: x.dot(x.T),
    "diagonal": lambda x: x.diagonal(1),
    "trace": lambda x: x.trace(),
    "searchsorted": lambda x: x[1].searchsorted(x[0]),
    "numpy's number": lambda x: x * np.float64(2) + np.float32(1),
    "numpy's number first": lambda x: np.int64(2) * x,
    "nonzero": lambda x: x.nonzero()[0],
    "round": lambda x: (x / 3).round(),
    "conj": lambda x: (x * 1j).conj(),
    "real": lambda x: (x * 1j).real + x.real,
    "imag": lambda x: (x * 1j).imag,
    "sort": sort,
    "fill": fill,
    "assign": assign,
    "in place": in_place,
    "out": out,
    "np.exp": np.exp,
    "np.arctan2": lambda x: np.arctan2(x, 2.0),
    "np.power": lambda x: np.power(x, 2),
    "np.add dtype": lambda x: np.add(x, x, dtype="float64"),
    "np.add.reduce": lambda x: np.add.reduce(x, axis=1),
    "np.maximum.reduce": lambda x: np.maximum.reduce(x),
    "np.add.accumulate": lambda x: np.add.accumulate(x, axis=1),
    "np.multiply.outer": lambda x: np.multiply.outer(x[0], x[1]),
    "np.sum": lambda x: np.sum(x, axis=0, keepdims=True),
    "np.concatenate": lambda x: np.concatenate([x, x * 2], axis=0),
    "np.stack": lambda x: np.stack([x, x]),
    "np.where": lambda x: np.where(x > 2, x, 0),
    "np.transpose": np.transpose,
    "np.expand_dims": lambda x: np.expand_dims(x, 1),
    "np.zeros_like": np.zeros_like,
    "np.empty like": lambda x: np.zeros((2, 3), like=x),
    "np.einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "np.broadcast_to": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "np.linalg.vector_norm": lambda x: np.linalg.vector_norm(x, axis=1),
    "method of a namespace": lambda x: x.__array_namespace__().sum(x)
    if not isinstance(x, np.ndarray)
    else np.sum(x),
}  # fmt: skip


def data() -> np.ndarray:
    return np.array([[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8]], np.float32)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_fakes_have_numpys_metadata(expression: Any) -> None:
    real = np.asarray(expression(data()))
    fake = expression(FakeMode().from_array(data()))
    assert type(fake) is FakeArray
    assert (fake.dtype, fake.ndim) == (real.dtype, real.ndim)
    if not any(isinstance(size, SymInt) for size in fake.shape):
        assert (fake.shape, fake.strides) == (real.shape, real.strides)


@pytest.mark.parametrize("mode", ["real", "symbolic"])
@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_graphs_give_numpys_numbers(expression: Any, mode: str) -> None:
    graph = trace(expression, mode)(data())
    np.testing.assert_array_equal(graph(data()), expression(data()))
    scope: dict[str, Any] = {}
    exec(graph.code, scope)
    np.testing.assert_array_equal(scope["forward"](data()), expression(data()))
    again = type(graph).from_text(graph.to_text())
    np.testing.assert_array_equal(again(data()), expression(data()))


def test_symbolic_graphs_of_expressions_hold_for_other_sizes() -> None:
    other = np.arange(40, dtype=np.float32).reshape(8, 5)
    for name in ("+ broadcast", "@", "reshape", "reshape two", "np.concatenate", "slice", "mean"):
        graph = trace(EXPRESSIONS[name], "symbolic")(data())
        np.testing.assert_array_equal(graph(other), EXPRESSIONS[name](other), err_msg=name)


def test_mixing_with_real_arrays_says_what_to_convert() -> None:  # P9
    fake = FakeArray((3,))
    for mixed in (
        lambda: fake + np.zeros(3),
        lambda: np.zeros(3) + fake,
        lambda: np.concatenate([fake, np.zeros(3)]),
    ):
        with pytest.raises(FakeMixError, match="please convert all arrays to fakes first"):
            mixed()


def test_keys_with_numbers_are_checked() -> None:
    x = FakeArray((3, 4))
    x[np.array([True, False, True])] = 1.0
    assert x[[]].shape == (0, 4) and x[np.array([[True] * 4] * 3)].shape == (12,)
    for key, message in [
        (np.array([0, 3]), "index 3 is out of bounds for axis 0 .* size is 3"),
        ((slice(None), [-5]), "index -5 is out of bounds for axis 1 .* size is 4"),
        ((..., np.array([True] * 3)), "along axis 1: its size is 4, the mask's 3"),
        (np.zeros((3, 3), bool), "along axis 1: its size is 4, the mask's 3"),
    ]:
        with pytest.raises(IndexError, match=message):
            x[key]


@pytest.mark.parametrize("mode", ["fake", "real"])
def test_comparisons_of_all_elements_need_data(mode: str) -> None:  # P7
    x = FakeArray((3,))
    assert np.array_equal(x, FakeArray((4,))) is False
    for compare in (np.array_equal, np.allclose):
        with pytest.raises(FakeDataError, match="no data"):
            compare(x, x)
        with pytest.raises(TraceError, match="branches on the data"):
            trace(lambda y, f=compare: f(y, y), mode)(np.zeros(3))


def test_shape_errors_name_the_operator() -> None:
    with pytest.raises(ShapeError, match=r"xp::add.*\(3\) \(4\)"):
        FakeArray((3,)) + FakeArray((4,))


def test_a_function_without_an_operator_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"numpy.linalg.cond has no operator xp::linalg.cond"):
        np.linalg.cond(FakeArray((3, 3)))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, x, where=np.array([True])),
        lambda x: np.add.at(x, 0, 1),
        lambda x: np.add(x, x, order="F"),
        lambda x: x.to_device("cpu", stream=3),
        lambda x: np.busday_count(x, x),
    ],
)
def test_what_has_no_operator_says_so(call: Any) -> None:
    with pytest.raises((ArgumentError, TypeError)):
        call(FakeArray((3,)))


def test_arguments_of_methods_are_checked() -> None:
    with pytest.raises(TypeError, match="at most 4 arguments, 5"):
        FakeArray((3,)).sum(0, None, None, True, 1)
    with pytest.raises(TypeError, match="several values for axis"):
        FakeArray((3,)).sum(0, axis=0)
    with pytest.raises(ValueError, match="out has the shape"):
        FakeArray((3, 2)).sum(0, out=FakeArray((3,)))


def test_creation_functions_give_fakes_in_a_mode() -> None:
    with FakeMode() as mode:
        made = xp.zeros((2, 3))
        assert type(made) is FakeArray and made.fake_mode is mode
        assert xp.arange(5).shape == (5,)
    assert type(xp.zeros((2, 3))) is np.ndarray
