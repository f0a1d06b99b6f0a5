"""Check operators where a test suite calls them already: `gpuops.opcheck` on every call.

`generate_opcheck_tests` adds to a test class, for each test and each check, one more test, in which
every operator call is a sample for the check::

    @gpuops.testing.generate_opcheck_tests("my_pack")
    class TestResize(unittest.TestCase):
        def test_large_sizes(self): ...

has ``test_fake__test_large_sizes`` and so on too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from gpuops.devices import array_kind
from gpuops.errors import UsageError, describe
from gpuops.observers import observed
from gpuops.opchecks.api import CHECKS, chosen_checks, opcheck
from gpuops.opchecks.failures import Expectation, Failures, find_failures, read_failures
from gpuops.opchecks.report import OpCheckError, host
from gpuops.opchecks.subject import copied
from gpuops.registry import Operator

__all__ = [
    "dontGenerate",
    "dontGenerateOpCheckTests",
    "generate_opcheck_tests",
    "is_inside_opcheck_mode",
    "opcheck_mode",
]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound=type)

_inside: ContextVar[bool] = ContextVar("gpuops_inside_opcheck_mode", default=False)
_LEFT_OUT = "_gpuops_no_opcheck_tests"


def is_inside_opcheck_mode() -> bool:
    """Whether a block of `opcheck_mode`, and with it a generated test, is running.

    For tests that are to do less there, such as fewer sizes.

    >>> is_inside_opcheck_mode()
    False
    """
    return _inside.get()


def dontGenerate(reason: str) -> Callable[[F], F]:  # the name that torch's has
    """Leave a test out: `generate_opcheck_tests` makes no others of it.

    Args:
        reason: why.

    Raises:
        UsageError: `reason` is no text, or an empty one.

    >>> @dontGenerate("it takes minutes")
    ... def test_everything(self): ...
    """
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"dontGenerate takes the reason as a text, got {describe(reason)}")

    def decorate(function: F) -> F:
        setattr(function, _LEFT_OUT, reason)
        return function

    return decorate


dontGenerateOpCheckTests = dontGenerate
"""`dontGenerate` by the name that it has in torch."""


# -- one block -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Calls:
    """The calls of a block, in order: the operator and copies of its arguments."""

    namespaces: frozenset[str]
    made: list[tuple[Operator, list[Any]]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def observe(self, operator: Operator, values: Sequence[Any]) -> Callable[[Any], None]:
        """Keep a call, once it has returned: one that raises is no sample."""
        if operator.namespace not in self.namespaces or not _is_real(values):
            return lambda out: None
        before = copied([_on_host(value) for value in values])

        def keep(out: Any) -> None:
            with self.lock:
                if not any(op is operator and _equal(before, kept) for op, kept in self.made):
                    self.made.append((operator, before))

        return keep


def _is_real(values: Iterable[Any]) -> bool:
    """Whether there are only real arrays: not the fakes that fake kernels get."""
    items = [x for value in values for x in (value if isinstance(value, list) else [value])]
    return all(array_kind(type(x)) is not None for x in items if hasattr(x, "dtype"))


def _on_host(value: Any) -> Any:
    return [host(item) for item in value] if isinstance(value, list) else host(value)


def _equal(left: list[Any], right: list[Any]) -> bool:
    """Whether two calls have the same arguments, to the bit and the stride."""
    for one, other in zip(left, right, strict=True):
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other) or not _equal(one, other):
                return False
        elif hasattr(one, "strides") and hasattr(other, "strides"):
            alike = (one.shape, one.dtype, one.strides) == (other.shape, other.dtype, other.strides)
            if not alike or one.tobytes() != other.tobytes():
                return False
        elif type(one) is not type(other) or (one is not other and one != other):
            return False
    return True


@contextmanager
def opcheck_mode(
    namespaces: str | Iterable[str],
    test_utils: str | list[str] | tuple[str, ...] = "ALL",
    *,
    seed: int = 0,
) -> Iterator[None]:
    """Check every operator call of a block when the block ends.

    The calls run as they would. What an operator or the block raises is raised as it is, and then
    nothing is checked: a call that fails is no sample. Calls of all threads count, and those that
    operators and transforms make themselves. Calls with equal arguments are checked once, and
    arguments on other devices as arrays on the host.

    Args:
        namespaces: of the operators to check.
        test_utils: the checks, as in `gpuops.opcheck`.
        seed: likewise.

    Raises:
        OpCheckError: the checks found something, in as many calls as the message says.
        ValueError: there is no check of that name.
        UsageError: `namespaces` are none.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_mode::double", mutates_args=())
    ... def double(x: gpuops.Array) -> gpuops.Array:
    ...     return np.asarray(x + x)
    >>> with opcheck_mode("demo_mode", "test_schema"):
    ...     double(np.ones(2))
    array([2., 2.])
    >>> double.undo()
    """
    checks = chosen_checks(test_utils)
    with _recorded(_namespaces(namespaces)) as calls:
        yield
    problems = [
        problem
        for operator, values in calls.made
        for check in checks
        if (problem := _problem(operator, values, check, seed)) is not None
    ]
    _raise_first(problems, len(calls.made))


@contextmanager
def _recorded(namespaces: frozenset[str]) -> Iterator[_Calls]:
    calls = _Calls(namespaces)
    token = _inside.set(True)
    try:
        with observed(calls.observe):
            yield calls
    finally:
        _inside.reset(token)


def _namespaces(given: Any) -> frozenset[str]:
    names = [given] if isinstance(given, str) else [*given] if isinstance(given, Iterable) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise UsageError(
            f"expected the namespace of the operators to check, or several, got {describe(given)}"
        )
    return frozenset(names)


def _problem(operator: Operator, values: list[Any], check: str, seed: int) -> OpCheckError | None:
    number = len(operator.schema.positional)
    names = [parameter.name for parameter in operator.schema.keyword_only]
    by_name = dict(zip(names, values[number:], strict=True))
    try:
        opcheck(operator, tuple(values[:number]), by_name, test_utils=check, seed=seed)
    except OpCheckError as error:
        return error
    return None


def _raise_first(problems: list[OpCheckError], calls: int) -> None:
    if problems:
        more = f" ({len(problems)} failures in {calls} calls; this is the first)"
        raise OpCheckError(f"{problems[0]}{more if len(problems) > 1 else ''}") from problems[0]


# -- a class of tests ------------------------------------------------------------------------------


def generate_opcheck_tests(
    testcase: Any,
    namespaces: str | Iterable[str] | None = None,
    failures_dict_path: str | Path | None = None,
    test_utils: str | list[str] | tuple[str, ...] = "ALL",
) -> Any:
    """Add to a test class, for each test and check, ``<check>__<test>``.

    It runs the test and checks every operator call in it. Fixtures, parameters and marks of the
    test hold for it too, and what the test expects to be raised is raised. A test that
    `dontGenerate` marks is left out. Hypothesis' tests run in several instances of the class then,
    and need ``settings(suppress_health_check=[HealthCheck.differing_executors])``.

    Args:
        testcase: a class of tests, of unittest's or pytest's kind. Given the namespaces instead, a
            decorator for one is returned.
        namespaces: of the operators to check.
        failures_dict_path: a failures file (see docs/opcheck.md) with entries such as
            ``TestResize.test_fake__test_large_sizes``; None is ``opcheck_failures.yaml`` or
            ``.toml`` beside the class's module, if there is one.
        test_utils: the checks, as in `gpuops.opcheck`.

    Returns:
        The class.

    Raises:
        UsageError: no class, no namespaces, or a class that has such tests already.
        ValueError: there is no check of that name.
        FailuresError: a `RuntimeError`: the failures file cannot be used; the message has the line.

    >>> import unittest, numpy as np, gpuops
    >>> @gpuops.custom_op("demo_tests::double", mutates_args=())
    ... def double(x: gpuops.Array) -> gpuops.Array:
    ...     return np.asarray(x + x)
    >>> @generate_opcheck_tests("demo_tests", test_utils="test_schema")
    ... class TestDouble(unittest.TestCase):
    ...     def test_ones(self):
    ...         self.assertEqual(double(np.ones(1)), 2)
    >>> TestDouble("test_schema__test_ones").run().wasSuccessful()
    True
    >>> double.undo()
    """
    if not isinstance(testcase, type):
        if namespaces is not None:
            raise UsageError(
                f"generate_opcheck_tests takes a class of tests, got {describe(testcase)}"
            )
        _namespaces(testcase)
        return functools.partial(
            _decorated,
            namespaces=testcase,
            failures_dict_path=failures_dict_path,
            test_utils=test_utils,
        )
    chosen = _namespaces(namespaces or ())
    checks = chosen_checks(test_utils)
    tests = dict(_tests(testcase))
    failures = _failures(testcase, failures_dict_path)
    failures.check_class(testcase.__name__, tests)
    for name, function in tests.items():
        for check in checks:
            generated = f"{check}__{name}"
            if generated in vars(testcase):
                raise UsageError(f"{testcase.__qualname__} has a test {generated} already")
            judge = _Judge(check, f"{testcase.__name__}.{generated}", chosen, failures)
            setattr(testcase, generated, _generated(function, generated, judge))
    return testcase


def _decorated(testcase: T, **options: Any) -> T:
    if not isinstance(testcase, type):
        raise UsageError(f"generate_opcheck_tests takes a class of tests, got {describe(testcase)}")
    made: T = generate_opcheck_tests(testcase, **options)
    return made


def _tests(testcase: type) -> Iterator[tuple[str, Any]]:
    """The tests of a class, those of its bases included, without those that others came from."""
    for name in dir(testcase):
        function = inspect.getattr_static(testcase, name)
        if not name.startswith("test") or not inspect.isfunction(function):
            continue
        is_generated = any(name.startswith(f"{check}__") for check in CHECKS)
        if not is_generated and not hasattr(function, _LEFT_OUT):
            yield name, function


@dataclass(frozen=True, slots=True)
class _Judge:
    """Runs a test once, and then one check on the operator calls in it.

    Attributes:
        check: its name.
        test: the generated test's name, as in failures files.
        namespaces: of the operators to check.
        failures: what is expected to fail.
    """

    check: str
    test: str
    namespaces: frozenset[str]
    failures: Failures

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Run the block, and check its calls when it ends."""
        with _recorded(self.namespaces) as calls:
            yield
        problems: list[OpCheckError] = []
        unmet: dict[Operator, Expectation] = {}
        met: set[Operator] = set()
        for operator, values in calls.made:
            expected = self.failures.get(operator.qualname, self.test)
            if expected is not None and expected.status == "skip":
                continue
            problem = _problem(operator, values, self.check, 0)
            if expected is None:
                problems += [problem] if problem is not None else []
            elif problem is not None:
                met.add(operator)
            else:
                unmet[operator] = expected
        _raise_first(problems, len(calls.made))
        for operator, expected in unmet.items():
            if operator not in met:
                raise OpCheckError(
                    f"{self.test}: {operator.qualname} is expected to fail, but passes: take the "
                    f"entry at {expected.place} away ({expected.reason})"
                )


def _generated(function: Any, name: str, judge: _Judge) -> Any:
    """The test with the checks around it."""
    test: Any
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def test(*args: Any, **kwargs: Any) -> Any:
            with judge.watching():
                return await function(*args, **kwargs)
    else:

        @functools.wraps(function)
        def test(*args: Any, **kwargs: Any) -> Any:
            with judge.watching():
                return function(*args, **kwargs)

    test.__name__ = name
    test.__qualname__ = f"{function.__qualname__.rpartition('.')[0]}.{name}"
    return test


def _failures(testcase: type, chosen: str | Path | None) -> Failures:
    try:
        folder = Path(inspect.getfile(testcase)).parent
    except (TypeError, OSError):  # typed interactively
        folder = Path.cwd()
    if chosen is not None:
        return read_failures(folder / chosen)
    path = find_failures(folder)
    return Failures() if path is None else read_failures(path)
