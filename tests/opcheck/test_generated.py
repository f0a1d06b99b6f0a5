"""Tests made from a class of tests, every operator call in which is checked (behaviours W)."""

from __future__ import annotations

import asyncio
import threading
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, xp
from gpuops.opchecks import CHECKS, OpCheckError
from gpuops.opchecks.failures import FailuresError
from gpuops.testing import (
    dontGenerate,
    generate_opcheck_tests,
    is_inside_opcheck_mode,
    opcheck_mode,
)

X = np.arange(3.0)


@pytest.fixture
def right(ns: str) -> Any:
    @gpuops.custom_op(f"{ns}::right", mutates_args=())
    def right(x: Array) -> Array:
        if x.ndim != 1:
            raise ValueError("right: x must have one axis")
        return np.array(x, order="C")

    right.register_fake(lambda x: x.new_empty(x.shape))
    return right


@pytest.fixture
def wrong(ns: str) -> Any:
    """Its fake is wrong, and nothing else."""

    @gpuops.custom_op(f"{ns}::wrong", mutates_args=())
    def wrong(x: Array, *, times: int = 2) -> Array:
        return np.array(x * times, order="C")

    wrong.register_fake(lambda x, *, times: x.new_empty((7,)))
    return wrong


def run(test: unittest.TestCase) -> tuple[list[str], list[str]]:
    """The texts of a test's failures and of its errors."""
    result = test.run()
    assert result is not None
    return [text for _, text in result.failures], [text for _, text in result.errors]


# -- W3: a class -----------------------------------------------------------------------------------


def test_each_test_gains_one_for_each_check(ns: str, right: Any) -> None:  # W3
    @generate_opcheck_tests(ns)
    class Tests(unittest.TestCase):
        def test_one(self) -> None:
            right(X)

        def test_other(self) -> None:
            right(X)

        def helper(self) -> None:
            raise AssertionError

    generated = {f"{check}__{name}" for check in CHECKS for name in ("test_one", "test_other")}
    assert {name for name in dir(Tests) if name.startswith("test")} == {
        "test_one",
        "test_other",
        *generated,
    }
    assert Tests.test_fake__test_one.__name__ == "test_fake__test_one"
    for name in generated:
        assert run(Tests(name)) == ([], [])


def test_it_may_be_called_with_the_class(ns: str, right: Any) -> None:
    class Tests(unittest.TestCase):
        def test_one(self) -> None:
            right(X)

    assert generate_opcheck_tests(Tests, [ns], test_utils=["test_fake", "test_schema"]) is Tests
    names = unittest.TestLoader().getTestCaseNames(Tests)
    assert names == ["test_fake__test_one", "test_one", "test_schema__test_one"]


def test_the_check_that_fails_is_the_test_that_fails(ns: str, wrong: Any) -> None:  # W3
    @generate_opcheck_tests(ns)
    class Tests(unittest.TestCase):
        def test_it(self) -> None:
            assert wrong(X, times=3).tolist() == [0, 3, 6]

    for check in CHECKS:
        failures, errors = run(Tests(f"{check}__test_it"))
        texts = failures + errors
        if check == "test_fake":
            assert len(texts) == 1 and f"test_fake failed: {ns}::wrong: the shape" in texts[0]
            assert "times=3" in texts[0]
        elif check != "test_trace":  # which needs the fake
            assert texts == []
    assert run(Tests("test_it")) == ([], [])


def test_every_call_is_checked(ns: str, right: Any, wrong: Any) -> None:
    @generate_opcheck_tests(ns, test_utils="test_fake")
    class Tests(unittest.TestCase):
        def test_it(self) -> None:
            for n in range(3):
                right(np.ones(n))
            wrong(np.ones(7))  # for which the fake is right, but not for what is drawn
            wrong(np.ones(5))

    _, errors = run(Tests("test_fake__test_it"))
    assert "2 failures in 5 calls" in (errors or run(Tests("test_fake__test_it"))[0])[0]


def test_what_the_test_expects_to_be_raised_passes(ns: str, right: Any, wrong: Any) -> None:  # W3
    @generate_opcheck_tests(ns, test_utils="test_fake")
    class Tests(unittest.TestCase):
        def test_refused(self) -> None:
            with pytest.raises(ValueError, match="must have one axis"):
                right(np.ones((2, 2)))

        def test_not_swallowed(self) -> None:
            try:
                wrong(X)
            except Exception:
                self.fail("a check must not fail in the middle of a test")

        def test_failing(self) -> None:
            wrong(X)
            self.fail("of its own")

    assert run(Tests("test_fake__test_refused")) == ([], [])
    failures, errors = run(Tests("test_fake__test_not_swallowed"))
    assert "test_fake failed" in (failures + errors)[0]
    failures, errors = run(Tests("test_fake__test_failing"))
    assert "of its own" in failures[0] and not errors and "test_fake failed" not in failures[0]


def test_a_test_can_be_left_out(ns: str) -> None:  # W3
    @generate_opcheck_tests(ns)
    class Tests(unittest.TestCase):
        @dontGenerate("it takes minutes")
        def test_long(self) -> None: ...

    assert unittest.TestLoader().getTestCaseNames(Tests) == ["test_long"]
    assert gpuops.testing.dontGenerateOpCheckTests is dontGenerate
    for reason in ("", " ", None):
        with pytest.raises(gpuops.UsageError, match="dontGenerate takes the reason"):
            dontGenerate(reason)


def test_inside_is_known(ns: str, right: Any) -> None:  # W3
    seen = []

    @generate_opcheck_tests(ns, test_utils="test_schema")
    class Tests(unittest.TestCase):
        def setUp(self) -> None:
            seen.append(is_inside_opcheck_mode())

        def test_it(self) -> None:
            seen.append(is_inside_opcheck_mode())

    assert not is_inside_opcheck_mode()
    Tests("test_it").run()
    assert seen == [False, False]
    Tests("test_schema__test_it").run()
    assert seen == [False, False, False, True]
    assert not is_inside_opcheck_mode()
    with opcheck_mode(ns):
        assert is_inside_opcheck_mode()
        with opcheck_mode(ns):
            assert is_inside_opcheck_mode()
        assert is_inside_opcheck_mode()
    assert not is_inside_opcheck_mode()
    with pytest.raises(KeyError), opcheck_mode(ns):
        raise KeyError
    assert not is_inside_opcheck_mode()


def test_coroutines(ns: str, wrong: Any) -> None:
    @generate_opcheck_tests(ns, test_utils="test_fake")
    class Tests(unittest.IsolatedAsyncioTestCase):
        async def test_it(self) -> None:
            await asyncio.sleep(0)
            wrong(X)

    failures, errors = run(Tests("test_fake__test_it"))
    assert "test_fake failed" in (failures + errors)[0]


def test_subclasses(ns: str, right: Any) -> None:
    @generate_opcheck_tests(ns, test_utils="test_fake")
    class Base(unittest.TestCase):
        def test_it(self) -> None:
            right(X)

    @generate_opcheck_tests(ns, test_utils="test_fake")
    class Derived(Base):
        def test_more(self) -> None:
            right(X)

    names = unittest.TestLoader().getTestCaseNames(Derived)
    assert names == ["test_fake__test_it", "test_fake__test_more", "test_it", "test_more"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "expected the namespace"),
        ((lambda: None, "ns"), "takes a class of tests"),
        ((unittest.TestCase,), "expected the namespace"),
        (("",), "expected the namespace"),
        (([],), "expected the namespace"),
    ],
)
def test_what_it_does_not_take(arguments: Any, message: str) -> None:
    with pytest.raises(gpuops.UsageError, match=message):
        generate_opcheck_tests(*arguments)


def test_only_classes_are_decorated() -> None:
    with pytest.raises(gpuops.UsageError, match="takes a class of tests"):
        generate_opcheck_tests("ns")(lambda: None)


def test_twice_is_a_mistake(ns: str) -> None:
    @generate_opcheck_tests(ns)
    class Tests(unittest.TestCase):
        def test_it(self) -> None: ...

    with pytest.raises(gpuops.UsageError, match="has a test test_schema__test_it already"):
        generate_opcheck_tests(Tests, ns)


def test_unknown_check(ns: str) -> None:  # V1
    with pytest.raises(ValueError, match="subset of test_schema"):
        generate_opcheck_tests(ns, test_utils="test_nothing")(unittest.TestCase)
    with pytest.raises(ValueError, match="subset of test_schema"):
        with opcheck_mode(ns, "test_nothing"):
            raise AssertionError("the block must not run")


# -- W2: its failures file -------------------------------------------------------------------------


def _entry(path: Path, operator: str, test: str, status: str) -> Path:
    path.write_text(f"{operator}:\n  {test}:\n    status: {status}\n    reason: it is so\n")
    return path


def test_expected_failures(ns: str, right: Any, wrong: Any, tmp_path: Path) -> None:  # W2
    def generated(operator: str, status: str) -> Any:
        path = _entry(tmp_path / "f.yaml", operator, "Tests.test_fake__test_it", status)

        @generate_opcheck_tests(ns, failures_dict_path=path, test_utils="test_fake")
        class Tests(unittest.TestCase):
            def test_it(self) -> None:
                wrong(X)
                right(X)

        failures, errors = run(Tests("test_fake__test_it"))
        return "".join(failures + errors)

    assert generated(f"{ns}::wrong", "xfail") == ""
    assert generated(f"{ns}::wrong", "skip") == ""
    assert "test_fake failed" in generated(f"{ns}::right", "skip")
    with gpuops.register_fake(wrong, lambda x, *, times: x.new_empty(x.shape)):
        text = generated(f"{ns}::wrong", "xfail")
    assert f"Tests.test_fake__test_it: {ns}::wrong is expected to fail, but passes" in text
    assert "f.yaml:2 away (it is so)" in text


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("Tests.test_fake__test_missing", "the class Tests has no test 'test_missing'"),
        ("Tests.test_fakes__test_it", "'test_fakes' is no check.*Did you mean 'test_fake'"),
        ("test_fake__test_it", "expected a check, or Class.check__test"),
        ("Tests.test_fake", r"expected Tests.test_fake__test"),
    ],
)
def test_names_that_do_not_exist(
    ns: str, right: Any, tmp_path: Path, test: str, message: str
) -> None:  # W2
    path = _entry(tmp_path / "f.yaml", f"{ns}::right", test, "xfail")

    class Tests(unittest.TestCase):
        def test_it(self) -> None: ...

    with pytest.raises(RuntimeError, match=rf"f.yaml:2: {ns}::right: .*{message}") as caught:
        generate_opcheck_tests(Tests, ns, path)
    assert type(caught.value) is FailuresError
    assert not hasattr(Tests, "test_fake__test_it")


def test_entries_of_other_classes_are_theirs(ns: str, right: Any, tmp_path: Path) -> None:
    path = _entry(tmp_path / "f.yaml", f"{ns}::right", "Other.test_fake__test_there", "xfail")

    @generate_opcheck_tests(ns, failures_dict_path=path, test_utils="test_fake")
    class Tests(unittest.TestCase):
        def test_it(self) -> None:
            right(X)

    assert run(Tests("test_fake__test_it")) == ([], [])


# -- a block ---------------------------------------------------------------------------------------


def test_calls_are_those_of_the_namespaces(ns: str, wrong: Any) -> None:
    with opcheck_mode("elsewhere", "test_fake"):
        wrong(X)
    with pytest.raises(OpCheckError, match="test_fake failed"):
        with opcheck_mode(["elsewhere", ns], "test_fake"):
            wrong(X)


def test_calls_by_transforms_and_in_threads_are_checked(ns: str, wrong: Any) -> None:
    wrong.register_autograd(lambda ctx, g: g * 2)
    with pytest.raises(OpCheckError, match="test_fake failed"):
        with opcheck_mode(ns, "test_fake"):
            gpuops.grad(lambda x: xp.sum(wrong(x)))(X)
    thread = threading.Thread(target=wrong, args=(X,))
    with pytest.raises(OpCheckError, match="test_fake failed"):
        with opcheck_mode(ns, "test_fake"):
            _finish(thread)


def _finish(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def test_fakes_are_no_samples(ns: str, wrong: Any) -> None:
    with opcheck_mode(ns, "test_fake"), gpuops.FakeMode() as mode:
        wrong(mode.from_array(X))


def test_what_is_checked_is_what_came(ns: str) -> None:
    """The arguments as they were before the call wrote to them; the caller's stay as they are."""
    seen = []

    @gpuops.custom_op(f"{ns}::double_", mutates_args=("x",))
    def double_(x: Array) -> None:
        seen.append(x.tolist())
        x *= 2

    x = X.copy()
    with opcheck_mode(ns, "test_schema"):
        double_(x)
        assert x.tolist() == [0, 2, 4] and len(seen) == 1
    assert seen[1] == X.tolist() and x.tolist() == [0, 2, 4]


def test_equal_calls_are_checked_once(ns: str, right: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("gpuops.testing.opcheck", lambda op, args, *_, **__: seen.append(args))
    with opcheck_mode(ns, "test_schema"):
        for x in (X, X.copy(), X + 1, X.astype(np.float32), X[::-1], np.ones(2)):
            right(x)
    assert len(seen) == 5


def test_simulated_arrays_are_checked_on_the_host(ns: str, wrong: Any) -> None:
    wrong.register_kernel("cuda", lambda x, *, times: x * times)
    with pytest.raises(OpCheckError, match="test_fake failed"):
        with opcheck_mode(ns, "test_fake"), gpuops.cuda.simulator():
            wrong(gpuops.asarray(X, device="cuda:0"))


def test_objects_are_copied(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::noise", mutates_args=())
    def noise(x: Array, rng: gpuops.random.RNGState) -> Array:
        rng.reserve(1)
        return np.array(x, order="C")

    rng = gpuops.random.RNGState(3)
    with opcheck_mode(ns, "test_schema"):
        noise(X, rng)
    assert int(rng.offset[0]) == 1
