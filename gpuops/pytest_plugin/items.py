"""One test of each operator of a pack and each check of `gpuops.opcheck`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpuops.errors import GpuopsError, UsageError, describe
from gpuops.opchecks.api import CHECKS
from gpuops.opchecks.failures import Expectation, Failures, find_failures, read_failures
from gpuops.opchecks.packs import check_cases, pack_operators
from gpuops.opchecks.report import OpCheckError
from gpuops.registry import Operator

__all__ = ["IniModule", "OpcheckItem", "module_items"]

TEST = "test_opcheck"


class OpcheckItem(pytest.Function):
    """One check of one operator: a test function, with the fixtures and marks of its module."""

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the test stands: where its pack is named."""
        return self.path, _line(self.path), self.name

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """What the check says: the frames are those of the checker and tell nothing."""
        error = excinfo.value
        return str(error) if isinstance(error, GpuopsError) else super().repr_failure(excinfo)


def _line(path: Path) -> int:
    """The line, counted from 0, that names the pack."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    return next((i for i, line in enumerate(lines) if line.startswith("gpuops_pack")), 0)


class IniModule(pytest.Module):
    """The tests of the packs that pytest's settings name."""

    def _getobj(self) -> ModuleType:
        return ModuleType(TEST)

    def collect(self) -> list[OpcheckItem]:
        """The tests; a pack that cannot be used is one that fails."""
        return list(_items(self, self.config.getini("gpuops_pack"), _settings(self, None)))


def module_items(collector: pytest.Module, packs: Any) -> list[OpcheckItem]:
    """The tests for a module's ``gpuops_pack``: a namespace, or several."""
    return list(_items(collector, packs, _settings(collector, collector.obj)))


@dataclass(frozen=True, slots=True)
class _Settings:
    cases: Any
    failures: Any
    seed: Any


def _settings(collector: pytest.Collector, module: Any) -> _Settings:
    """What holds: an option before the module's variable before the ini setting."""

    def one(name: str) -> Any:
        key = f"gpuops_{name}"
        chosen = collector.config.getoption(key, None)
        if chosen is not None:
            return collector.config.invocation_params.dir / chosen if name == "failures" else chosen
        chosen = getattr(module, key, None)
        return collector.config.getini(key) if chosen is None else chosen

    return _Settings(one("cases"), one("failures"), one("seed"))


def _items(collector: pytest.Collector, packs: Any, settings: _Settings) -> Iterator[OpcheckItem]:
    names = [packs] if isinstance(packs, str) else packs
    if not isinstance(names, (list, tuple)) or not names:
        yield _broken(
            collector,
            "gpuops_pack",
            UsageError(
                "gpuops_pack has to be the namespace of a pack, or a list of them, got "
                f"{describe(packs)}"
            ),
        )
        return
    operators: list[Operator] = []
    for name in names:
        try:
            operators += pack_operators(name)
        except GpuopsError as error:
            yield _broken(collector, name, error)
    try:
        cases = _whole("gpuops_cases", settings.cases, 1)
        seed = _whole("gpuops_seed", settings.seed, 0) or 0
        failures = _failures(collector.path.parent, settings.failures)
    except GpuopsError as error:
        yield _broken(collector, "settings", error)
        return
    for operator in operators:
        for check in CHECKS:
            test = _test(operator, check, cases, seed)
            item = _item(collector, f"{operator.qualname}-{check}", test)
            expected = failures.get(operator.qualname, check)
            if expected is not None:
                item.add_marker(_mark(expected))
            yield item


def _item(collector: pytest.Collector, name: Any, test: Callable[[], None]) -> OpcheckItem:
    item: OpcheckItem = OpcheckItem.from_parent(collector, name=f"{TEST}[{name}]", callobj=test)
    return item


def _broken(collector: pytest.Collector, name: Any, error: GpuopsError) -> OpcheckItem:
    """A test that fails with what keeps a pack from being tested."""

    def test() -> None:
        raise error

    return _item(collector, name, test)


def _test(operator: Operator, check: str, cases: int | None, seed: int) -> Callable[[], None]:
    def test() -> None:
        check_cases(operator, check, cases=cases, seed=seed)

    return test


def _mark(expected: Expectation) -> pytest.MarkDecorator:
    reason = f"{expected.reason} ({expected.place})"
    if expected.status == "skip":
        return pytest.mark.skip(reason=reason)
    # Whatever else goes wrong (an operator without cases) is not what is expected.
    return pytest.mark.xfail(reason=reason, strict=True, raises=OpCheckError)


def _whole(name: str, value: Any, low: int) -> int | None:
    if value in (None, ""):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = low - 1
    if number < low or isinstance(value, (bool, float)):
        raise UsageError(f"{name} has to be a whole number from {low} on, got {describe(value)}")
    return number


def _failures(folder: Path, chosen: Any) -> Failures:
    if chosen in (None, ""):
        path = find_failures(folder)
        return Failures() if path is None else read_failures(path)
    if not isinstance(chosen, (str, Path)):
        raise UsageError(f"gpuops_failures has to be the path of a file, got {describe(chosen)}")
    return read_failures(folder / chosen)
