"""``gpuops check``: what is run, what is printed, what the exit status is, what the report has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gpuops.cli import main
from gpuops.opchecks import CHECKS
from tests.made_packs import install

# `triple` is right and `wrong` has a wrong fake.
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
    Case("third", lambda rng: ((rng.random((2, 2)),), {})),
]
"""
FAKE = ["--check", "test_fake"]


@pytest.fixture
def pack(site: Path) -> Path:
    """The folder of an installed pack ``made`` with cases."""
    install(site, "made", PACK, package=True)
    (site / "made" / "cases.py").write_text(CASES)
    return site / "made"


def run(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    status = main(["check", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def row(out: str, operator: str) -> list[int]:
    """The whole numbers of a row of the table."""
    (line,) = [line for line in out.splitlines() if f" {operator} " in line]
    return [int(cell) for cell in line.split("│")[2:-2]]


def test_all_operators_and_cases(pack: Path, capsys: Any) -> None:
    status, out, err = run(capsys, "made", *FAKE)
    assert status == 1
    assert row(out, "made::triple") == [3, 3, 0, 0, 0, 0]
    assert row(out, "made::wrong") == [3, 0, 3, 0, 0, 0]
    for case in ("first", "second", "third"):
        assert f"made::wrong test_fake [{case}]: test_fake failed: made::wrong: the shape" in out
    assert "made::triple: ok (" in err and "made::wrong: 3 of 3 failed (" in err


def test_a_pack_that_passes(pack: Path, capsys: Any) -> None:
    status, out, err = run(capsys, "made", "--op", "triple", "--cases", "1")
    assert status == 0
    assert row(out, "made::triple") == [1, len(CHECKS), 0, 0, 0, 0]
    assert "made::wrong" not in out + err


def test_selection(pack: Path, capsys: Any) -> None:
    options = ["--op", "made::wrong", "--op", "triple", "--op", "wrong", "--check", "test_schema"]
    status, out, _ = run(capsys, "made", *options, "--check", "test_threads", "--cases", "2")
    assert status == 0
    assert row(out, "made::wrong") == row(out, "made::triple") == [2, 4, 0, 0, 0, 0]


def test_the_seed_is_that_of_cases_and_draws(pack: Path, capsys: Any) -> None:
    (pack / "cases.py").write_text(
        CASES + "\n"
        "def build(rng):\n"
        "    print('built', rng.random())\n"
        "    return (np.ones(2),), {}\n"
        "CASES.insert(0, Case('seeded', build))"
    )
    outputs = [
        run(capsys, "made", "--op", "wrong", *FAKE, "--cases", "1", "--seed", seed)[1]
        for seed in ("1", "1", "2")
    ]
    built = [next(line for line in out.splitlines() if "built" in line) for out in outputs]
    assert built[0] == built[1] != built[2]
    assert "(case 'seeded', seed 1)" in outputs[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mode"], "nothing is defined in the namespace 'mode'. Did you mean 'made'?"),
        (
            ["made", "--op", "tripel"],
            "there is no operator made::tripel. Did you mean 'made::triple'?",
        ),
        (["made", "--op", "other::triple"], "there is no operator other::triple"),
        (
            ["made", "--check", "test_fak"],
            "no check 'test_fak'; expected one of test_schema",
        ),
        (["made", "--failures", "none.toml"], "none.toml: the failures file cannot be read"),
        (["made", "--junit", "no/such/folder.xml"], "--junit: there is no folder"),
        (["made", "--cases", "0"], "'--cases'"),
        (["made", "--seed", "-1"], "'--seed'"),
        ([], "Missing argument 'pack'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    pack: Path, capsys: Any, arguments: list[str], message: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert message in err and out == ""
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("text", ["1 / 0\n", PACK.replace("{name}", "broken") + "\n1 / 0\n"])
def test_a_pack_that_cannot_be_imported(site: Path, capsys: Any, text: str) -> None:
    install(site, "broken", text)
    status, out, err = run(capsys, "broken")
    assert status == 2 and out == ""
    assert "the pack 'broken' cannot be imported: ZeroDivisionError: division by zero" in err


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ("CASES = []", "has no CASES"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (
            "from gpuops.cases import Case\nCASES = [Case('bad', lambda rng: 1 / 0)]",
            "cannot be built: ZeroDivisionError: division by zero (case 'bad', seed 0)",
        ),
        (
            "from gpuops.cases import Case\nCASES = [Case('bad', lambda rng: (('text',), {}))]",
            "must be an array",
        ),
    ],
)
def test_cases_that_are_none(pack: Path, capsys: Any, cases: str, message: str) -> None:
    (pack / "cases.py").write_text(cases)
    status, out, _ = run(capsys, "made", "--op", "triple", *FAKE)
    assert status == 1
    assert row(out, "made::triple")[1:4] == [0, 0, 1]
    assert message in out


def test_further_inputs_are_made_of_two_cases(
    pack: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noted(op: Any, args: Any, kwargs: Any, **options: Any) -> None:
        seen.append((options["test_utils"], options["draws"]))

    monkeypatch.setattr("gpuops.opchecks.packs.opcheck", noted)
    run(capsys, "made", "--op", "triple", *FAKE)
    assert seen == [("test_fake", True), ("test_fake", True), ("test_fake", False)]


# -- failures files --------------------------------------------------------------------------------


def _failures(folder: Path, operator: str, status: str) -> str:
    path = folder / "f.yaml"
    path.write_text(f"{operator}: {{test_fake: {{status: {status}, reason: not yet}}}}\n")
    return str(path)


def test_expected_failures(pack: Path, capsys: Any, tmp_path: Path) -> None:  # W2
    path = _failures(tmp_path, "made::wrong", "xfail")
    status, out, _ = run(capsys, "made", *FAKE, "--failures", path)
    assert status == 0
    assert row(out, "made::wrong") == [3, 0, 0, 0, 3, 0]


def test_checks_that_are_left_out(pack: Path, capsys: Any, tmp_path: Path) -> None:  # W2
    path = _failures(tmp_path, "made::wrong", "skip")
    status, out, _ = run(capsys, "made", *FAKE, "--failures", path)
    assert status == 0
    assert row(out, "made::wrong") == [3, 0, 0, 0, 0, 3]


def test_an_expected_failure_that_passes(pack: Path, capsys: Any, tmp_path: Path) -> None:  # W2
    path = _failures(tmp_path, "made::triple", "xfail")
    status, out, _ = run(capsys, "made", "--op", "triple", *FAKE, "--failures", path)
    assert status == 1
    assert f"test_fake is expected to fail, but passes: take the entry at {path}:1 away" in out


def test_a_broken_failures_file(pack: Path, capsys: Any, tmp_path: Path) -> None:  # W2
    path = _failures(tmp_path, "made::triple", "maybe")
    status, out, err = run(capsys, "made", "--failures", path)
    assert status == 2 and out == ""
    assert f"{path}:1: made::triple: test_fake: status must be 'xfail' or 'skip'" in err


# -- reports ---------------------------------------------------------------------------------------


def test_junit(pack: Path, capsys: Any, tmp_path: Path) -> None:
    (pack / "op.py").write_text(
        PACK.replace("{name}", "made")
        + "wrong.register_fake(lambda x: (_ for _ in ()).throw(ValueError('<a & b> \\x00\\x1b')))"
    )
    report = tmp_path / "junit.xml"
    path = _failures(tmp_path, "made::triple", "skip")
    status, *_ = run(
        capsys, "made", *FAKE, "--cases", "1", "--junit", str(report), "--failures", path
    )
    assert status == 1
    suite = ET.parse(report).getroot()
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "2", "failures": "1", "errors": "0", "skipped": "1"}
    assert float(str(suite.get("time"))) >= 0
    skipped, failed = suite.iter("testcase")
    assert (skipped.get("classname"), skipped.get("name")) == ("made::triple", "test_fake[first]")
    left_out, failure = skipped.find("skipped"), failed.find("failure")
    assert left_out is not None and left_out.get("message") == f"not yet, says {path}:1"
    assert failure is not None and failure.text is not None
    assert failure.text.startswith("test_fake failed: made::wrong: the kernel takes")
    assert "<a & b> \N{REPLACEMENT CHARACTER}" in failure.text
    assert failure.get("message") == failure.text.split("\n")[0]


def test_junit_of_errors(pack: Path, capsys: Any, tmp_path: Path) -> None:
    (pack / "cases.py").write_text("CASES = []")
    report = tmp_path / "junit.xml"
    assert run(capsys, "made", "--junit", str(report))[0] == 1
    suite = ET.parse(report).getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("2", "2")
    error = next(suite.iter("error"))
    assert "has no CASES" in str(error.text)


def test_json(pack: Path, capsys: Any) -> None:
    status, out, _ = run(capsys, "made", *FAKE, "--cases", "1", "--json")
    found = json.loads(out)
    assert status == 1
    assert {key: found[key] for key in ("pack", "passed", "failed")} == {
        "pack": "made",
        "passed": 1,
        "failed": 1,
    }
    assert [(v["operator"], v["status"]) for v in found["verdicts"]] == [
        ("made::triple", "passed"),
        ("made::wrong", "failed"),
    ]


def test_the_pack_that_comes_with_gpuops(capsys: Any) -> None:
    status, out, _ = run(capsys, "gpuops_kernels", "--cases", "1", *FAKE)
    assert status == 0
    assert row(out, "gpuops_kernels::softmax") == [1, 1, 0, 0, 0, 0]
