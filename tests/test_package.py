"""The package as it is installed: what it carries, where it works from, what importing it loads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"gpuops": ROOT / "gpuops", "gpuops_kernels": ROOT / "kernels" / "gpuops_kernels"}
OPTIONAL = (
    "cupy",
    "jax",
    "matplotlib",
    "numba",
    "optree",
    "rich",
    "sympy",
    "torch",
    "typer",
    "yaml",
)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command without the caller's import path; its standard output."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is needed to build, in a folder with spaces in its name."""
    folder = tmp_path_factory.mktemp("a path") / "with spaces" / "gpuops"
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy2(ROOT / name, folder / name)
    for name in ("gpuops", "kernels"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb[ic]")
        )
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    out = checkout.parent / "dist"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, checkout)
    (built,) = out.glob("gpuops-*.whl")
    return built


def install(folder: Path, *what: str | Path) -> Path:
    """A new environment in `folder` with one thing installed; its Python.

    The environment sees the packages of the one that runs the tests, after its own, so that
    nothing has to be fetched. Site-packages that are named in a .pth file do not have their own
    .pth files read: an editable gpuops of the outer environment stays invisible.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    outer = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (Path(site) / "outer.pth").write_text("\n".join(outer) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall", "--quiet")
    run(*pip, "install", *options, *what)
    return python


def files(package: Path) -> set[str]:
    """The files of a package that have to be installed, relative to its folder."""
    return {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.suffix in {".py", ".cu", ".cuh", ".txt", ".typed", ".yaml"}
        and not path.name.startswith("test_")
        and path.name != "torch_peer.py"
    }


def test_the_wheel_carries_both_packages_and_the_kernel_sources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry_points = next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
        declared = archive.read(entry_points).decode()
    expected = {f"{name}/{file}" for name, folder in PACKAGES.items() for file in files(folder)}
    assert names == expected
    assert any(name.endswith(".cu") for name in names)
    assert "gpuops/py.typed" in names
    assert "gpuops = gpuops.cli:main" in declared
    assert "[gpuops.ops]\ngpuops_kernels = gpuops_kernels" in declared


def test_no_shipped_module_imports_pytest() -> None:
    for folder in PACKAGES.values():
        # The plugin is imported by pytest and by nothing else.
        for name in files(folder):
            if name.startswith("pytest_plugin/"):
                continue
            text = (folder / name).read_text()
            assert "import pytest" not in text, f"{folder.name}/{name}"


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_installation_works(kind: str, wheel: Path, checkout: Path, tmp_path: Path) -> None:
    what = [wheel] if kind == "wheel" else ["--editable", checkout]
    python = install(tmp_path / "new environment", *what)
    code = (
        "import json, gpuops, gpuops_kernels;"
        "print(json.dumps([gpuops.__file__, gpuops_kernels.__file__, gpuops.load_packs(),"
        "[op.qualname for op in gpuops.operators('gpuops_kernels')]]))"
    )
    core, pack, packs, names = json.loads(run(python, "-c", code, cwd=tmp_path))
    expected = tmp_path / "new environment" if kind == "wheel" else checkout
    assert Path(core).is_relative_to(expected), core
    assert Path(pack).is_relative_to(expected), pack
    assert packs["gpuops_kernels"] is None
    assert "gpuops_kernels::rms_norm" in names
    # The script too: its first line holds the path of an interpreter, here one with a space.
    listed = json.loads(run(python.with_name("gpuops"), "ops", "--json", cwd=tmp_path))
    assert {row["name"] for row in listed["operators"]} >= set(names)


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "somebodys-kernels"
version = "1.2"
dependencies = ["gpuops"]

[project.entry-points."gpuops.ops"]
somebody = "somebodys_kernels"
"""


def test_a_pack_of_somebody_else_is_found_once_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    package = tmp_path / "project" / "somebodys_kernels"
    package.mkdir(parents=True)
    (package.parent / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").write_text("from somebodys_kernels import op\n")
    (package / "op.py").write_text(
        "from gpuops import Array, custom_op\n\n"
        "@custom_op('somebody::triple', mutates_args=())\n"
        "def triple(x: Array) -> Array:\n    return 3 * x\n\n"
        "triple.register_kernel('cpu', '.cpu:run')\n"
    )
    (package / "cpu.py").write_text("def run(x):\n    return x + x + x\n")
    python = install(tmp_path / "environment", wheel, package.parent)
    code = (
        "import sys, numpy as np, gpuops;"
        "assert 'somebodys_kernels' not in sys.modules;"
        "print(gpuops.ops.somebody.triple(np.ones(1))[0], 'somebodys_kernels.cpu' in sys.modules)"
    )
    assert run(python, "-c", code, cwd=tmp_path).split() == ["3.0", "True"]
    (row,) = json.loads(run(python.with_name("gpuops"), "ops", "triple", "--json"))["operators"]
    assert row["name"] == "somebody::triple" and "somebodys_kernels/op.py" in row["declared_at"]
    assert (
        json.loads(run(python.with_name("gpuops"), "info", "--json"))["packs"]["somebody"] is None
    )


def newly_imported(code: str, tmp_path: Path) -> set[str]:
    """The modules that `code` loads in an interpreter that has imported NumPy."""
    check = (
        "import sys, json, numpy; known = set(sys.modules);"
        f"{code}; print(json.dumps(sorted(set(sys.modules) - known)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_importing_gpuops_loads_numpy_and_the_standard_library_only(tmp_path: Path) -> None:
    top = {name.partition(".")[0] for name in newly_imported("import gpuops", tmp_path)}
    assert top - set(sys.stdlib_module_names) == {"gpuops"}


def test_importing_gpuops_loads_nothing_slow(tmp_path: Path) -> None:
    """The time is bench/bench_import.py's to measure; what it is made of can be tested."""
    slow = {"asyncio", "ctypes", "email", "http", "multiprocessing", "unittest", "xml"}
    loaded = newly_imported("import gpuops", tmp_path)
    assert {name.partition(".")[0] for name in loaded} & slow == set()
    # gpuops has 48 modules to load, most of them of a few hundred lines, and the standard library
    # brings some ten that NumPy has not loaded: half a millisecond each. A large step above that
    # would be felt by everybody who imports gpuops.
    assert len(loaded) <= 64, sorted(loaded)


def test_importing_the_pack_loads_no_array_library(tmp_path: Path) -> None:
    top = {name.partition(".")[0] for name in newly_imported("import gpuops_kernels", tmp_path)}
    assert top & set(OPTIONAL) == set()


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    import gpuops

    assert version("gpuops") == gpuops.__version__
