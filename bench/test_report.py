"""The report on made-up timings: a limit that is missed, or was not measured, has to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import bench_import, report
from bench.bars import call_bars, import_bar
from bench.figures import read
from bench.forms import BAR_FORM, FORMS, Form
from bench.peers import DIRECT, FORWARDING, GPUOPS, TORCH

FORM = str(BAR_FORM)
GOOD = {DIRECT: 30.0, FORWARDING: 50.0, GPUOPS: 100.0, TORCH: 8030.0}


def write(path: Path, ns: dict[str, float], *, form: str = FORM, calls: int = 500) -> Path:
    """A file as pytest-benchmark writes it, each peer timed twice, the first time badly."""
    rows = [
        {
            "stats": {"min": factor * value * calls / 1e9},
            "extra_info": {"form": form, "peer": peer, "calls": calls},
        }
        for factor in (1.5, 1.0)
        for peer, value in ns.items()
    ]
    machine = {"python_version": "3.11.0", "machine": "x86_64", "cpu": {"brand_raw": "a CPU"}}
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": rows}))
    return path


def test_the_least_of_all_rounds_counts(tmp_path: Path) -> None:
    calls = read(write(tmp_path / "calls.json", GOOD))
    assert calls.ns == pytest.approx({(FORM, peer): value for peer, value in GOOD.items()})
    assert calls.overhead(FORM, GPUOPS) == pytest.approx(70.0)
    assert calls.relative(FORM, GPUOPS, FORWARDING) == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, [True, True]),
        ({GPUOPS: 110.5}, [False, False]),
        ({FORWARDING: 47.0}, [False, True]),
        ({TORCH: 7029.0}, [True, False]),
    ],
)
def test_limits_on_calls(tmp_path: Path, changed: dict[str, float], kept: list[bool]) -> None:
    bars = call_bars(read(write(tmp_path / "calls.json", {**GOOD, **changed})))
    assert [bar.kept for bar in bars] == kept


def test_a_limit_that_was_not_measured_is_missed(tmp_path: Path) -> None:
    timed = {peer: value for peer, value in GOOD.items() if peer != TORCH}
    forwarding, torch = call_bars(read(write(tmp_path / "calls.json", timed)))
    assert forwarding.kept and not torch.kept
    assert torch.line.endswith("not measured, torch custom_op was not timed")


def test_a_limit_of_another_form_is_not_taken_for_the_one_that_counts(tmp_path: Path) -> None:
    bars = call_bars(read(write(tmp_path / "calls.json", GOOD, form="1 array")))
    assert [bar.kept for bar in bars] == [False, False]


def test_limit_on_the_import() -> None:
    assert import_bar(60.0).kept
    assert not import_bar(60.1).kept


@pytest.mark.parametrize(("import_ms", "status"), [(40.0, 0), (70.0, 1)])
def test_the_exit_status(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    import_ms: float,
    status: int,
) -> None:
    measured: list[dict[str, Any]] = [{"min_ms": 60.0}, {"min_ms": import_ms}]
    monkeypatch.setattr(bench_import, "measure", lambda rounds: measured)
    path = write(tmp_path / "calls.json", GOOD)
    assert report.main([str(path)]) == status
    out = capsys.readouterr().out
    assert f"{'kept' if status == 0 else 'MISSED'}: import gpuops adds" in out
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"benchmarks": [], "machine_info": {}}'])
def test_what_is_no_result_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "calls.json"
    path.write_text(text)
    assert report.main([str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"bench.report: {path}: not a result of")


def test_nothing_timed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "calls.json", {GPUOPS: 100.0})
    assert report.main([str(path)]) == 2
    assert "no form of call with timings of direct call" in capsys.readouterr().err


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_loop_makes_the_call_that_its_form_names(form: Form) -> None:
    seen: list[Any] = []
    body = f"seen.append(({', '.join(form.parameters)},))"
    arrays = [object() for _ in range(form.arrays)]
    form.loop()(form.function(body, seen=seen), 3, *arrays, 2.0)
    assert seen == [(*arrays,) if form.scalar == "none" else (*arrays, 2.0)] * 3
