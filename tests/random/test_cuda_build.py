"""Cubins for a pack whose operators draw have the kernel that reserves blocks among them."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpuops
from gpuops import cuda
from gpuops.cli import main
from gpuops.cuda import nvrtc, pack
from gpuops.cuda.binaries import obtain
from gpuops.cuda.counters import RESERVE
from gpuops.random import RNGState


def build(ns: str, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    main(["cuda", "build", ns, "--arch", "sm_80", "--out", str(out)])
    return capsys.readouterr().out


def test_what_a_state_launches_is_built_with_the_operators_that_draw(
    ns: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = cuda.Kernel('extern "C" __global__ void one(int* x) { *x = 1; }', "one")
    monkeypatch.setattr(pack, "all_kernels", lambda: [kernel])

    def run(x: gpuops.Array) -> gpuops.Array:
        return x

    def draw(x: gpuops.Array, rng: RNGState | None = None) -> gpuops.Array:
        return x

    monkeypatch.setattr(pack, "load_packs", dict)
    gpuops.custom_op(f"{ns}::plain", run, mutates_args=(), device_types="cuda")
    assert build(ns, tmp_path / "plain", capsys).startswith("1 kernels for sm_80: 1 cubins")
    gpuops.custom_op(f"{ns}::draw", draw, mutates_args=(), device_types="cuda")
    out = tmp_path / "draw"
    assert build(ns, out, capsys).startswith("2 kernels for sm_80: 2 cubins")

    def missing() -> None:
        raise nvrtc.NvrtcNotFoundError("not installed")

    monkeypatch.setattr(nvrtc, "_binding", missing)
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(out))
    assert obtain(RESERVE, "sm_80").origin in set(out.iterdir())
