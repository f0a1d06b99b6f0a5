"""Sections H and I of the behaviours: aliasing and mutation, as debug mode checks them."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, array_version, custom_op, debug
from gpuops.memory import byte_range, owner, shares_memory
from tests import standin_cupy

SHAPES = {
    "itself": lambda x: x,
    "view": lambda x: x.view(),
    "reshape": lambda x: x.reshape(-1),
    "transpose": lambda x: x.T,
    "expand": lambda x: np.broadcast_to(x, (3, *x.shape)),
    "empty slice": lambda x: x[:0],
    "reversed": lambda x: x[::-1],
    "hidden by the buffer protocol": lambda x: np.frombuffer(memoryview(x).cast("B"), x.dtype),
    "hidden behind a pointer": lambda x: np.ctypeslib.as_array(
        np.ctypeslib.as_ctypes(x.reshape(-1))
    ),
}


# H1, H4, H5
@pytest.mark.parametrize("how", list(SHAPES))
def test_an_output_may_not_alias_an_input(ns: str, how: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, y: Array) -> Array:
        return SHAPES[how](y)

    x, y = np.ones((2, 2)), np.ones((2, 2))
    f(x, y)
    with debug(), pytest.raises(RuntimeError, match="may not alias") as caught:
        f(x, y)
    text = str(caught.value)
    assert text.startswith(f"{ns}::f: the output may not alias any argument")
    assert "shares memory with 'y' (numpy.ndarray float64[2, 2])" in text
    assert text.count(f"{__file__}:") == 2


# H1
def test_a_list_item_or_optional_input_returned(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(xs: list[Array], y: Array | None = None) -> tuple[Array, Array]:
        return np.zeros(1), xs[1] if y is None else y[:1]

    a, b = np.ones(1), np.ones(1)
    with debug():
        with pytest.raises(RuntimeError, match=r"output 1 may not alias .* with 'xs\[1\]'"):
            f([a, b])
        with pytest.raises(RuntimeError, match="output 1 may not alias .* with 'y'"):
            f([a], b)


# H1
def test_returning_a_mutated_argument(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"x"})
    def f(x: Array) -> Array:
        x += 1
        return x

    with debug(), pytest.raises(RuntimeError, match="may not alias"):
        f(np.ones(1))


# H2
@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: (x, [x]), "output 0 and output 1\\[0\\] may not alias each other"),
        (lambda x: (x[:1], [x[1:]]), "output 0 and output 1\\[0\\]"),
        (lambda x: (x.copy(), [x, x.T]), "output 1\\[0\\] and output 1\\[1\\]"),
    ],
)
def test_outputs_may_not_alias_each_other(
    ns: str, returned: Callable[[Any], Any], message: str
) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> tuple[Array, list[Array]]:
        return returned(x.copy())  # type: ignore[no-any-return]

    f(np.ones((2, 2)))
    with debug(), pytest.raises(RuntimeError, match=message):
        f(np.ones((2, 2)))


# H3
def test_what_counts_as_sharing() -> None:
    x = np.zeros((4, 4))
    assert shares_memory(x, x.T)
    assert not shares_memory(x, x.copy())
    assert shares_memory(x[:2], x[2:]) and shares_memory(x[::2], x[1::2])
    assert shares_memory(x, x[:0])
    assert not shares_memory(np.zeros(0), np.zeros(0))
    assert owner(x[1:][::2].T) is x
    low, high = byte_range(x[::-1, ::2])
    assert low == x.ctypes.data and high - low == 4 * 4 * 8 - 8
    assert byte_range(x[:0]) == (x.ctypes.data, x.ctypes.data)


# H3
def test_inputs_may_share_and_nothing_is_kept(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, *, y: Array, zs: list[Array]) -> list[Array]:
        return [x + y, np.zeros(0), np.zeros(0)]

    x = np.ones(3)
    with debug():
        before = sys.getrefcount(x)
        f(x, y=x, zs=[x, x[1:]])
        gc.collect()
        assert sys.getrefcount(x) == before

    @custom_op(f"{ns}::g", mutates_args=())
    def g(x: Array, *, y: Array) -> Array:
        return y

    with debug(), pytest.raises(RuntimeError, match="with 'y'"):
        g(x, y=np.ones(1))


# H6
def test_a_declared_alias_may_be_returned(ns: str) -> None:
    with Library(ns, "DEF") as lib, debug():
        lib.define("add_(Array(a!) x, Array y) -> Array(a!)")
        lib.define("view(Array(a) x) -> Array(a)")
        lib.define("other(Array(a) x, Array(b) y) -> Array(a)")

        def add(x: Array, y: Array) -> Array:
            x += y
            return x

        lib.impl("add_", add)
        lib.impl("view", lambda x: x[:1])
        lib.impl("other", lambda x, y: y[:1])
        space = getattr(gpuops.ops, ns)
        x = np.ones(2)
        assert space.add_(x, np.ones(2)) is x
        assert space.view(x).base is x
        with pytest.raises(RuntimeError, match="may not alias any argument.* with 'y'"):
            space.other(x, np.ones(2))


# I1, I2, I3, I4
def test_versions(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"x", "y", "zs", "ws"})
    def f(
        x: Array, y: Array | None, zs: list[Array], ws: list[Array | None], other: Array
    ) -> None: ...

    arrays = [np.ones(1) for _ in range(6)]
    x, y, z0, z1, w, other = arrays
    assert [array_version(a) for a in arrays] == [0] * 6
    f(x, y, [z0, z1], [None, w], other)
    assert [array_version(a) for a in arrays] == [1, 1, 1, 1, 1, 0]
    f(x, None, [], [None], other)
    assert [array_version(a) for a in arrays] == [2, 1, 1, 1, 1, 0]


# I1
def test_declared_mutation_changes_the_array(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"out"})
    def f(x: Array, *, out: Array) -> None:
        np.multiply(x, 2, out=out)

    out = np.zeros(2)
    assert array_version(out[1:]) == 0
    with debug():
        assert f(np.ones(2), out=out) is None
    assert out.tolist() == [2, 2]
    # Views of one allocation share a version.
    assert array_version(out) == array_version(out[:1]) == 1


# I2
def test_unknown_mutation_raises_all_versions(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args="unknown")
    def f(x: Array, ys: list[Array], n: int) -> None: ...

    x, y = np.ones(1), np.ones(1)
    array_version(x), array_version(y)
    f(x, [y], 3)
    assert (array_version(x), array_version(y)) == (1, 1)


# I4
def test_an_optional_mutated_argument_with_default_none(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"out"})
    def f(x: Array, out: Array | None = None) -> None:
        if out is not None:
            out[:] = x

    out = np.zeros(1)
    assert array_version(out) == 0
    f(np.ones(1))
    assert array_version(out) == 0
    f(np.ones(1), out)
    assert array_version(out) == 1 and out[0] == 1


def test_a_version_does_not_outlive_its_array() -> None:
    from gpuops.versions import tracked

    x = np.ones(1)
    array_version(x)
    key = id(x)
    assert key in tracked
    reference = weakref.ref(x)
    del x
    assert reference() is None and key not in tracked


# I5
def test_defining_a_mutating_operator_does_not_warn(ns: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        custom_op(f"{ns}::f", lambda x: None, mutates_args={"x"}, schema="(Array(a!) x) -> ()")


# I6
@pytest.mark.parametrize(
    ("schema", "mutates", "message"),
    [
        ("(Array(a!) x) -> ()", (), r"the op mutates \{'x'\}, but mutates_args says \{\}"),
        ("(Array x) -> ()", {"x"}, r"the op mutates \{\}, but mutates_args says \{'x'\}"),
        ("(Array(a!) x, Array y) -> ()", {"y"}, r"the op mutates \{'x'\}"),
        (
            "(Array x) -> ()",
            "unknown",
            r"the op mutates \{\}, but mutates_args='unknown' says \{'x'\}",
        ),
        (
            "(Array(a!) x, Array[] y) -> ()",
            "unknown",
            r"the op mutates \{'x'\}, but mutates_args='unknown' says \{'x', 'y'\}",
        ),
    ],
)
def test_a_written_schema_must_agree_with_mutates_args(
    ns: str, schema: str, mutates: Any, message: str
) -> None:
    function = (lambda x, y: None) if "y" in schema else (lambda x: None)
    with pytest.raises(ValueError, match=message):
        custom_op(f"{ns}::f", function, mutates_args=mutates, schema=schema)
    agreeing = custom_op(
        f"{ns}::g", lambda x: None, mutates_args={"x"}, schema="(Array(a!) x) -> ()"
    )
    assert agreeing(np.ones(1)) is None
    everything = custom_op(
        f"{ns}::h",
        lambda x, n: None,
        mutates_args="unknown",
        schema="(Array(a!) x, int n) -> ()",
    )
    assert everything.schema.mutated == ("x",)


def _nan_payload(x: Any) -> None:
    x.view(np.uint64)[0] ^= 1


def _resize(x: Any) -> None:
    x.resize((3, 1), refcheck=False)


MUTATIONS: dict[str, Callable[[Any], None]] = {
    "one element": lambda x: x.__setitem__(0, 5),
    "one bit": lambda x: (
        np.ctypeslib.as_array(np.ctypeslib.as_ctypes(x.view(np.uint64))).__ixor__(1) is None
    ),
    "raw memory": lambda x: __import__("ctypes").memset(x.ctypes.data, 7, 1) and None,
    "sort": lambda x: x.sort(),
}


# I7
@pytest.mark.parametrize("how", list(MUTATIONS))
def test_undeclared_mutation_is_caught(ns: str, how: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        MUTATIONS[how](x)
        return np.zeros(1)

    f(np.array([3.0, 2.0, 1.0]))
    with debug(), pytest.raises(RuntimeError) as caught:
        f(np.array([3.0, 2.0, 1.0]))
    text = str(caught.value)
    assert text.startswith(
        f"{ns}::f: Argument x is not defined as mutable but was mutated (its data changed)"
    )
    assert text.count(f"{__file__}:") == 2


# I7
@pytest.mark.parametrize("mutate", [_nan_payload, _resize])
def test_mutation_that_comparing_values_would_miss(ns: str, mutate: Callable[[Any], None]) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(xs: list[Array | None]) -> Array:
        mutate(xs[1])
        return np.zeros(1)

    with debug(), pytest.raises(RuntimeError, match=r"Argument xs\[1\] is not defined as mutable"):
        f([None, np.array([np.nan, 1.0, 2.0])])


def test_an_argument_that_overlaps_a_mutated_one_may_change(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"out"})
    def f(x: Array, out: Array) -> None:
        out += 1

    x = np.ones(4)
    with debug():
        f(x[:2], x)
    assert x.tolist() == [2, 2, 2, 2]


def test_debug_mode_is_for_one_context(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x

    x = np.ones(1)
    results: list[object] = []
    with debug():
        thread = threading.Thread(target=lambda: results.append(f(x)))
        thread.start()
        thread.join()
        assert results[0] is x
        with pytest.raises(RuntimeError):
            f(x)
        with debug(False):
            assert f(x) is x
        with debug(), pytest.raises(RuntimeError):
            f(x)
    assert f(x) is x
    for wrong in ("off", 0, None):
        with pytest.raises(TypeError, match="debug: enabled must be True or False, got"):
            debug(wrong).__enter__()  # type: ignore[arg-type]
    assert f(x) is x


def test_debug_mode_from_the_environment() -> None:
    code = (
        "import numpy as np, gpuops\n"
        "f = gpuops.custom_op('env::f', lambda x: x, mutates_args=(), "
        "schema='(Array x) -> Array')\n"
        "with gpuops.debug(False): f(np.ones(1))\n"
        "try: f(np.ones(1))\n"
        "except gpuops.AliasError as error: print('caught')\n"
    )
    for value, expected in (("1", "caught"), ("0", ""), ("", "")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**__import__("os").environ, "GPUOPS_DEBUG": value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


# I1: whatever sequence came, and on whatever way the call reached its kernel.
@pytest.mark.parametrize(
    "passed", [list, tuple, iter, lambda items: (item for item in items)], ids=repr
)
def test_versions_rise_through_any_sequence(ns: str, passed: Callable[[Any], Any]) -> None:
    @custom_op(f"{ns}::f", mutates_args={"xs", "y"})
    def f(xs: list[Array], s: float, *, y: Array | None = None) -> None: ...

    x, y = np.ones(1), np.ones(1)
    assert array_version(x) == array_version(y) == 0
    for count, s in enumerate((1.0, 1), start=1):
        f(passed([x]), s, y=y)  # type: ignore[arg-type]
        assert array_version(x) == array_version(y) == count
    with debug():
        f(passed([x]), 1.0, y=y)
    assert array_version(x) == array_version(y) == 3
    with f.set_kernel_enabled(None, False), pytest.raises(NotImplementedError):
        f(passed([x]), 1.0)
    with Library(ns, "IMPL") as lib:
        lib.fallback(lambda operator, xs, s, y: None)
        with f.set_kernel_enabled(None, False):
            f(passed([x]), 1.0)
    assert (array_version(x), array_version(y)) == (4, 3)


# I1
def test_a_call_raises_a_version_once_however_often_the_array_is_passed(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args={"x", "ys"})
    def f(x: Array, ys: list[Array]) -> None: ...

    x = np.ones(4)
    array_version(x)
    f(x, [x, x[1:], x[::-1]])
    assert array_version(x) == 1


def test_only_arrays_have_versions() -> None:
    for value in (3, None, [np.ones(1)], object()):
        with pytest.raises(TypeError, match="array_version takes a NumPy or CuPy array, got"):
            array_version(value)


# H, I: on a GPU as on the host. The stand-in's memory is the host's.
def test_debug_mode_checks_cuda_arrays(ns: str) -> None:
    with standin_cupy.loaded(devices=2) as cupy:
        bad = {
            "view": lambda x: x[:1],
            "mutating": lambda x: (x.host.fill(3), x.copy())[1],
            "elsewhere": lambda x: cupy.ones(2, device=1 - x.device.id),
            "fine": lambda x: x.copy(),
        }
        expected = {
            "view": "the output may not alias any argument, .* with 'x'",
            "mutating": "Argument x is not defined as mutable but was mutated",
            "elsewhere": "the output is on cuda:., but 'x' and with it the call are on cuda:.",
        }
        for name, kernel in bad.items():
            op = custom_op(f"{ns}::{name}", kernel, mutates_args=(), schema="(Array x) -> Array")
            for device in (0, 1):
                op(cupy.ones(2, device=device))
                with debug():
                    if name == "fine":
                        op(cupy.ones(2, device=device))
                        continue
                    with pytest.raises(gpuops.GpuopsError, match=expected[name]) as caught:
                        op(cupy.ones(2, device=device))
                    assert f"{ns}::{name}" in str(caught.value) and __file__ in str(caught.value)
