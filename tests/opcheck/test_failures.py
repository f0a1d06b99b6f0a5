"""Failures files: what is read, and what is refused with file and line (behaviour W2)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops.opchecks.failures import FailuresError, find_failures, read_failures


@pytest.fixture
def op(ns: str) -> str:
    gpuops.custom_op(
        f"{ns}::op", lambda x: np.array(x), schema="(Array x) -> Array", mutates_args=()
    )
    return f"{ns}::op"


YAML = """\
# what is not done yet
"{op}":
  test_vmap:
    status: xfail
    reason: no rule yet
  Tests.test_fake__test_it: {{status: skip, reason: "slow: minutes"}}
"""
TOML = """\
# what is not done yet
["{op}".test_vmap]
status = "xfail"
reason = "no rule yet"

["{op}"]
"Tests.test_fake__test_it" = {{status = "skip", reason = "slow: minutes"}}
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [("f.yaml", YAML, (3, 6)), ("f.yml", YAML, (3, 6)), ("f.toml", TOML, (2, 7))],
)
def test_both_formats(op: str, tmp_path: Path, name: str, text: str, lines: Any) -> None:
    path = tmp_path / name
    path.write_text(text.format(op=op))
    failures = read_failures(path)
    first, second = failures.get(op, "test_vmap"), failures.get(op, "Tests.test_fake__test_it")
    assert first is not None and second is not None
    assert (first.status, first.reason) == ("xfail", "no rule yet")
    assert (second.status, second.reason) == ("skip", "slow: minutes")
    assert [first.place, second.place] == [f"{path}:{line}" for line in lines]
    assert failures.get(op, "test_fake") is None and failures.get("a::b", "test_vmap") is None


@pytest.mark.parametrize(("name", "text"), [("f.yaml", ""), ("f.yaml", "# none\n"), ("f.toml", "")])
def test_an_empty_file_expects_nothing(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_failures(tmp_path / name).entries == {}


# For each: the lines of the YAML below the operator's, those of the TOML, the number of the line
# in each, and what is said.
BAD = [
    (
        ["  test_fake:", "    reason: x", "    status: broken"],
        ["[{op}.test_fake]", "reason = 'x'", "status = 'broken'"],
        (4, 3),
        "{op}: test_fake: status must be 'xfail' or 'skip', got 'broken'",
    ),
    (
        ["  test_fake:", "    reason: x", "    status: true"],
        ["[{op}.test_fake]", "reason = 'x'", "status = true"],
        (4, 3),
        "{op}: test_fake: status must be 'xfail' or 'skip', got True",
    ),
    (
        ["  test_fake:", "    reason: x"],
        ["[{op}.test_fake]", "reason = 'x'"],
        (2, 1),
        "{op}: test_fake: has no status: expected 'xfail' or 'skip'",
    ),
    (
        ["  test_fake:", "    status: skip"],
        ["[{op}.test_fake]", "status = 'skip'"],
        (2, 1),
        "{op}: test_fake: has no reason: say why",
    ),
    (
        ["  test_fake:", "    status: skip", "    reason: ' '"],
        ["[{op}.test_fake]", "status = 'skip'", "reason = ' '"],
        (4, 3),
        "{op}: test_fake: reason must be a text that says why, got ' '",
    ),
    (
        ["  test_fake:", "    status: skip", "    reason: 17"],
        ["[{op}.test_fake]", "status = 'skip'", "reason = 17"],
        (4, 3),
        "{op}: test_fake: reason must be a text that says why, got 17",
    ),
    (
        ["  test_fake:", "    status: skip", "    reason: x", "    when: never"],
        ["[{op}.test_fake]", "status = 'skip'", "reason = 'x'", "when = 'never'"],
        (5, 4),
        "{op}: test_fake: expected status and reason, got 'when'",
    ),
    (
        ["  test_fake: skip"],
        ["[{op}]", "test_fake = 'skip'"],
        (2, 2),
        "{op}: test_fake: expected a status and a reason, got str 'skip'",
    ),
    (
        ["  test_fakes: {status: skip, reason: x}"],
        ["[{op}.test_fakes]", "status = 'skip'", "reason = 'x'"],
        (2, 1),
        "{op}: test_fakes: 'test_fakes' is no check; expected one of test_schema, test_fake,",
    ),
    (
        ["  - test_fake"],
        ["'{bare}' = ['test_fake']"],
        (1, 1),
        "{op}: expected tests with status and reason, got list of length 1",
    ),
]


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("form", ["yaml", "toml"])
def test_what_is_refused(op: str, tmp_path: Path, case: Any, form: str) -> None:  # W2
    in_yaml, in_toml, (yaml_line, toml_line), message = case
    path = tmp_path / f"f.{form}"
    if form == "yaml":
        path.write_text("\n".join([f"{op}:", *in_yaml]))
        line = yaml_line
    else:
        path.write_text("\n".join(in_toml).replace("{op}", f'"{op}"').replace("{bare}", op))
        line = toml_line
    with pytest.raises(RuntimeError) as caught:
        read_failures(path)
    assert type(caught.value) is FailuresError and isinstance(caught.value, gpuops.GpuopsError)
    assert str(caught.value).startswith(f"{path}:{line}: {message.format(op=op)}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f.yaml", "{op}s:\n  test_fake: {{status: skip, reason: x}}\n"),
        ("f.toml", '["{op}s".test_fake]\nstatus = "skip"\nreason = "x"\n'),
    ],
)
def test_an_unknown_operator(op: str, tmp_path: Path, name: str, text: str) -> None:  # W2
    path = tmp_path / name
    path.write_text(text.format(op=op))
    with pytest.raises(FailuresError) as caught:
        read_failures(path)
    start = f"{path}:1: {op}s: there is no operator of that name. Did you mean"
    assert str(caught.value).startswith(start)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f.yaml", "a: [", ":1: malformed YAML: "),
        ("f.yaml", "x: {}\na: b: c\n", ":2: malformed YAML: "),
        ("f.yaml", "[1, 2]", ":1: expected operators with tests, got list of length 2"),
        ("f.yaml", "{op}: {}\n{op}: {}\n", ":2: '{op}' is there twice"),
        ("f.yaml", "{op}:\n  test_fake: &a {status: *a}\n", "malformed YAML"),
        ("f.toml", "a = [", "malformed TOML: "),
        ("f.toml", "x = 3\n\na = = 3", ":3: malformed TOML: "),
        ("f.toml", '["{op}"]\n["{op}"]', ":2: malformed TOML: "),
        ("f.json", "{}", "a failures file is YAML or TOML"),
    ],
)
def test_what_cannot_be_parsed(op: str, tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text.replace("{op}", op))
    with pytest.raises(FailuresError) as caught:
        read_failures(path)
    assert str(caught.value).startswith(str(path))
    assert message.replace("{op}", op) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FailuresError, match=r"none\.toml: .* cannot be read: No such file"):
        read_failures(tmp_path / "none.toml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FailuresError, match="cannot be read: 'utf-8' codec"):
        read_failures(tmp_path / "f.toml")


def test_without_pyyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.yaml").write_text("")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(FailuresError, match=r"pip install 'gpuops\[profiles\]', or .* as TOML"):
        read_failures(tmp_path / "f.yaml")


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    assert find_failures(tmp_path) is None
    (tmp_path / "opcheck_failures.toml").touch()
    assert find_failures(tmp_path) == tmp_path / "opcheck_failures.toml"
    (tmp_path / "opcheck_failures.yaml").touch()
    with pytest.raises(FailuresError, match="expected one of them, found both"):
        find_failures(tmp_path)
