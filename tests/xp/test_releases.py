"""What NumPy's releases do differently: the table is right, and what is missing is made up for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpuops import FakeArray, xp
from gpuops.xp import _releases
from tests.xp.common import agree


def succeeds(call: Any) -> bool:
    try:
        call()
    except (TypeError, ValueError):
        return False
    return True


def overflows(call: Any) -> bool:
    with pytest.raises((OverflowError, ValueError)) as caught:
        call()
    return caught.type is OverflowError


EMPTY = np.zeros(0)
ONE_BY_ONE = np.lib.stride_tricks.as_strided(np.zeros(4), (1, 1), (16, 8))

# The name -> the same question, asked of the NumPy that is installed.
PROBES: dict[str, Any] = {
    "RESHAPE_HAS_COPY": lambda: succeeds(lambda: np.reshape(EMPTY, (0, 1), copy=True)),
    "CLIP_NEEDS_NO_BOUND": lambda: succeeds(lambda: np.clip(EMPTY, None, None)),
    "TAKE_CASTING": lambda: (
        "same_kind" if succeeds(lambda: np.take(np.ones(1), np.zeros(1, np.uint64))) else "safe"
    ),
    "BROADCAST_KEEPS_WHOLE_ARRAYS": lambda: (
        np.broadcast_arrays(np.zeros(()), ONE_BY_ONE)[1].strides == (16, 8)
    ),
    "NORMS_OF_NOTHING": lambda: succeeds(lambda: np.linalg.matrix_norm(EMPTY[None], ord=1)),
    "ROUND_KEEPS_ORDER_OF_COMPLEX": lambda: np.round(np.ones((2, 3), complex).T).flags.f_contiguous,
    "WHERE_LOOKS_AT_NUMBERS_FIRST": lambda: overflows(
        lambda: np.where(np.ones(3, bool), 2**70, np.ones(2, bool))
    ),
    "MERGES_AXES_OF_NOTHING": lambda: succeeds(lambda: np.median(EMPTY, axis=())),
    "COV_TRANSPOSES_A_ROW": lambda: (
        np.cov(np.ones((1, 2)), rowvar=False, bias=True).shape == (2, 2)
    ),
    "INTERP_OF_NOTHING_NEEDS_NO_POINTS": lambda: succeeds(lambda: np.interp(EMPTY, EMPTY, EMPTY)),
}
# Only rounding errors tell, which tests/xp/test_fourier.py compares bit by bit.
UNPROBED = {"RFFTN_LAST_AXES_FIRST"}


def test_every_difference_is_probed() -> None:
    assert set(PROBES) | UNPROBED == set(_releases.__all__)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_the_table_is_right_for_the_numpy_that_is_installed(name: str) -> None:
    assert getattr(_releases, name) == PROBES[name]()


@pytest.mark.parametrize(
    ("version", "release", "expected"),
    [
        ("2.0.2", (2, 1), False),
        ("2.1.0", (2, 1), True),
        ("2.10.1", (2, 9), True),
        ("3.0.0rc1", (2, 4), True),
        ("2.4.0.dev0+git20250801.1a2b3c4", (2, 4), True),
    ],
)
def test_releases_are_compared_as_numbers(
    version: str, release: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "__version__", version)
    assert _releases._since(*release) is expected


# -- what every release gives --------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F", "A"])
@pytest.mark.parametrize("make", [np.ascontiguousarray, np.asfortranarray])
def test_reshape_copies_or_refuses_to(order: str, make: Any) -> None:
    x = make(np.arange(6.0).reshape(2, 3))
    copied = xp.reshape(x, (3, 2), order, copy=True)
    assert not np.shares_memory(copied, x)
    assert np.array_equal(copied, np.reshape(x, (3, 2), order=order))
    fits = (order == "A") or x.flags[f"{order}_CONTIGUOUS"]
    if fits:
        assert np.shares_memory(xp.reshape(x, (3, 2), order, copy=False), x)
    else:
        with pytest.raises(ValueError, match="Unable to avoid creating a copy"):
            xp.reshape(x, (3, 2), order, copy=False)
    # Without elements there is nothing to copy.
    assert xp.reshape(np.zeros((0, 2)).T, (0, 3), copy=False).shape == (0, 3)


def test_clip_without_bounds_is_a_copy() -> None:
    x = np.arange(3.0)
    assert not np.shares_memory(xp.clip(x), x)
    assert np.array_equal(xp.clip(x), x)
    assert xp.clip(FakeArray((3,))).shape == (3,)


def test_nonzero_of_no_axes_is_refused() -> None:
    for x in (np.asarray(3), FakeArray((), "int64")):
        with pytest.raises(ValueError, match="Calling nonzero on 0d arrays is not allowed"):
            xp.nonzero(x)


def test_round_of_ints_is_a_new_array() -> None:
    x = np.arange(6).reshape(2, 3).T
    assert not np.shares_memory(xp.round(x), x)
    assert np.array_equal(xp.round(x), x)
    assert xp.round(x).strides == x.strides


def test_products_of_matrices_and_vectors() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 3, 4)) + 1j * rng.normal(size=(2, 3, 4))
    v = rng.normal(size=4) + 1j
    assert np.allclose(xp.matvec(a, v), np.einsum("...mn,...n->...m", a, v))
    assert np.allclose(xp.vecmat(v[:3], a), np.einsum("...n,...nm->...m", v[:3].conj(), a))
    assert xp.vecmat(np.ones(3, bool), np.ones((3, 2), bool)).dtype == np.dtype(bool)
    for function, one, other in ((xp.matvec, v, v), (xp.vecmat, v, v)):
        with pytest.raises(ValueError, match="does not have enough dimensions"):
            function(one, other)


# -- where releases differ, fakes do what the installed one does ----------------------------------

TURNED = np.ones((2, 3, 4), "complex64").transpose(1, 0, 2)

CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "round of ints": ("round", (ONE_BY_ONE.astype("int8").T,), {}),
    "round of complex": ("round", (TURNED,), {}),
    "round to decimals of complex": ("round", (TURNED, 1), {}),
    "clip without bounds": ("clip", (TURNED.real,), {}),
    "take by uint64": ("take", (np.arange(3.0), np.zeros(2, "uint64")), {}),
    "take by a uint64": ("take", (np.arange(3.0), np.zeros((), "uint64")), {"mode": "wrap"}),
    "broadcast_arrays": ("broadcast_arrays", ([np.zeros(()), ONE_BY_ONE],), {}),
    "nonzero": ("nonzero", (np.ones(()),), {}),
    "interp": ("interp", (EMPTY, EMPTY, EMPTY), {}),
    "interp at a place": ("interp", (np.ones(1), EMPTY, EMPTY), {}),
    "matvec": ("matvec", (TURNED, np.ones(4)), {}),
    "vecmat": ("vecmat", (TURNED[..., 0], TURNED), {}),
    **{
        f"norm {order} of {shape}": (
            "linalg_matrix_norm",
            (np.zeros(shape, "float32"),),
            {"ord": order},
        )
        for order in (1.0, -1.0, 2.0, -2.0, float("inf"))
        for shape in [(2, 0), (0, 2), (0, 0), (2, 0, 3), (0, 2, 2)]
    },
    **{
        f"reshape {order} copy={copy} of {x.strides}": (
            "reshape",
            (x, [6, 4], order),
            {"copy": copy},
        )
        for order in "CFA"
        for copy in (True, False)
        for x in (TURNED, TURNED.transpose(1, 0, 2), TURNED.transpose(2, 0, 1), TURNED[::-1])
    },
}


@pytest.mark.parametrize("name", CALLS)
def test_fakes_do_what_the_installed_numpy_does(name: str) -> None:
    row, args, kwargs = CALLS[name]
    agree(row, *args, **kwargs)
