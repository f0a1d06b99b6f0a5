"""`test_devices`: what a wrong "cuda" kernel is told, on simulated devices."""

from __future__ import annotations

import numpy as np
import pytest
from zoo import Animal, alive, like, matrix

import gpuops
from gpuops.cuda import Event, Kernel, Stream
from gpuops.random import RNGState


def _double_cpu(x):
    return np.array(2 * x, order="C")


DOUBLE = Animal("double", "(Array x) -> Array", _double_cpu, like, matrix)
SOURCE = """
extern "C" __global__ void twice(const double* x, double* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}"""
TWICE = Kernel(SOURCE, "twice")


def _launch(x, rest=0):
    """The kernel, with some elements at the end left out."""
    out = x.__array_namespace__().empty(x.shape, dtype=x.dtype)
    if x.size:
        TWICE((x.size + 255) // 256, 256, (gpuops.cuda.contiguous(x), out, x.size - rest))
    return out


def _check(kernel, animal=DOUBLE, check="test_devices"):
    with alive(animal, "opcheck_cuda") as op:
        with gpuops.register_kernel(op, "cuda", kernel):
            return gpuops.opcheck(op, animal.sample(), test_utils=check)


# -- right ones ------------------------------------------------------------------------------------


def _own_stream(x):
    """On a stream of its own, which waits for the current one and is waited for."""
    side, before = Stream(), Event()
    outer = gpuops.cuda.current_stream()
    outer.record(before)
    side.wait(before)
    with side:
        out = _launch(x)
    outer.wait_stream(side)
    return out


@pytest.mark.parametrize("kernel", [lambda x: x + x, _launch, _own_stream])
def test_a_right_kernel_passes(kernel):
    found = _check(kernel)
    assert found == {"test_devices": "SUCCESS"}
    assert found.unchecked == {}


def test_without_a_kernel_the_result_says_so():
    with alive(DOUBLE, "opcheck_cuda") as op:
        found = gpuops.opcheck(op, matrix(), test_utils="test_devices")
    assert found == {"test_devices": "SUCCESS"}
    assert found.unchecked["test_devices"] == ("devices: there is no 'cuda' kernel",)


# -- wrong ones ------------------------------------------------------------------------------------

_tables: list[object] = []


def _table_elsewhere(x):
    """A table that stays on the device of the first call."""
    if not _tables:
        _tables.append(gpuops.asarray(np.array(2.0) * np.ones(1), device="cuda:0"))
    return x * _tables[0]


def _on_default_stream():
    """Launches on what was the current stream when the module was imported."""
    with gpuops.cuda.simulator():
        default = gpuops.cuda.current_stream()

    def kernel(x):
        with default:
            return _launch(x)

    return kernel


def _own_stream_early(x):
    """Nothing says that the arguments are there."""
    side = Stream()
    with side:
        out = _launch(x)
    gpuops.cuda.current_stream().wait_stream(side)
    return out


def _own_stream_late(x):
    """Nothing says that the output is there."""
    side = Stream()
    side.wait_stream(gpuops.cuda.current_stream())
    with side:
        return _launch(x)


FAULTS = {
    "values": (lambda x: x * 3, "on 'cuda' is not what it is on 'cpu'.*Absolute difference"),
    "unwritten": (lambda x: x.__array_namespace__().empty_like(x), "writes 0 of the 96 bytes"),
    "raises": (lambda x: 1 / 0, "fails where the 'cpu' one does not: ZeroDivisionError"),
    "shape": (lambda x: x[:1] * 2, r"expected .*\[3, 4\], got .*\[1, 4\]"),
    "dtype": (lambda x: (x * 2).astype(np.float32), "expected .*float64.*, got .*float32"),
    "device": (lambda x: (x * 2).get(), "cpu"),
    "first_device": (
        lambda x: gpuops.asarray((2 * x).get(), device="cuda:0"),
        "fails where.*cuda:0.*cuda:1|is on cuda:0, not on cuda:1",
    ),
    "table_elsewhere": (_table_elsewhere, "the arrays are on several devices"),
    "default_stream": (_on_default_stream(), "launches on another stream than the current one"),
    "own_stream_early": (_own_stream_early, "launches on another stream than the current one"),
    "own_stream_late": (_own_stream_late, "launches on another stream than the current one"),
    "last_unwritten": (lambda x: _launch(x, 1), "writes 88 of the 96 bytes"),
    "larger_only": (
        lambda x: _launch(x, 1 if x.size > 12 else 0),
        "writes 152 of the 160 bytes",
    ),
    "negative_only": (lambda x: abs(x) * 2, "on 'cuda' is not what it is on 'cpu'"),
    "two_outputs": (lambda x: (x * 2, x), "return"),
}


@pytest.mark.parametrize(("kernel", "message"), FAULTS.values(), ids=FAULTS)
def test_wrong_kernels_are_found(kernel, message):
    with pytest.raises(gpuops.GpuopsError, match=f"(?s)^test_devices failed: .*(?:{message})"):
        _check(kernel)


def _scale(x):
    x *= 2


IN_PLACE = Animal("scale", "(Array(a!) x) -> ()", _scale, None, matrix)


def _scale_more(x):
    x *= 3


@pytest.mark.parametrize("kernel", [_scale_more, lambda x: None], ids=["more", "nothing"])
def test_what_is_written_is_compared(kernel):
    _check(_scale, IN_PLACE)
    with pytest.raises(gpuops.GpuopsError, match="what is written to 'x' on 'cuda' is not what"):
        _check(kernel, IN_PLACE)


def _scale_all(xs):
    for x in xs:
        x *= 2


def test_lists_are_compared():
    def sample():
        return ([np.ones(3), np.arange(2.0)],)

    animal = Animal("scale_all", "(Array(a!)[] xs) -> ()", _scale_all, None, sample)
    _check(_scale_all, animal)
    with pytest.raises(gpuops.GpuopsError, match="what is written to 'xs' on 'cuda'"):
        _check(lambda xs: _scale_all(xs[:1]), animal)


def test_objects_go_with_the_arrays():
    def add_key(x, rng):
        return np.array(x + float(rng.key[0]), order="C")

    def add_key_cuda(x, rng):
        return x + rng.key[0].astype(np.float64)

    animal = Animal(
        "keyed",
        "(Array x, RNGState rng) -> Array",
        add_key,
        like,
        lambda: (*matrix(), RNGState(5)),
    )
    _check(add_key_cuda, animal)
    with pytest.raises(gpuops.GpuopsError, match="is not what it is on 'cpu'"):
        _check(lambda x, rng: x + rng.key[1].astype(np.float64), animal)


def _large():
    return (np.random.default_rng(1).standard_normal((120, 100)),)


def test_a_large_sample_is_cut():
    animal = Animal("double", "(Array x) -> Array", _double_cpu, like, _large)
    assert _check(_launch, animal).unchecked == {}
    with pytest.raises(gpuops.GpuopsError, match="is not what it is on 'cpu'"):
        _check(lambda x: x * 3, animal)


def test_unwritten_bytes_are_found_by_test_initialised():
    assert _check(_launch, check="test_initialised") == {"test_initialised": "SUCCESS"}
    with pytest.raises(gpuops.GpuopsError, match="test_initialised failed: .*never writes"):
        _check(lambda x: _launch(x, 1), check="test_initialised")


# -- samples and operators that are on "cuda" only -------------------------------------------------


def test_a_sample_may_be_on_a_device():  # V4
    with alive(DOUBLE, "opcheck_cuda") as op, gpuops.register_kernel(op, "cuda", _launch):
        with gpuops.cuda.simulator():
            sample = gpuops.asarray(matrix()[0], device="cuda")
            found = gpuops.opcheck(op, (sample,))
            np.testing.assert_array_equal(sample.get(), matrix()[0])
    assert set(found.values()) == {"SUCCESS"}


@pytest.fixture
def cuda_only():
    with gpuops.Library("opcheck_cuda", "FRAGMENT") as library:

        def make(kernel, schema="(Array x) -> Array", fake=like):
            library.define(f"only{schema}")
            library.impl("only", kernel, "cuda")
            if fake is not None:
                gpuops.register_fake("opcheck_cuda::only", fake, lib=library)
            return gpuops.ops.opcheck_cuda.only

        yield make


def test_an_operator_may_have_a_cuda_kernel_only(cuda_only):
    op = cuda_only(_launch)
    found = gpuops.opcheck(op, matrix())
    assert set(found.values()) == {"SUCCESS"}
    assert "the 'cuda' one is called" in found.unchecked["test_schema"][0]
    with pytest.raises(gpuops.GpuopsError, match="cpu"):  # it has none afterwards
        op(matrix()[0])


_made = [0]


def _counts(x):
    _made[0] += 1
    return x + _made[0]


def _shifts(x):
    x += 1
    return x * 1


@pytest.mark.parametrize(
    ("kernel", "check", "message"),
    [
        (_shifts, "test_schema", "Argument x is not defined as mutable but was mutated"),
        (lambda x: x, "test_schema", "may not alias any argument"),
        (_counts, "test_trace", "Absolute difference"),
        (lambda x: _launch(x, 1), "test_devices", "never writes"),
        (lambda x: x.sum(axis=0), "test_fake", "the shape of the output is"),
    ],
    ids=["mutation", "alias", "state", "unwritten", "fake"],
)
def test_faults_of_cuda_kernels_alone(cuda_only, kernel, check, message):
    with pytest.raises(gpuops.GpuopsError, match=f"(?s)^{check} failed: .*{message}"):
        gpuops.opcheck(cuda_only(kernel), matrix(), test_utils=check)


def test_what_a_cuda_kernel_alone_writes(cuda_only):
    op = cuda_only(_scale, "(Array(a!) x) -> ()", None)
    assert set(gpuops.opcheck(op, matrix()).values()) == {"SUCCESS"}


@pytest.mark.cuda
def test_on_a_gpu(cuda_device):
    if cuda_device.simulated:
        pytest.skip(cuda_device.reason)
    assert _check(_launch) == {"test_devices": "SUCCESS"}
    with pytest.raises(gpuops.GpuopsError, match="is not what it is on 'cpu'"):
        _check(lambda x: x * 3)


def test_devices_of_the_simulator():
    with gpuops.cuda.simulator(devices=2):
        first = gpuops.asarray(np.arange(3.0), device="cuda")
        second = gpuops.asarray(first, device="cuda:1")
        assert [str(x.device) for x in (first, second)] == ["cuda:0", "cuda:1"]
        assert str((second[1:] + 1).sum().device) == "cuda:1"
        assert gpuops.asarray(second, device="cuda:1") is second
        with pytest.raises(gpuops.GpuopsError, match=r"numpy.add: .* devices, cuda:0 and cuda:1"):
            first + second
        with pytest.raises(
            gpuops.GpuopsError, match="there is no cuda:2; the simulator has cuda:0"
        ):
            gpuops.asarray(first, device="cuda:2")
        with pytest.raises(gpuops.GpuopsError, match="argument 0 on device 0, argument 1 on dev"):
            TWICE(1, 32, (first, second, 3))
    with pytest.raises(gpuops.ArgumentError, match="devices must be an int above 0, got"):
        with gpuops.cuda.simulator(0):
            pass
