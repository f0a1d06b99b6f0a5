"""``gpuops cuda``: tables and JSON of resources, cubins in a folder, one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gpuops
from gpuops import cuda
from gpuops.cli import main
from gpuops.cuda import nvrtc
from gpuops.cuda.binaries import obtain

Capture = pytest.CaptureFixture[str]

SOURCE = """
extern "C" __global__ void fill(float* x, float s, long long n) { x[n] = s; }
extern "C" __global__ void __launch_bounds__(64) clear(float* x) { *x = 0; }
"""


@pytest.fixture
def pack(ns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A namespace whose one operator launches two kernels."""
    folder = tmp_path / f"pack_{ns}"
    folder.mkdir()
    (folder / "both.cu").write_text(SOURCE)
    (folder / "launch.py").write_text(
        "from gpuops import cuda\n"
        "KERNELS = [cuda.Kernel('both.cu', name) for name in ('fill', 'clear')]\n"
        "def run(x): return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    op = gpuops.custom_op(f"{ns}::f", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    op.register_kernel("cuda", f"{folder.name}.launch:run")
    return ns


def run(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    status = main(["cuda", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_report(pack: str, capsys: Capture) -> None:
    status, out, err = run(capsys, "report", pack, "--arch", "sm_80", "--arch", "90")
    assert (status, err) == (0, "")
    rows = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    assert [(row[0].strip(), row[1].strip()) for row in rows] == [
        ("clear", "sm_80"), ("clear", "sm_90"), ("fill", "sm_80"), ("fill", "sm_90"),
    ]  # fmt: skip
    assert [(row[7].strip(), row[8].strip()) for row in rows[1:3]] == [("8", "64"), ("20", "1024")]


def test_a_report_as_json_is_what_compile_report_says(pack: str, capsys: Capture) -> None:
    status, out, _ = run(capsys, "report", pack, "--json")
    rows = json.loads(out)
    assert status == 0 and len(rows) == 2 * len(cuda.SUPPORTED_ARCHS)
    (fill,) = [kernel for kernel in cuda.pack_kernels(pack) if kernel.name == "fill"]
    (row,) = cuda.compile_report(fill, ["sm_75"])
    (found,) = [one for one in rows if (one["kernel"], one["arch"]) == ("fill", "sm_75")]
    assert found["registers"] == row.registers and found["parameters"] == [8, 4, 8]
    assert found.keys() == {
        "kernel", "arch", "registers", "spill_stores", "spill_loads", "stack", "static_shared",
        "constant", "parameters", "max_threads",
    }  # fmt: skip


def test_what_is_built_runs_without_a_compiler(
    pack: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "not there yet" / "cubins"
    arguments = ["build", pack, "--arch", "sm_90", "--arch", "sm_80", "--out", str(out)]
    status, text, err = run(capsys, *arguments)
    assert (status, err) == (0, "")
    assert text.startswith("2 kernels for sm_90, sm_80: 4 cubins, ")
    assert len(list(out.glob("*.cubin"))) == len(list(out.iterdir())) == 4
    again = run(capsys, *arguments)
    assert again[:2] == (status, text) and len(list(out.iterdir())) == 4

    def missing() -> None:
        raise nvrtc.NvrtcNotFoundError("not installed")

    monkeypatch.setattr(nvrtc, "_binding", missing)
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(out))
    for kernel in cuda.pack_kernels(pack):
        assert obtain(kernel, "sm_86").origin in set(out.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "nosuch"], "no operators in the namespace 'nosuch'"),
        (["report", "gpuops_kernel"], "Did you mean 'gpuops_kernels'?"),
        (["report", "{pack}", "--arch", "sm_1"], "does not compile for sm_1"),
        (["report", "{pack}", "--arch", "volta"], "expected an architecture such as 'sm_80'"),
        (["build", "{pack}"], "Missing option '--out'"),
        (["build", "{pack}", "--out", "{file}"], "is a file"),
        (["build", "{pack}", "--out", "{file}/below"], "Not a directory"),
        (["report", "{empty}"], "has no CUDA kernels"),
    ],
)
def test_what_is_wrong_gets_one_line_and_status_2(
    arguments: list[str], message: str, pack: str, capsys: Capture, tmp_path: Path
) -> None:
    file, empty = tmp_path / "file", f"{pack}_empty"
    file.write_text("")
    names = {"pack": pack, "file": str(file), "empty": empty}
    op = gpuops.custom_op(f"{empty}::f", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    try:
        status, out, err = run(capsys, *(argument.format(**names) for argument in arguments))
    finally:
        op.undo()
    assert (status, out) == (2, "")
    assert err.startswith("gpuops: ") and err.count("\n") == 1
    assert message in err


def test_the_caches_are_reported(capsys: Capture) -> None:
    assert main(["info", "--json"]) == 0
    caches = {row["name"]: row for row in json.loads(capsys.readouterr().out)["caches"]}
    assert "kernels" in caches["CUDA kernels"]["folder"]
