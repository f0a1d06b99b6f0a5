"""Compiled kernels on disk: whole or not used, between processes and threads."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops import cuda
from gpuops.cuda import binaries, nvrtc, store
from gpuops.cuda.store import Binary

ROOT = Path(__file__).resolve().parents[2]
SOURCE = 'extern "C" __global__ void fill(float* x, float s, long long n) { x[n] = s; }'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own; what was warned of is forgotten."""
    monkeypatch.setenv("GPUOPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "_warned", set())
    return tmp_path / "cache"


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The architectures NVRTC is asked for, in order."""
    asked: list[str] = []
    real = nvrtc.compile_cubin

    def counted(source: str, arch: str, *args: Any, **kwargs: Any) -> nvrtc.Compiled:
        asked.append(arch)
        return real(source, arch, *args, **kwargs)

    monkeypatch.setattr(nvrtc, "compile_cubin", counted)
    return asked


def fill() -> cuda.Kernel:
    return cuda.Kernel(SOURCE, "fill")


BINARY = Binary("f<int>", "sm_80", "_Z1fIiEvv", "", (1, 2), "nvrtc1.2-ab", b"\x7fELF\n\x00code")


# -- the file --------------------------------------------------------------------------------------


def test_a_file_holds_all_of_a_kernel() -> None:
    assert store.decode(store.encode(BINARY)) == BINARY


@given(data=st.data())
def test_a_file_that_is_cut_off_is_noticed(data: st.DataObject) -> None:
    whole = store.encode(BINARY)
    with pytest.raises(ValueError, match="checksum|version"):
        store.decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(data=st.data())
def test_a_file_that_was_changed_is_noticed(data: st.DataObject) -> None:
    changed = bytearray(store.encode(BINARY))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="checksum|version"):
        store.decode(bytes(changed))


def test_file_names_are_for_people_and_file_systems() -> None:
    name = store.file_name("ns::k<const float*, (A + 1) / 2>", "sm_90", "ab", "nvrtc12.9-cd")
    assert name == "ns_k_const_float_A_1_2.sm_90.ab.nvrtc12.9-cd.cubin"
    assert len(store.file_name("k" * 500, "sm_90", "a" * 32, "nvrtc12.9-cd")) < 150


# -- the cache -------------------------------------------------------------------------------------


def test_the_second_process_compiles_nothing(
    cache: Path, compiles: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    first = binaries.obtain(fill(), "sm_90")
    assert capfd.readouterr().err == "gpuops: compiling fill for sm_90 ...\n"
    second = binaries.obtain(fill(), "sm_90")
    assert capfd.readouterr().err == ""
    assert compiles == ["sm_90"]
    assert second.code == first.code and second.resources == first.resources
    (path,) = cache.iterdir()
    assert second.origin == path and first.origin is None
    binaries.obtain(fill(), "sm_80")
    assert compiles == ["sm_90", "sm_80"]


@pytest.mark.parametrize(("value", "quiet"), [("1", True), ("0", False), ("", False)])
def test_quiet(
    value: str,
    quiet: bool,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GPUOPS_QUIET", value)
    binaries.obtain(fill(), "sm_90")
    assert (capfd.readouterr().err == "") is quiet


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_file_is_taken_away_and_made_anew(
    damage: str, cache: Path, compiles: list[str]
) -> None:
    good = binaries.obtain(fill(), "sm_90")
    (path,) = cache.iterdir()
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[: len(data) // 2],
            "changed": data[:-10] + b"\xff" * 10,
            "empty": b"",
            "other": b"\x7fELF of something else",
        }[damage]
    )
    again = binaries.obtain(fill(), "sm_90")
    assert compiles == ["sm_90", "sm_90"]
    assert again.code == good.code
    assert path.read_bytes() == data


def test_what_another_compiler_made_is_not_used(
    cache: Path, compiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries.obtain(fill(), "sm_90")
    monkeypatch.setattr(binaries, "toolchain", lambda: "nvrtc99.0-00000000")
    binaries.obtain(fill(), "sm_90")
    assert compiles == ["sm_90", "sm_90"]
    assert len(list(cache.iterdir())) == 2


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUOPS_CACHE_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert store.cache_folder() == Path("/a")
    monkeypatch.delenv("GPUOPS_CACHE_DIR")
    assert store.cache_folder() == Path("/b/gpuops")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert store.cache_folder() == Path("/c/.cache/gpuops")


def refuse(number: int) -> Any:
    def replace(source: Any, target: Any) -> None:
        raise OSError(number, os.strerror(number), str(target))

    return replace


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_is_reported_once(
    number: int, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", refuse(number))
    with pytest.warns(RuntimeWarning, match="compiled kernels are not kept") as caught:
        first = binaries.obtain(fill(), "sm_90")
    assert str(cache) in str(caught[0].message) and os.strerror(number) in str(caught[0].message)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert binaries.obtain(fill(), "sm_90").code == first.code
    assert list(cache.iterdir()) == [], "a temporary file was left"


def test_a_cache_that_is_no_folder(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.warns(RuntimeWarning, match="cannot be written to"):
        assert binaries.obtain(fill(), "sm_90").resources.registers > 0


def test_no_home(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("GPUOPS_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.warns(RuntimeWarning, match="this user has no home; set GPUOPS_CACHE_DIR"):
        assert binaries.obtain(fill(), "sm_90").resources.registers > 0


# -- several at a time -----------------------------------------------------------------------------

PROCESS = f"""
import sys, time
from gpuops import cuda
from gpuops.cuda.binaries import obtain
while time.time() < float(sys.argv[1]): time.sleep(0.001)
for n in range(4):
    kernel = cuda.Kernel({SOURCE!r} + f"// {{n}}", "fill")
    binary = obtain(kernel, "sm_90")
    assert len(kernel.signature_from(binary).parameters) == 3
    print(binary.symbol, binary.resources.registers, len(binary.code))
"""


def test_eight_processes_share_a_cache(cache: Path) -> None:
    import time

    start = str(time.time() + 3)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROCESS, start],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    outputs = set()
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        outputs.add(out)
    assert len(outputs) == 1, outputs
    assert len(list(cache.glob("*.cubin"))) == 4
    assert [path for path in cache.iterdir() if path.suffix != ".cubin"] == []


def test_reading_beside_writing(cache: Path) -> None:
    """A reader always finds a whole file, while another thread replaces it over and over."""
    binary = binaries.compile_binary(fill(), "sm_90", announce=False)
    stop = threading.Event()
    store.write(cache, binary, "ab")

    def write() -> None:
        while not stop.is_set():
            store.write(cache, binary, "ab")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [
            store.find(cache, "fill", "sm_90", "ab", binary.toolchain, own=False)
            for _ in range(300)
        ]
    finally:
        stop.set()
        writer.join()
    assert all(one is not None and one.code == binary.code for one in found)


# -- built beforehand ------------------------------------------------------------------------------


@pytest.fixture
def no_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where NVRTC is not installed."""

    def missing() -> Any:
        raise nvrtc.NvrtcNotFoundError("compiling CUDA kernels needs NVRTC: pip install ...")

    monkeypatch.setattr(nvrtc, "_binding", missing)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "built"
    for arch in ("sm_80", "sm_90"):
        binaries.build(fill(), arch, folder)
    return folder


@pytest.mark.parametrize("how", ["path", "copied"])
@pytest.mark.parametrize(
    ("arch", "taken"),
    [("sm_80", "sm_80"), ("sm_86", "sm_80"), ("sm_89", "sm_80"), ("sm_90", "sm_90")],
)
def test_a_host_without_a_compiler_loads_what_was_built(
    how: str, arch: str, taken: str, built: Path, cache: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    request.getfixturevalue("no_nvrtc")
    if how == "path":
        monkeypatch.setenv("GPUOPS_CUBIN_PATH", f"/nowhere{os.pathsep}{built}")
    else:
        monkeypatch.setenv("GPUOPS_CACHE_DIR", str(built))
    kernel = fill()
    binary = binaries.obtain(kernel, arch)
    assert binary.arch == taken
    assert binary.origin is not None and binary.origin.parent == built
    assert str(kernel.signature_from(binary)) == "fill(float* x, float s, long long n)"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("arch", ["sm_75", "sm_87", "sm_100", "sm_90a"])
def test_what_does_not_run_there_is_not_loaded(
    arch: str, built: Path, cache: Path, no_nvrtc: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(built))
    with pytest.raises(nvrtc.NvrtcNotFoundError) as caught:
        binaries.obtain(fill(), arch)
    assert f"there is no compiled 'fill' for {arch} in {built}, {cache}; compiling" in str(
        caught.value
    )


def test_another_source_is_not_mistaken_for_it(
    built: Path, cache: Path, no_nvrtc: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(built))
    other = cuda.Kernel(SOURCE.replace("= s", "= -s"), "fill")
    with pytest.raises(nvrtc.NvrtcNotFoundError, match="there is no compiled 'fill' for sm_90"):
        binaries.obtain(other, "sm_90")


def test_what_was_built_is_used_before_the_compiler(
    built: Path, cache: Path, compiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(built))
    compiles.clear()
    assert binaries.obtain(fill(), "sm_90").origin is not None
    assert compiles == []


def test_a_damaged_built_file_is_reported_and_left(
    built: Path, cache: Path, compiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUOPS_CUBIN_PATH", str(built))
    compiles.clear()
    (path,) = built.glob("*sm_90*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(RuntimeWarning, match="is not used: its checksum is wrong"):
        assert binaries.obtain(fill(), "sm_90").origin is None
    assert path.exists() and compiles == ["sm_90"]
