"""Failures files: which checks of which operators are expected to fail, or left out, and why.

YAML or TOML, an entry for each operator and test::

    my_pack::resize:
      test_vmap:
        status: xfail
        reason: the rule handles no negative axes yet
      TestResize.test_fake__test_large_sizes:
        status: skip
        reason: takes minutes

A test is a check's name, or ``Class.check__test`` for one that `gpuops.testing` made from a class.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from gpuops.errors import GpuopsError, closest, describe
from gpuops.opchecks.api import CHECKS
from gpuops.registry import registry

__all__ = ["Expectation", "Failures", "FailuresError", "find_failures", "read_failures"]

STATUSES: Final = ("xfail", "skip")
DEFAULT_NAMES: Final = ("opcheck_failures.yaml", "opcheck_failures.toml")
"""What a failures file is called where nothing else is said."""

_DEPTH = 3
"""Operator, test, and status or reason."""

Lines = Callable[[tuple[str, ...]], int]
"""The line on which the entry at a path of keys stands, counted from 1."""


class FailuresError(GpuopsError, RuntimeError):
    """A failures file cannot be used; the message has its name and the line."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of one test of one operator.

    Attributes:
        status: ``"xfail"``: it has to fail; ``"skip"``: it does not run.
        reason: why.
        place: the file and line that say so.
    """

    status: Literal["xfail", "skip"]
    reason: str
    place: str


@dataclass(frozen=True, slots=True)
class Failures:
    """The entries of a failures file, by operator and test; none if there is no file."""

    entries: Mapping[str, Mapping[str, Expectation]] = field(default_factory=dict)

    def get(self, operator: str, test: str) -> Expectation | None:
        """What is expected of a test of an operator; None: that it passes."""
        return self.entries.get(operator, {}).get(test)

    def check_class(self, name: str, tests: Collection[str]) -> None:
        """Check that entries for a test class name tests that it has.

        Raises:
            FailuresError: one does not.
        """
        for operator, entries in self.entries.items():
            for test, entry in entries.items():
                owner, dot, rest = test.rpartition(".")
                plain = rest.partition("__")[2]
                if dot and owner == name and plain not in tests:
                    raise FailuresError(
                        f"{entry.place}: {operator}: {test}: the class {name} has no test "
                        f"{plain!r}{closest(plain, tests)}"
                    )


def find_failures(folder: Path) -> Path | None:
    """The failures file of a folder, if there is one.

    Raises:
        FailuresError: there are two.
    """
    found = [path for name in DEFAULT_NAMES if (path := folder / name).is_file()]
    if len(found) > 1:
        raise FailuresError(f"{found[0]} and {found[1].name}: expected one of them, found both")
    return found[0] if found else None


def read_failures(path: Path) -> Failures:
    """Read a failures file; operators that it names have to be registered by now.

    Args:
        path: a file whose name ends in ``.yaml``, ``.yml`` or ``.toml``.

    Raises:
        FailuresError: there is no such file, it is malformed, names an operator or a test that does
            not exist, gives another status than ``xfail`` or ``skip``, or no reason. The message
            has the file and, of what is in it, the line.
    """
    data, lines = _parsed(path)

    def fail(keys: tuple[str, ...], problem: str) -> NoReturn:
        where = "".join(f"{key}: " for key in keys[:2])
        raise FailuresError(f"{path}:{lines(keys)}: {where}{problem}")

    entries: dict[str, dict[str, Expectation]] = {}
    known = {operator.qualname for operator in registry.operators()}
    for operator, tests in data.items():
        if operator not in known:
            fail((operator,), f"there is no operator of that name{closest(operator, known)}")
        if not isinstance(tests, dict):
            fail((operator,), f"expected tests with status and reason, got {describe(tests)}")
        for test, entry in tests.items():
            keys = (operator, test)
            if problem := _name_problem(test):
                fail(keys, problem)
            status, reason = _fields(keys, entry, fail)
            place = f"{path}:{lines(keys)}"
            entries.setdefault(operator, {})[test] = Expectation(status, reason, place)
    return Failures(entries)


def _name_problem(test: str) -> str | None:
    """What is wrong with the name of a test."""
    owner, _, name = test.rpartition(".")
    check, separator, plain = name.partition("__")
    if check not in CHECKS:
        return f"{check!r} is no check; expected one of {', '.join(CHECKS)}{closest(check, CHECKS)}"
    if separator and not (owner and plain):
        return f"expected a check, or Class.check__test for a test made from a class; got {test!r}"
    if owner and not separator:
        return f"expected {owner}.{check}__test, with the name of the test; got {test!r}"
    return None


def _fields(keys: tuple[str, str], entry: Any, fail: Callable[..., NoReturn]) -> tuple[Any, str]:
    """Status and reason of an entry."""
    if not isinstance(entry, dict):
        fail(keys, f"expected a status and a reason, got {describe(entry)}")
    for name in entry:
        if name not in ("status", "reason"):
            fail((*keys, name), f"expected status and reason, got {name!r}")
    if "status" not in entry:
        fail(keys, "has no status: expected 'xfail' or 'skip'")
    status = entry["status"]
    if status not in STATUSES:
        fail((*keys, "status"), f"status must be 'xfail' or 'skip', got {status!r}")
    reason = entry.get("reason")
    if reason is None:
        fail(keys, "has no reason: say why it is expected to fail, or is left out")
    if not isinstance(reason, str) or not reason.strip():
        fail((*keys, "reason"), f"reason must be a text that says why, got {reason!r}")
    return status, reason


# -- the two formats -------------------------------------------------------------------------------


def _parsed(path: Path) -> tuple[dict[str, Any], Lines]:
    readers = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
    reader = readers.get(path.suffix)
    if reader is None:
        raise FailuresError(
            f"{path}: a failures file is YAML or TOML: expected a name that ends in .yaml, .yml or "
            ".toml"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise FailuresError(f"{path}: the failures file cannot be read: {problem}") from error
    return reader(path, text)


def _toml(path: Path, text: str) -> tuple[dict[str, Any], Lines]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        place = f":{line.group(1)}" if line else ""
        raise FailuresError(f"{path}{place}: malformed TOML: {error}") from None
    rows = text.splitlines()

    def lines(keys: tuple[str, ...]) -> int:
        # The parser keeps no places. Keys stand in order, several of them maybe on one line.
        found = 0
        for key in keys:
            word = re.compile(rf"(?<![\w:]){re.escape(key)}(?![\w:])")
            rest = (row for row in range(found, len(rows)) if word.search(rows[row]))
            found = next(rest, found)
        return found + 1

    return data, lines


def _yaml(path: Path, text: str) -> tuple[dict[str, Any], Lines]:
    try:
        import yaml
    except ImportError:
        raise FailuresError(
            f"{path}: reading YAML needs PyYAML: pip install 'gpuops[profiles]', or write the "
            "file as TOML"
        ) from None
    places: dict[tuple[str, ...], int] = {}
    constructor = yaml.constructor.SafeConstructor()

    def converted(node: Any, keys: tuple[str, ...]) -> Any:
        if not isinstance(node, yaml.MappingNode) or len(keys) == _DEPTH:
            return constructor.construct_object(node, deep=True)
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            line = places[*keys, name] = key.start_mark.line + 1
            if name in found:
                raise FailuresError(f"{path}:{line}: {name!r} is there twice")
            found[name] = converted(value, (*keys, name))
        return found

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = {} if root is None else converted(root, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise FailuresError(f"{path}{place}: malformed YAML: {problem}") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise FailuresError(f"{path}:1: expected operators with tests, got {describe(data)}")
    return data, lambda keys: places.get(keys, 1)
