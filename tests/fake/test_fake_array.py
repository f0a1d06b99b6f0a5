"""`FakeArray`: metadata as NumPy's arrays have it, and errors for whatever needs data."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import ArgumentError, Device, FakeArray, FakeDataError, FakeMode, ShapeError

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
DTYPES = st.sampled_from(["bool", "int8", "float16", "float32", "complex128"])


def strided(shape: tuple[int, ...], steps: list[int], dtype: str) -> np.ndarray:
    """An array of that shape, cut out of a larger one with a step per axis, axes reversed."""
    whole = np.zeros([4 * abs(step) + 1 for _, step in zip(shape, steps, strict=False)], dtype)
    cut = tuple(
        slice(None, size * step, step) if step > 0 else slice(size * -step, 0, step)
        for size, step in zip(shape, steps, strict=False)
    )
    return whole[(*cut, ...)].T


@given(SHAPES, DTYPES, st.sampled_from("CF"))
def test_a_new_fake_has_the_layout_of_a_new_array(
    shape: tuple[int, ...], dtype: str, order: Any
) -> None:
    real = np.empty(shape, dtype, order)
    fake = FakeArray(shape, dtype, order=order)
    assert fake.strides == real.strides
    assert (fake.shape, fake.dtype, fake.ndim) == (real.shape, real.dtype, real.ndim)
    assert (fake.size, fake.itemsize, fake.nbytes) == (real.size, real.itemsize, real.nbytes)
    assert dict(fake.flags) == {name: real.flags[name] for name, _ in fake.flags}
    assert fake.flags.num == real.flags.num


@given(SHAPES, st.lists(st.sampled_from([-2, -1, 1, 2]), min_size=4, max_size=4), DTYPES)
def test_from_array_copies_layout_and_flags(
    shape: tuple[int, ...], steps: list[int], dtype: str
) -> None:
    real = strided(shape, steps, dtype)
    fake = FakeMode().from_array(real)
    assert (fake.shape, fake.strides, fake.dtype) == (real.shape, real.strides, real.dtype)
    for name in ("C", "F", "O", "W", "A", "X", "CA", "B", "FORC", "FNC"):
        assert fake.flags[name] == real.flags[name], name
    assert fake.device is Device("cpu")


def test_from_array_of_a_read_only_array_is_read_only() -> None:
    real = np.broadcast_to(np.zeros(3), (2, 3))
    fake = FakeMode().from_array(real)
    assert not fake.flags.writeable and not fake.flags.owndata
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
        fake.flags.writeable = True


def test_a_device_needs_no_device() -> None:  # P9
    fake = FakeArray((2, 3), "float32", "cuda:1")
    assert fake.device is Device("cuda:1") and fake.device == "cuda:1"
    assert fake.new_empty((4,)).device is Device("cuda:1")
    assert fake.new_empty((4,), device="cpu").device == "cpu"
    assert "cupy" not in repr(fake)


def test_a_petabyte_takes_a_few_hundred_bytes() -> None:
    fake = FakeArray((2**25, 2**25), "uint8")
    assert fake.nbytes == 2**50 and fake.strides == (2**25, 1)
    parts = [fake, fake.shape, fake.strides, *fake.shape, *fake.strides]
    assert sum(map(sys.getsizeof, parts)) < 500
    assert not hasattr(fake, "__dict__")


def test_metadata_cannot_be_set() -> None:
    fake = FakeArray((2, 3))
    for name in ("shape", "dtype", "device", "strides", "base", "flags"):
        with pytest.raises(AttributeError):
            setattr(fake, name, None)


def test_new_empty_and_views() -> None:
    fake = FakeArray((2, 3), "float32")
    assert repr(fake.new_empty(5)) == "FakeArray(shape=(5,), dtype=float32, device='cpu')"
    assert fake.new_empty((2, 2), "int8", order="F").strides == (1, 2)
    assert fake.new_empty([2, 2], strides=(64, 8)).strides == (64, 8)
    assert fake.new_empty(fake.shape).base is None
    view = fake.new_view((3,), (8,))
    assert view.base is fake and not view.flags.owndata and view.flags.writeable
    assert view.new_view((1,), (4,), writeable=False).base is fake
    assert not view.new_view((1,), (4,), writeable=False).flags.writeable


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((2, -1),), ShapeError, r"must be at least 0, got \(2, -1\)"),
        (((2, 1.5),), ArgumentError, "are ints, got float 1.5"),
        (("ab",), ArgumentError, "are ints, got str 'a'"),
        (((2, 3), "float32", "cpu", (4,)), ShapeError, r"1 strides .* shape \(2, 3\)"),
        (((2,), "float32", "tpu"), gpuops.DeviceError, "Expected one of cpu, cuda"),
    ],
)
def test_bad_metadata_is_refused(arguments: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        FakeArray(*arguments)


def test_bad_order_is_refused() -> None:
    with pytest.raises(ArgumentError, match="order must be 'C' or 'F', got 'K'"):
        FakeArray((2,), order="K")


def test_flags_know_their_names() -> None:
    flags = FakeArray((2, 3)).flags
    assert flags["C"] and flags["CONTIGUOUS"] and flags.contiguous and not flags.fortran
    with pytest.raises(KeyError, match="Unknown flag"):
        flags["NONSENSE"]
    flags["WRITEABLE"] = False
    assert flags == FakeArray((2, 3), writeable=False).flags
    assert "C_CONTIGUOUS : True" in repr(flags)


@numba.njit
def total(x: Any) -> Any:
    return x.sum()


NEEDS_DATA = {
    "float": float,
    "int": int,
    "complex": complex,
    "bool": bool,
    "branch": lambda x: 1 if x else 0,
    "index": lambda x: range(3)[x],
    "asarray": np.asarray,
    "array": np.array,
    "array of a list": lambda x: np.array([x, x]),
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "tobytes": lambda x: x.tobytes(),
    "data": lambda x: x.data,
    "ctypes": lambda x: x.ctypes.data,
    "get": lambda x: x.get(),
    "in": lambda x: 3 in x,
    "dlpack": np.from_dlpack,
    "numba": total,
}


@pytest.mark.parametrize("needs", NEEDS_DATA.values(), ids=NEEDS_DATA)
def test_whatever_needs_data_says_so(needs: Any, ns: str) -> None:  # P7
    with pytest.raises(FakeDataError, match="needs data, and a fake array has no data"):
        needs(FakeArray((), "int64"))

    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: gpuops.Array) -> gpuops.Array:
        return x.copy()

    @f.register_fake
    def _(x: Any) -> Any:
        needs(x)
        return x.new_empty(x.shape)

    place = rf"in the fake of {ns}::f \(.*test_fake_array.py:\d+\)"
    with pytest.raises(FakeDataError, match=f"has no data: .*; it was asked for {place}"):
        f(FakeArray((), "int64"))


def test_a_cuda_kernel_refuses_fakes() -> None:  # P7
    kernel = gpuops.cuda.Kernel("__global__ void f(float* x) {}", "f")
    with pytest.raises(FakeDataError, match=r"launching 'f'.*args\[0\].*has no data"):
        kernel(1, 1, (FakeArray((3,), "float32", "cuda"),))


def test_length_and_iteration_ask_for_the_first_axis() -> None:
    assert len(FakeArray((3, 4))) == 3
    with pytest.raises(TypeError, match="unsized"):
        len(FakeArray(()))
    with pytest.raises(TypeError, match="0-d"):
        iter(FakeArray(()))


def test_unknown_attributes_are_attribute_errors() -> None:
    assert not hasattr(FakeArray(()), "nonsense")
    assert not hasattr(FakeArray(()), "__array_interface__")
    assert not hasattr(FakeArray(()), "__cuda_array_interface__")


def test_a_fake_is_no_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(FakeArray(()))


def test_array_repr_shows_strides_that_are_not_a_new_arrays() -> None:
    fake = FakeArray((2, 3), "int8", strides=(1, 2))
    assert repr(fake) == "FakeArray(shape=(2, 3), dtype=int8, device='cpu', strides=(1, 2))"
    assert np.shape(fake) == (2, 3) and np.ndim(fake) == 2 and np.size(fake) == 6
    assert np.result_type(fake, np.float32) == np.float32
    assert np.iscomplexobj(FakeArray((), "complex64"))


def test_shapes_are_not_copied() -> None:
    fake = FakeArray((2, 3))
    assert fake.new_empty(fake.shape).shape is fake.shape
    assert copy.copy(fake.shape) is fake.shape
