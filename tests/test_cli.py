"""The `gpuops` command: what it prints, and that wrong arguments get one line and status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpuops
from gpuops.cli import main
from tests.made_packs import PACK, install

Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command line."""
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def as_json(capsys: Capture, *arguments: str, status: int = 0) -> Any:
    found, out, err = run(capsys, *arguments, "--json")
    assert found == status, err
    return json.loads(out)


# -- what it prints --------------------------------------------------------------------------------


def test_the_version(capsys: Capture) -> None:
    assert run(capsys, "--version") == (0, f"{gpuops.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["bench", "--help"]])
def test_help(capsys: Capture, arguments: list[str]) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, err) == (0, "") and "Usage: gpuops" in out


def test_info(capsys: Capture) -> None:
    found = as_json(capsys, "info")
    assert found["gpuops"] == gpuops.__version__
    assert found["python"] == sys.version.split()[0]
    assert found["devices"][0]["device"] == "cpu" and found["devices"][0]["cores"] >= 1
    assert found["packs"]["gpuops_kernels"] is None
    status, out, _ = run(capsys, "info")
    assert status == 0 and found["numpy"] in out and "gpuops_kernels" in out


def test_ops(capsys: Capture) -> None:
    rows = as_json(capsys, "ops")["operators"]
    assert "gpuops_kernels::random_bits" in {row["name"] for row in rows}
    (row,) = as_json(capsys, "ops", "RANDOM_bits")["operators"]
    assert row["schema"].startswith("gpuops_kernels::random_bits(")
    assert row["kernels"].keys() == {"default", "cpu", "cuda"}
    assert "random_bits/op.py:" in row["declared_at"]
    status, out, _ = run(capsys, "ops", "random_bits")
    assert status == 0 and row["schema"] in out and row["kernels"]["cpu"] in out


def test_bench_writes_what_it_measured(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    options = ("--rounds", "1", "--device", "cpu", "--out", str(out))
    report = as_json(capsys, "bench", "random_b", *options)
    assert {row["operator"] for row in report["throughput"]} == {"gpuops_kernels::random_bits"}
    assert report["devices"] == ["cpu"] and report["rounds"] == 1
    assert all(row["kernel_ms"] > 0 and row["device"] == "cpu" for row in report["throughput"])
    assert report["calls"][0]["call"] == "1 array"
    written = json.loads((out / "bench.json").read_text())
    assert written["throughput"] == report["throughput"]
    assert sorted(path.name for path in out.iterdir()) == ["bench.json", "bench.png"]


# -- what it refuses -------------------------------------------------------------------------------


@pytest.fixture
def a_file(tmp_path: Path) -> str:
    path = tmp_path / "a file"
    path.write_text("")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["ops", "--nonsense"], "No such option: --nonsense"),
        (["ops", "rms", "more"], "unexpected extra argument"),
        (["info", "more"], "unexpected extra argument"),
        (["ops", "rsm_norm"], "no operator's name contains 'rsm_norm'. Did you mean"),
        (["bench", "no_such_operator"], "no operator's name contains 'no_such_operator'"),
        (["bench", "--rounds", "0"], "--rounds"),
        (["bench", "--rounds", "many"], "--rounds"),
        (["bench", "--rounds"], "--rounds"),
        (["bench", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["demo", "--out"], "--out"),
        (["demo", "--out", "{file}"], "is a file"),
        (["demo", "--out", "{file}/below"], "Not a directory"),
        (["bench", "rms", "--out", "{file}/below"], "Not a directory"),
        (["demo", "--out", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_wrong_arguments_get_one_line_and_status_2(
    capsys: Capture, a_file: str, arguments: list[str], message: str, json_too: bool
) -> None:
    if json_too:
        arguments = [arguments[0], "--json", *arguments[1:]]
    status, out, err = run(capsys, *(text.format(file=a_file) for text in arguments))
    assert status == 2 and out == "", "nothing is done before the arguments are known to be right"
    assert err.startswith("gpuops: ") and err.count("\n") == 1 and message in err


def test_cuda_where_there_is_none(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpuops.cli import bench
    from gpuops.cli.system import CudaState

    monkeypatch.setattr(bench, "cuda_state", lambda: CudaState([], "no driver here"))
    status, out, err = run(capsys, "bench", "--device", "cuda")
    assert (status, out, err) == (2, "", "gpuops: --device cuda: no driver here\n")


# -- packs that break ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["import no_such_module", "1 +", "raise SystemExit(3)"])
def test_a_broken_pack_is_reported_and_hides_nothing(
    capsys: Capture, ns: str, site: Path, text: str
) -> None:
    install(site, f"broken_{ns}", text)
    found = as_json(capsys, "ops", "random_bits")
    assert len(found["operators"]) == 1 and list(found["broken_packs"]) == [f"broken_{ns}"]
    status, out, err = run(capsys, "ops", "random_bits")
    assert status == 0 and "random_bits" in out
    assert f"the pack broken_{ns} cannot be imported" in err
    assert as_json(capsys, "info")["packs"][f"broken_{ns}"]
    assert as_json(capsys, "bench", "softmax", "--rounds", "1")["packs"][f"broken_{ns}"]


FAILING = """
from gpuops.cases import BenchShape, Case

def build(rng):
    raise ValueError("of the pack")

CASES = [Case("a", build)]
BENCH = [BenchShape("big", build)]
"""


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ("CASES = [3]", "expected a list of Case, found int 3"),
        ("1 +", "its module of cases cannot be imported: SyntaxError"),
        ("raise SystemError('no')", "its module of cases cannot be imported: SystemError: no"),
        (FAILING, "triple on cpu, input big, cannot be timed: ValueError: of the pack"),
    ],
)
def test_a_pack_whose_cases_fail_gets_one_line_and_status_1(
    capsys: Capture, ns: str, site: Path, cases: str, message: str
) -> None:
    install(site, f"pack_{ns}", PACK, package=True)
    (site / f"pack_{ns}" / "cases.py").write_text(cases)
    status, _, err = run(capsys, "bench", f"pack_{ns}", "--rounds", "1", "--device", "cpu")
    assert status == 1
    assert err.startswith("gpuops: ") and err.count("\n") == 1 and message in err
    assert f"pack_{ns}::triple" in err


# -- as a process ----------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"'{sys.executable}' -m gpuops.cli ops --json | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_output_that_cannot_be_written_gets_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to write to")
    command = f"'{sys.executable}' -m gpuops.cli info > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gpuops: No space left on device")
    assert done.stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['typer'] = None\n"
        "from gpuops.cli import main\n"
        "sys.exit(main(['info']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "gpuops: the command line needs typer: pip install 'gpuops[cli]'\n"
