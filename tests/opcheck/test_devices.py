"""`test_devices`: what a wrong "cuda" kernel is told, on the simulated device."""

import numpy as np
import pytest
from zoo import Animal, alive, like, matrix

import gpuops

DOUBLE = Animal("double", "(Array x) -> Array", lambda x: np.array(2 * x, order="C"), like, matrix)


def _check(kernel):
    with alive(DOUBLE, "opcheck_cuda") as op:
        with gpuops.register_kernel(op, "cuda", kernel):
            return gpuops.opcheck(op, matrix(), test_utils="test_devices")


def test_a_right_kernel_passes():
    assert _check(lambda x: x + x) == {"test_devices": "SUCCESS"}


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (lambda x: x * 3, "on 'cuda' is not what it is on 'cpu'.*Absolute difference"),
        (lambda x: x.__array_namespace__().empty_like(x), "writes 0 of the 96 bytes"),
        (lambda x: 1 / 0, "fails where the 'cpu' one does not: ZeroDivisionError"),
        (lambda x: x[:1] * 2, r"expected .*\[3, 4\], got .*\[1, 4\]"),
        (lambda x: (x * 2).get(), "cpu"),
    ],
    ids=["values", "unwritten", "raises", "shape", "device"],
)
def test_wrong_kernels_are_found(kernel, message):
    with pytest.raises(gpuops.GpuopsError, match=f"(?s)^test_devices failed: .*{message}"):
        _check(kernel)
