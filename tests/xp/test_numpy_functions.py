"""NumPy's functions and methods on fakes, and the namespace's functions of the same names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from gpuops import FakeMode, xp
from gpuops.symbols import is_symbolic

# n: the namespace; x: a matrix; v: a vector; i: places; c: a mask.
CALLS: dict[str, Callable[..., Any]] = {
    "transpose": lambda n, x, v, i, c: n.transpose(x),
    "transpose2": lambda n, x, v, i, c: n.transpose(x, (1, 0)),
    "expand": lambda n, x, v, i, c: n.expand_dims(x, 0),
    "squeeze": lambda n, x, v, i, c: n.squeeze(x[None]),
    "squeeze0": lambda n, x, v, i, c: n.squeeze(x[None], 0),
    "sum": lambda n, x, v, i, c: n.sum(x, 0),
    "sumk": lambda n, x, v, i, c: n.sum(x, axis=(0, 1), keepdims=True, dtype="float32"),
    "cumsum": lambda n, x, v, i, c: n.cumsum(x),
    "cumsum0": lambda n, x, v, i, c: n.cumsum(x, 0),
    "clip": lambda n, x, v, i, c: n.clip(x, 0, 1),
    "clipm": lambda n, x, v, i, c: x.clip(0, 1),
    "where": lambda n, x, v, i, c: n.where(c, x, 0),
    "where1": lambda n, x, v, i, c: n.where(c),
    "take": lambda n, x, v, i, c: n.take(x, i, 1),
    "takem": lambda n, x, v, i, c: x.take(i, axis=0),
    "stack": lambda n, x, v, i, c: n.stack([x, x], -1),
    "vstack": lambda n, x, v, i, c: n.vstack([x, v]),
    "hstack": lambda n, x, v, i, c: n.hstack([x, x]),
    "norm": lambda n, x, v, i, c: n.linalg.norm(x),
    "norm1": lambda n, x, v, i, c: n.linalg.norm(x, axis=1),
    "norm2": lambda n, x, v, i, c: n.linalg.norm(x, ord=1, axis=(0, 1)),
    "fft": lambda n, x, v, i, c: n.fft.fft(x),
    "rfft2": lambda n, x, v, i, c: n.fft.rfftn(x),
    "fft2": lambda n, x, v, i, c: n.fft.fft2(x),
    "rfft2d": lambda n, x, v, i, c: n.fft.rfft2(x),
    "irfft2d": lambda n, x, v, i, c: n.fft.irfft2(x),
    "pad": lambda n, x, v, i, c: n.pad(x, 1),
    "pad2": lambda n, x, v, i, c: n.pad(x, ((1, 1), (0, 2)), mode="edge"),
    "hist": lambda n, x, v, i, c: n.histogram(x, 5),
    "atleast": lambda n, x, v, i, c: n.atleast_2d(v),
    "atl2": lambda n, x, v, i, c: n.atleast_2d(v, v),
    "split": lambda n, x, v, i, c: n.split(x, 2, 1),
    "asplit": lambda n, x, v, i, c: n.array_split(x, 2),
    "hsplit": lambda n, x, v, i, c: n.hsplit(x, 2),
    "vsplit": lambda n, x, v, i, c: n.vsplit(x, 3),
    "full_like": lambda n, x, v, i, c: n.full_like(x, 2),
    "zl": lambda n, x, v, i, c: n.zeros_like(x, dtype="float32"),
    "isclose": lambda n, x, v, i, c: n.isclose(x, v),
    "average": lambda n, x, v, i, c: n.average(x, 0),
    "averagew": lambda n, x, v, i, c: n.average(x, 1, weights=v),
    "trace": lambda n, x, v, i, c: n.trace(x),
    "diag": lambda n, x, v, i, c: n.diagonal(x),
    "diagf": lambda n, x, v, i, c: n.diag(v),
    "diagf2": lambda n, x, v, i, c: n.diag(x),
    "einsum": lambda n, x, v, i, c: n.einsum("ij,j->i", x, v),
    "tensordot": lambda n, x, v, i, c: n.tensordot(x, v, 1),
    "dot": lambda n, x, v, i, c: n.dot(x, v),
    "inner": lambda n, x, v, i, c: n.inner(x, v),
    "kron": lambda n, x, v, i, c: n.kron(x, v),
    "vdot": lambda n, x, v, i, c: n.vdot(v, v),
    "outer": lambda n, x, v, i, c: n.outer(v, v),
    "cross": lambda n, x, v, i, c: n.cross(v[:3], v[:3]),
    "roll": lambda n, x, v, i, c: n.roll(x, 1),
    "roll2": lambda n, x, v, i, c: n.roll(x, (1, 2), (0, 1)),
    "rot90": lambda n, x, v, i, c: n.rot90(x),
    "append": lambda n, x, v, i, c: n.append(x, x),
    "append0": lambda n, x, v, i, c: n.append(x, x, 0),
    "ss": lambda n, x, v, i, c: n.searchsorted(v, x),
    "digitize": lambda n, x, v, i, c: n.digitize(x, v),
    "interp": lambda n, x, v, i, c: n.interp(x, v, v),
    "unique": lambda n, x, v, i, c: n.unique(x),
    "uniquer": lambda n, x, v, i, c: n.unique(x, return_counts=True),
    "argwhere": lambda n, x, v, i, c: n.argwhere(c),
    "cnz": lambda n, x, v, i, c: n.count_nonzero(c, axis=0),
    "ptp": lambda n, x, v, i, c: n.ptp(x, 0),
    "nansum": lambda n, x, v, i, c: n.nansum(x, 0),
    "nanmean": lambda n, x, v, i, c: n.nanmean(x, 0),
    "nanmax": lambda n, x, v, i, c: n.nanmax(x, 0),
    "ba": lambda n, x, v, i, c: n.broadcast_arrays(x, v),
    "bt": lambda n, x, v, i, c: n.broadcast_to(v, (3, 4)),
    "mesh": lambda n, x, v, i, c: n.meshgrid(v, v),
    "tri": lambda n, x, v, i, c: n.tril(x),
    "ravel": lambda n, x, v, i, c: n.ravel(x),
    "ravelm": lambda n, x, v, i, c: x.ravel(),
    "flatten": lambda n, x, v, i, c: x.flatten(),
    "reshape": lambda n, x, v, i, c: n.reshape(x, (4, 3)),
    "moveaxis": lambda n, x, v, i, c: n.moveaxis(x, 0, 1),
    "swapaxes": lambda n, x, v, i, c: n.swapaxes(x, 0, 1),
    "argsort": lambda n, x, v, i, c: n.argsort(x),
    "sort": lambda n, x, v, i, c: n.sort(x, axis=0),
    "argmax": lambda n, x, v, i, c: n.argmax(x, 1),
    "partition": lambda n, x, v, i, c: n.partition(x, 1),
    "std": lambda n, x, v, i, c: n.std(x, 0, ddof=1),
    "varm": lambda n, x, v, i, c: x.var(axis=0, ddof=1),
    "copy": lambda n, x, v, i, c: n.copy(x),
    "round": lambda n, x, v, i, c: n.round(x, 1),
    "around": lambda n, x, v, i, c: n.around(x),
    "isin": lambda n, x, v, i, c: n.isin(x, v),
    "n2n": lambda n, x, v, i, c: n.nan_to_num(x),
    "repeat": lambda n, x, v, i, c: n.repeat(x, 2, 0),
    "tile": lambda n, x, v, i, c: n.tile(x, (2, 1)),
    "convolve": lambda n, x, v, i, c: n.convolve(v, v),
    "correlate": lambda n, x, v, i, c: n.correlate(v, v),
    "flip": lambda n, x, v, i, c: n.flip(x),
    "fliplr": lambda n, x, v, i, c: n.fliplr(x),
    "compress": lambda n, x, v, i, c: n.compress(v > 1, x, 1),
    "extract": lambda n, x, v, i, c: n.extract(c, x),
    "bincount": lambda n, x, v, i, c: n.bincount(i),
    "sinc": lambda n, x, v, i, c: n.sinc(x),
    "angle": lambda n, x, v, i, c: n.angle(x),
    "real": lambda n, x, v, i, c: n.real(x),
    "imag": lambda n, x, v, i, c: n.imag(x * 1j),
    "heaviside": lambda n, x, v, i, c: n.heaviside(x, v),
    "divmod": lambda n, x, v, i, c: n.divmod(x, v + 1),
    "modf": lambda n, x, v, i, c: n.modf(x),
    "astype": lambda n, x, v, i, c: n.astype(x, "float32"),
    "matvec": lambda n, x, v, i, c: n.matvec(x, v),
    "vecmat": lambda n, x, v, i, c: n.vecmat(v[:3], x),
    "maxr": lambda n, x, v, i, c: n.maximum.reduce(x, axis=0),
    "addacc": lambda n, x, v, i, c: n.add.accumulate(x, axis=0),
    "addouter": lambda n, x, v, i, c: n.add.outer(v, v),
    "det": lambda n, x, v, i, c: n.linalg.det(x[:, :3]),
    "pinv": lambda n, x, v, i, c: n.linalg.pinv(x),
    "qr": lambda n, x, v, i, c: n.linalg.qr(x),
    "column_stack": lambda n, x, v, i, c: n.column_stack([v, v]),
    "fmax": lambda n, x, v, i, c: n.fmax(x, v),
    "diff": lambda n, x, v, i, c: n.diff(x),
    "cumprod": lambda n, x, v, i, c: n.cumprod(x),
    "triu": lambda n, x, v, i, c: n.triu(x),
    "median": lambda n, x, v, i, c: n.median(x, axis=0),
    "quantile": lambda n, x, v, i, c: n.quantile(x, [0.25, 0.5], axis=1, method="linear"),
    "percentile": lambda n, x, v, i, c: n.percentile(x, 30, keepdims=True),
    "nanvar": lambda n, x, v, i, c: n.nanvar(x, axis=0, ddof=1),
    "nanstd": lambda n, x, v, i, c: n.nanstd(x),
    "nancumsum": lambda n, x, v, i, c: n.nancumsum(x, axis=1),
    "nanargmax": lambda n, x, v, i, c: n.nanargmax(x, axis=1),
    "select": lambda n, x, v, i, c: n.select([c, ~c], [x, v], default=0.5),
    "choose": lambda n, x, v, i, c: n.choose(i // 2, [v[:2], v[2:]]),
    "argpartition": lambda n, x, v, i, c: n.argpartition(x, 1, axis=0),
    "gradient": lambda n, x, v, i, c: n.gradient(x, 0.5, v**2),
    "gradient0": lambda n, x, v, i, c: n.gradient(x, axis=0, edge_order=2),
    "trapezoid": lambda n, x, v, i, c: n.trapezoid(x, v),
    "ediff1d": lambda n, x, v, i, c: n.ediff1d(x),
    "cov": lambda n, x, v, i, c: n.cov(x),
    "corrcoef": lambda n, x, v, i, c: n.corrcoef(x, rowvar=False),
    "polyval": lambda n, x, v, i, c: n.polyval(v, x),
    "isposinf": lambda n, x, v, i, c: n.isposinf(x),
    "isreal": lambda n, x, v, i, c: n.isreal(x),
    "rollaxis": lambda n, x, v, i, c: n.rollaxis(x, 1),
    "diagflat": lambda n, x, v, i, c: n.diagflat(v, 1),
    "dsplit": lambda n, x, v, i, c: n.dsplit(x[:, :, None], 1),
    "union1d": lambda n, x, v, i, c: n.union1d(x, v),
    "ravelf": lambda n, x, v, i, c: n.ravel(x, order="F"),
    "flatnz": lambda n, x, v, i, c: n.flatnonzero(c),
}

METHODS = {"flatten", "clipm", "takem", "varm", "ravelm", "copy", "maxr", "addacc", "addouter"}
# Without a parameter that NumPy has and the standard has not, or differing from NumPy by design:
# NaNs are distinct, cumulative sums need an axis, counts are arrays.
NUMPYS_ONLY = {"std", "astype", "imag", "det", "cumsum", "cumprod", "n2n", "partition"}


# NumPy 2.2 brought them.
NEW = {name for name in ("matvec", "vecmat") if not hasattr(np, name)}


def compared(names: Iterable[str]) -> list[Any]:
    """The names as parameters; those that this NumPy has no function for are skipped."""
    mark = pytest.mark.skip(reason="this NumPy has no such function to compare with")
    return [pytest.param(name, marks=[mark] if name in NEW else []) for name in names]


def inputs() -> tuple[np.ndarray, ...]:
    x = np.arange(1.0, 13).reshape(3, 4)
    return x, np.arange(4.0), np.array([0, 2]), x > 3


def same(fake: Any, real: Any) -> None:
    if isinstance(real, (tuple, list)):
        assert len(fake) == len(real)
        for a, b in zip(fake, real, strict=True):
            same(a, b)
        return
    real = np.asarray(real)
    assert fake.dtype == real.dtype
    if not any(map(is_symbolic, fake.shape)):
        assert (fake.shape, fake.strides) == (real.shape, real.strides)


@pytest.mark.parametrize("name", compared(CALLS))
def test_numpys_functions_on_fakes(name: str) -> None:
    mode = FakeMode()
    with np.errstate(all="ignore"):
        real = CALLS[name](np, *inputs())
    same(CALLS[name](np, *map(mode.from_array, inputs())), real)


def flat(value: Any) -> np.ndarray:
    if isinstance(value, (tuple, list)):
        return np.concatenate([flat(item) for item in value])
    return np.ravel(np.asarray(value)).astype(complex)


@pytest.mark.parametrize("name", compared(sorted(set(CALLS) - METHODS - NUMPYS_ONLY)))
def test_the_namespaces_functions_give_what_numpys_give(name: str) -> None:
    with np.errstate(all="ignore"):
        expected = CALLS[name](np, *inputs())
        found = CALLS[name](xp, *inputs())
    assert np.allclose(flat(found), flat(expected), equal_nan=True)
