"""What compiled kernels are found by: everything that matters, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuops.cuda.cachekey import digest, toolchain

SOURCE = '#include "a.cuh"\n#include <cuda_fp16.h>\n__global__ void f() {}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.cuh").write_text('#include "deep/b.cuh"\nconstexpr int A = 1;\n')
    (tmp_path / "deep" / "b.cuh").write_text('  # include "c.cuh"\nconstexpr int B = 1;\n')
    (tmp_path / "deep" / "c.cuh").write_text('#pragma once\n#include "b.cuh"\n')
    (tmp_path / "unused.cuh").write_text("constexpr int C = 1;\n")
    return tmp_path


def key(
    folder: Path | None,
    source: str = SOURCE,
    options: tuple[str, ...] = (),
    name: str = "f",
    arch: str = "sm_80",
) -> str:
    beside = () if folder is None else (f"-I{folder}",)
    return digest(source, folder, (*beside, *options), name, arch)


def test_each_input_matters(folder: Path) -> None:
    keys = {
        key(folder),
        key(folder, SOURCE + " "),
        key(folder, options=("-DN=1",)),
        key(folder, options=("-DN=2",)),
        key(folder, options=("-DN=1", "-DM=1")),
        key(folder, name="g"),
        key(folder, arch="sm_90"),
        key(folder, options=("-include=unused.cuh",)),
        key(folder, options=("--pre-include", "unused.cuh")),
    }
    assert len(keys) == 8, "the last two are one option in two spellings"
    assert all(len(found) == 32 for found in keys)


@pytest.mark.parametrize("header", ["a.cuh", "deep/b.cuh", "deep/c.cuh"])
def test_headers_matter_however_deep(header: str, folder: Path) -> None:
    before = key(folder)
    path = folder / header
    path.write_text(path.read_text() + "// changed\n")
    assert key(folder) != before


def test_a_header_that_appears_matters(folder: Path) -> None:
    (folder / "deep" / "c.cuh").unlink()
    before = key(folder)
    (folder / "deep" / "c.cuh").write_text("int x;\n")
    assert key(folder) != before


def test_what_does_not_matter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = key(folder)
    (folder / "unused.cuh").write_text("changed")
    os.utime(folder / "a.cuh", (1, 1))
    elsewhere = tmp_path_factory.mktemp("another place") / "moved"
    folder.rename(elsewhere)
    assert key(elsewhere) == before
    # Folders of headers are where things lie; what is found in them counts.
    assert key(elsewhere, options=("-I/nowhere", "--include-path=/nowhere")) == before


def test_headers_in_folders_that_options_name(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "lib.cuh").write_text("int x;")
    source = "#include <lib.cuh>\n__global__ void f() {}"
    for options in ((f"-I{shared}",), ("-I", str(shared)), ("--include-path", str(shared))):
        (shared / "lib.cuh").write_text("int x;")
        before = key(None, source, options)
        (shared / "lib.cuh").write_text("int y;")
        assert key(None, source, options) != before
    # In angle brackets, the folder of the source itself is searched as an option only.
    assert digest(source, shared, (), "f", "sm_80") == digest(source, None, (), "f", "sm_80")


def test_headers_that_a_macro_names(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "deep").mkdir(parents=True)
    header = shared / "deep" / "lib.cuh"
    source = '#define LIB "deep/lib.cuh"\n  # include LIB\n__global__ void f() {}'
    for place, options in ((shared, ()), (None, (f"-I{shared}",))):
        header.write_text("int x;")
        before = digest(source, place, options, "f", "sm_80")
        header.write_text("int y;")
        assert digest(source, place, options, "f", "sm_80") != before
        (shared / "notes.md").write_text(f"not a header {place}")
        after = digest(source, place, options, "f", "sm_80")
        (shared / "notes.md").write_text("changed")
        assert digest(source, place, options, "f", "sm_80") == after
    plain = "__global__ void f() {}"
    before = digest(plain, shared, (), "f", "sm_80")
    header.write_text("int z;")
    assert digest(plain, shared, (), "f", "sm_80") == before


def test_headers_that_include_each_other_end(folder: Path) -> None:
    (folder / "a.cuh").write_text('#include "a.cuh"\n')
    assert len(key(folder)) == 32


def test_the_toolchain_names_compiler_and_wheels() -> None:
    name = toolchain()
    assert name is not None
    assert name.startswith("nvrtc1") and len(name.split("-")[1]) == 8
