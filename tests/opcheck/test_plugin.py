"""``gpuops_pack``: pytest makes a test of each operator of a pack and each check."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops.opchecks import CHECKS
from tests.made_packs import install

# `triple` is right and `wrong` has a wrong fake; `bare` has no cases.
PACK = """
import numpy as np
from gpuops import Array, custom_op

@custom_op("{name}::triple", mutates_args=())
def triple(x: Array) -> Array:
    return np.array(3 * x, order="C")

@custom_op("{name}::wrong", mutates_args=())
def wrong(x: Array) -> Array:
    return np.array(x, order="C")

triple.register_fake(lambda x: x.new_empty(x.shape))
wrong.register_fake(lambda x: x.new_empty((2, 2)))
"""
CASES = """
import numpy as np
from gpuops.cases import Case

CASES = [
    Case("first", lambda rng: ((np.ones((2, 2)),), {})),
    Case("second", lambda rng: ((rng.random(3),), {})),
]
"""
FAILING = "test_opcheck[made::wrong-test_fake]"
# Checks that need a fake: of a wrong one they may find it too.
OTHERS = "not (wrong and (test_trace or test_vmap or test_autograd))"


class Imports:
    """What a run within a test imports of libraries: nothing, or it is there twice.

    pytest forgets after the run what it has imported, and classes of SymPy, say, are not the same
    any more where it is imported again.
    """

    libraries = ("cupy", "gpuops", "hypothesis", "mpmath", "numba", "numpy", "optree", "sympy")

    def __init__(self) -> None:
        self.before = set(sys.modules)
        self.new: list[str] = []

    def pytest_sessionfinish(self) -> None:
        new = set(sys.modules) - self.before
        self.new = sorted(name for name in new if name.partition(".")[0] in self.libraries)


@pytest.fixture(scope="module")
def warm() -> None:
    """Let everything be imported that a run could import."""
    for module in pkgutil.walk_packages(gpuops.__path__, "gpuops."):
        if module.name not in ("gpuops.cli.__main__", "gpuops.ops"):
            importlib.import_module(module.name)
    importlib.import_module("hypothesis.strategies")
    gpuops.load_packs()

    @gpuops.custom_op("plugin_warm::f", mutates_args=())
    def f(x: gpuops.Array) -> gpuops.Array:
        return np.array(x, order="C")

    for shape in (lambda x: x.shape, lambda x: (7,)):
        f.register_fake(lambda x, shape=shape: x.new_empty(shape(x)))
        for sample in (np.ones((2, 2)), np.ones(3)):
            gpuops.opcheck(f, (sample,), raise_exception=False)
    f.undo()


@pytest.fixture
def pytester(
    warm: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    inline_run = pytester.inline_run

    def checked(*args: Any, plugins: Any = (), **options: Any) -> Any:
        imports = Imports()
        found = inline_run(*args, plugins=[*plugins, imports], **options)
        assert imports.new == [], "import it in the fixture `warm`"
        return found

    monkeypatch.setattr(pytester, "inline_run", checked)
    return pytester


@pytest.fixture
def pack(site: Path) -> Path:
    """The folder of an installed pack ``made`` with cases."""
    install(site, "made", PACK, package=True)
    (site / "made" / "cases.py").write_text(CASES)
    return site / "made"


def names(report: Any) -> list[str]:
    return [
        line.rpartition("test_it.py::")[2] for line in report.outlines if "test_it.py::" in line
    ]


def test_one_test_of_each_operator_and_check(pack: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    report = pytester.runpytest("--collect-only", "-q")
    expected = [
        f"test_opcheck[made::{op}-{check}]" for op in ("triple", "wrong") for check in CHECKS
    ]
    assert names(report) == expected


def test_what_fails_says_what_the_check_says(pack: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it='"""Text."""\n\ngpuops_pack = "made"\n\ndef test_other(): pass')
    report = pytester.runpytest("-k", OTHERS, "-rf")
    report.assert_outcomes(failed=1, passed=2 * len(CHECKS) - 4 + 1, deselected=3)
    text = report.stdout.str()
    assert f"FAILED test_it.py::{FAILING}" in text
    assert re.search(r"test_fake failed: made::wrong: the shape of the output is .*\(2, 2\)", text)
    assert "(case 'first', seed 0)" in text
    assert "opchecks" not in text, "frames of the checker tell nothing"


def test_selection_by_name_and_by_id(pack: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    pytester.runpytest("-k", "triple and test_fake").assert_outcomes(
        passed=1, deselected=2 * len(CHECKS) - 1
    )
    pytester.runpytest(f"test_it.py::{FAILING}").assert_outcomes(failed=1)
    pytester.runpytest("test_it.py::test_opcheck[made::triple-test_vmap]").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("opcheck_failures.yaml", "made::wrong: {test_fake: {status: xfail, reason: not yet}}"),
        ("opcheck_failures.toml", "['made::wrong'.test_fake]\nstatus='xfail'\nreason='not yet'"),
    ],
)
def test_expected_failures(
    pack: Path, pytester: pytest.Pytester, name: str, text: str
) -> None:  # W2
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    (pytester.path / name).write_text(text)
    report = pytester.runpytest("-k", "wrong-test_fake", "-rx")
    report.assert_outcomes(xfailed=1, deselected=2 * len(CHECKS) - 1)
    assert f"not yet ({pytester.path / name}:1)" in report.stdout.str().replace("\n", "")


def test_an_expected_failure_that_passes_is_reported(
    pack: Path, pytester: pytest.Pytester
) -> None:  # W2
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    pytester.makefile(
        ".yaml", opcheck_failures="made::triple: {test_fake: {status: xfail, reason: x}}"
    )
    report = pytester.runpytest("-k", "triple-test_fake")
    report.assert_outcomes(failed=1, deselected=2 * len(CHECKS) - 1)
    report.stdout.fnmatch_lines(["*XPASS(strict)*x (*opcheck_failures.yaml:1)*"])


def test_other_errors_are_not_what_is_expected(pack: Path, pytester: pytest.Pytester) -> None:
    (pack / "cases.py").write_text("CASES = []")
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    pytester.makefile(
        ".yaml", opcheck_failures="made::triple: {test_fake: {status: xfail, reason: x}}"
    )
    report = pytester.runpytest("-k", "triple-test_fake")
    report.assert_outcomes(failed=1, deselected=2 * len(CHECKS) - 1)
    report.stdout.fnmatch_lines(["made::triple: *cases.py has no CASES"])


def test_what_is_left_out(pack: Path, pytester: pytest.Pytester) -> None:  # W2
    pytester.makepyfile(test_it='gpuops_pack = "made"\ngpuops_failures = "sub/f.toml"')
    (pytester.mkdir("sub") / "f.toml").write_text(
        "['made::wrong'.test_fake]\nstatus='skip'\nreason='so'"
    )
    report = pytester.runpytest("-k", "wrong-test_fake", "-rs")
    report.assert_outcomes(skipped=1, deselected=2 * len(CHECKS) - 1)
    report.stdout.fnmatch_lines(["SKIPPED*test_it.py: so (*f.toml:1)"])


def test_the_option_goes_before_the_module(pack: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it='gpuops_pack = "made"\ngpuops_failures = "no.toml"\ngpuops_cases = 1'
    )
    pytester.makefile(".yaml", f="made::wrong: {test_fake: {status: xfail, reason: x}}")
    options = ["--gpuops-failures=f.yaml", "--gpuops-seed=3", "--gpuops-cases=2"]
    report = pytester.runpytest("-k", "wrong-test_fake", "--runxfail", *options)
    report.assert_outcomes(failed=1, deselected=2 * len(CHECKS) - 1)
    assert "(case 'first', seed 3)" in report.stdout.str()


@pytest.mark.parametrize(
    ("cases", "outcome"), [("1", "passed"), ("2", "failed"), ("None", "failed")]
)
def test_how_many_cases(pack: Path, pytester: pytest.Pytester, cases: str, outcome: str) -> None:
    (pack / "cases.py").write_text(CASES.replace("rng.random(3)", "'text'"))
    pytester.makepyfile(test_it=f'gpuops_pack = "made"\ngpuops_cases = {cases}')
    report = pytester.runpytest("-k", "triple-test_fake")
    report.assert_outcomes(**{outcome: 1, "deselected": 2 * len(CHECKS) - 1})
    assert ("(case 'second'" in report.stdout.str()) == (outcome == "failed")


# -- what cannot be used is one test that says so --------------------------------------------------


def test_a_broken_pack(site: Path, pack: Path, pytester: pytest.Pytester) -> None:
    install(site, "broken", "import numpy\n1 / 0\n")
    pytester.makepyfile(test_it='gpuops_pack = ["broken", "made"]\ndef test_other(): pass')
    report = pytester.runpytest("-k", "broken or other or triple-test_fake")
    report.assert_outcomes(failed=1, passed=2, deselected=2 * len(CHECKS) - 1)
    report.stdout.fnmatch_lines(
        ["*test_opcheck?broken?*", "the pack 'broken' cannot be imported: ZeroDivisionError*"]
    )


def test_a_pack_that_is_half_there(site: Path, pack: Path, pytester: pytest.Pytester) -> None:
    (pack / "op.py").write_text(PACK.replace("{name}", "made") + "\n1 / 0\n")
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    report = pytester.runpytest()
    report.assert_outcomes(failed=1)
    report.stdout.fnmatch_lines(["the pack 'made' cannot be imported: ZeroDivisionError*"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('gpuops_pack = "mode"', "nothing is defined in the namespace 'mode'*Did you mean 'made'?"),
        (
            "gpuops_pack = 3",
            "gpuops_pack has to be the namespace of a pack, or a list of them, got*",
        ),
        (
            "gpuops_pack = []",
            "gpuops_pack has to be the namespace of a pack, or a list of them, got*",
        ),
        ("gpuops_pack = [3]", "expected the namespace of a pack, got int 3"),
        (
            'gpuops_pack = "made"; gpuops_cases = 0',
            "gpuops_cases has to be a whole number from 1 on, got int 0",
        ),
        (
            'gpuops_pack = "made"; gpuops_cases = True',
            "gpuops_cases has to be a whole number from 1 on, got bool True",
        ),
        (
            'gpuops_pack = "made"; gpuops_seed = "x"',
            "gpuops_seed has to be a whole number from 0 on, got str 'x'",
        ),
        (
            'gpuops_pack = "made"; gpuops_failures = "none.toml"',
            "*none.toml: the failures file cannot be read: No such file or directory",
        ),
        (
            'gpuops_pack = "made"; gpuops_failures = 3',
            "gpuops_failures has to be the path of a file, got int 3",
        ),
    ],
)
def test_what_cannot_be_used(
    pack: Path, pytester: pytest.Pytester, line: str, message: str
) -> None:
    pytester.makepyfile(test_it=line)
    report = pytester.runpytest()
    report.assert_outcomes(failed=1)
    report.stdout.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "made::wrong: {test_fake: {status: xfial, reason: x}}",
            "*:1: made::wrong: test_fake: status",
        ),
        ("made::wrong: {test_fake: {status: xfail}}", "*:1: made::wrong: test_fake: has no reason"),
        ("made::rwong: {}", "*:1: made::rwong: there is no operator of that name. Did you mean"),
        (
            "# none\nmade::wrong: {test_fak: {}}",
            "*:2: made::wrong: test_fak: 'test_fak' is no check",
        ),
    ],
)
def test_a_broken_failures_file(
    pack: Path, pytester: pytest.Pytester, text: str, message: str
) -> None:  # W2
    pytester.makepyfile(test_it='gpuops_pack = "made"')
    pytester.makefile(".yaml", opcheck_failures=text)
    report = pytester.runpytest()
    report.assert_outcomes(failed=1)
    report.stdout.fnmatch_lines([f"*opcheck_failures.yaml{message}*"])


# -- with the rest of pytest -----------------------------------------------------------------------


def test_fixtures_and_marks_of_the_module_hold(pack: Path, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = slow")
    pytester.makeconftest(
        """
        import pytest
        seen = []
        @pytest.fixture(autouse=True, scope="module")
        def module(): seen.append("module")
        def pytest_terminal_summary(terminalreporter): terminalreporter.write_line(f"saw {seen}")
        """
    )
    pytester.makepyfile(
        test_it="""
        import conftest, pytest
        gpuops_pack = "made"
        pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used")]
        @pytest.fixture
        def used(): conftest.seen.append("used")
        @pytest.fixture(autouse=True)
        def each(): conftest.seen.append("each")
        """
    )
    report = pytester.runpytest("-k", "triple-test_fake", "-m", "slow", "-p", "no:cacheprovider")
    report.assert_outcomes(passed=1, deselected=2 * len(CHECKS) - 1)
    report.stdout.fnmatch_lines(["saw ['module', 'each', 'used']"])
    pytester.runpytest("-m", "not slow").assert_outcomes(deselected=2 * len(CHECKS))


def test_junit(pack: Path, pytester: pytest.Pytester) -> None:
    from xml.etree import ElementTree as ET

    pytester.makepyfile(test_it='gpuops_pack = "made"')
    pytester.runpytest("-k", "test_fake", "--junitxml=out.xml")
    cases = {case.get("name"): case for case in ET.parse("out.xml").iter("testcase")}
    assert set(cases) == {"test_opcheck[made::triple-test_fake]", FAILING}
    failure = cases[FAILING].find("failure")
    assert failure is not None and "test_fake failed: made::wrong" in str(failure.text)


@pytest.mark.parametrize("testpaths", ["", "testpaths = sub"])
def test_the_settings_may_name_the_pack(
    pack: Path, pytester: pytest.Pytester, testpaths: str
) -> None:
    pytester.makeini(f"[pytest]\ngpuops_pack = made\ngpuops_cases = 1\n{testpaths}")
    (pytester.mkdir("sub") / "test_it.py").write_text("def test_other(): pass")
    pytester.makefile(
        ".yaml", opcheck_failures="made::wrong: {test_fake: {status: skip, reason: x}}"
    )
    report = pytester.runpytest("-k", "test_fake or other", "-v")
    report.assert_outcomes(passed=2, skipped=1, deselected=2 * len(CHECKS) - 2)
    report.stdout.fnmatch_lines(["tox.ini::test_opcheck?made::triple-test_fake? PASSED*"])
    # A part of the tests is a part of the tests.
    pytester.runpytest("sub/test_it.py").assert_outcomes(passed=1)
    pytester.runpytest("tox.ini::test_opcheck[made::triple-test_fake]").assert_outcomes(passed=1)


def test_everybody_elses_tests_stay_as_they_are(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        class TestIt:
            gpuops_pack = "made"
            def test_it(self): pass
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_classes_of_pytests_kind(site: Path, pytester: pytest.Pytester) -> None:  # W3
    install(site, "made", PACK)
    pytester.makepyfile(
        test_it="""
        import made, pytest, numpy as np
        from hypothesis import HealthCheck, given, settings, strategies as st
        from gpuops.testing import generate_opcheck_tests, is_inside_opcheck_mode

        @pytest.fixture
        def x(): return np.ones((2, 2))

        @generate_opcheck_tests("made", test_utils=["test_schema", "test_fake"])
        class TestIt:
            @pytest.mark.parametrize("scale", [1, 2])
            def test_right(self, x, scale):
                made.triple(scale * x)

            def test_wrong(self, x):
                made.wrong(x)

            @settings(max_examples=3, deadline=None, suppress_health_check=[
                HealthCheck.differing_executors])
            @given(st.integers(0, 3))
            def test_drawn(self, n):
                made.triple(np.ones(n))

            @pytest.mark.skip(reason="not here")
            def test_skipped(self): made.wrong(x)
        """
    )
    report = pytester.runpytest("-rf")
    report.assert_outcomes(passed=3 * 2 + 3 + 2, skipped=3, failed=1)
    report.stdout.fnmatch_lines(["FAILED test_it.py::TestIt::test_fake__test_wrong*"])
