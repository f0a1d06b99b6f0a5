"""Operators of `gpuops.xp` are right operators: what is drawn for them finds nothing."""

import numpy as np
import pytest

import gpuops
from gpuops import xp

X = np.random.default_rng(3).standard_normal((3, 4))
Y = np.random.default_rng(4).standard_normal((3, 4))
N = np.array([[3, 0, 2], [1, 1, 5]])
B = X > 0

SAMPLES = {
    "add": (X, Y),
    "bitwise_and": (N, N[::-1]),
    "clip": (X, X - 1, None),
    "concat": ([X, Y],),
    "divmod": (X, Y),
    "fft_fft": (X,),
    "matmul": (X, Y.T.copy()),
    "max": (X, [1]),
    "nonzero": (X,),
    "outer": (X[0], Y[1]),
    "searchsorted": (np.arange(5.0), X[0]),
    "sum": (N, [0]),
    "take_along_axis": (X, np.array([[0], [3], [1]]), 1),
    "trace": (X,),
    "where": (B, X, Y),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_operators_of_xp_pass(name):
    assert xp.__name__ == "gpuops.xp"  # which defines them
    found = {operator.qualname: operator for operator in gpuops.operators("xp")}
    checks = ["test_schema", "test_fake", "test_layouts", "test_initialised"]
    verdicts = gpuops.opcheck(found[f"xp::{name}"], SAMPLES[name], test_utils=checks)
    assert verdicts == dict.fromkeys(checks, "SUCCESS")
