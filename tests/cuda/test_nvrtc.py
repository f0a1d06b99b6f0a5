"""NVRTC through each of its bindings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from gpuops.cuda import bindings, nvrtc

SOURCE = "template <typename T> __global__ void f(T* x) { *x = 1; }"
ALL = {
    "library": bindings._Library,
    "cupy": bindings._Cupy,
    "cuda.bindings": bindings._Bindings,
}


@pytest.fixture(params=ALL)
def binding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    package = {"cupy": "cupy_backends", "cuda.bindings": "cuda"}.get(request.param, "nvidia")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")
    if request.param == "cuda.bindings" and importlib.util.find_spec("cuda.bindings") is None:
        pytest.skip("the package cuda.bindings is not installed")
    found = ALL[request.param]()
    monkeypatch.setattr(nvrtc, "_binding", lambda: found)
    return found


def test_every_binding_compiles_to_the_same(binding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = nvrtc.compile_cubin(SOURCE, 80, (nvrtc.VERBOSE,), ("f<float>",), "a.cu", types=True)
    assert found.lowered == {"f<float>": "_Z1fIfEvPT_"}
    assert found.types == {"f<float>": "_Z16gpuops_signatureIPFvPfEEvv"}
    assert nvrtc.read_spills(found.log)["_Z1fIfEvPT_"] == (0, 0)
    monkeypatch.setattr(nvrtc, "_binding", bindings._Library)
    same = nvrtc.compile_cubin(SOURCE, 80, (nvrtc.VERBOSE,), ("f<float>",), "a.cu", types=True)
    assert found.code == same.code
    assert binding.version() == bindings._Library().version()


def test_every_binding_gives_ptx_and_errors(binding: Any) -> None:
    found = nvrtc.compile_ptx(SOURCE, 80, (), ("f<int>",))
    assert found.code.startswith(b"//") and b".entry _Z1fIiEvPT_" in found.code
    assert not found.code.endswith(b"\0")
    with pytest.raises(
        nvrtc.CompileError, match=r"^a.cu:1: identifier \"y\" is undefined"
    ) as error:
        nvrtc.compile_ptx("__global__ void f(int* x) { *x = y; }", 80, (), ("f",), "a.cu")
    assert (error.value.filename, error.value.line) == ("a.cu", 1)


def test_without_any_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise OSError("the library nvrtc is not installed")

    monkeypatch.setattr(bindings, "_open", missing)
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.nvrtc", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings.nvrtc", None)
    with pytest.raises(bindings.NvrtcNotFoundError, match=r"pip install 'gpuops\[cuda12\]"):
        bindings.load_binding()


def test_compiling_imports_no_cupy() -> None:
    code = (
        "import sys; from gpuops import cuda\n"
        f"kernel = cuda.Kernel({SOURCE!r}, 'f<float>')\n"
        "print(kernel.signature, 'cupy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "f<float>(float* x) False\n"


def test_headers_of_cub_and_cooperative_groups_are_found() -> None:
    source = """
    #include <cooperative_groups.h>
    extern "C" __global__ void f() { cooperative_groups::this_thread_block().sync(); }
    """
    assert nvrtc.compile_ptx(source, 80, (), ("f",)).code
