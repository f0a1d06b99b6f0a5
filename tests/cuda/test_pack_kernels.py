"""Every CUDA kernel of the pack, compiled for every supported architecture.

A kernel that spills registers fails, unless ``spills.txt`` in its folder says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import gpuops_kernels
from gpuops import cuda
from gpuops.errors import OperatorNotFoundError

FOLDER = Path(gpuops_kernels.__file__).parent


@dataclass(frozen=True)
class Compiled:
    kernels: list[cuda.Kernel]
    rows: list[cuda.KernelReport]

    def of(self, kernel: cuda.Kernel) -> list[cuda.KernelReport]:
        return [row for row in self.rows if row.kernel == kernel.name]


@pytest.fixture(scope="module")
def pack() -> Compiled:
    kernels = cuda.pack_kernels("gpuops_kernels")
    return Compiled(kernels, cuda.compile_reports(kernels))


def reasons(folder: Path) -> dict[str, str]:
    """By kernel, why it may spill."""
    path = folder / "spills.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.split(": ", 1) for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def test_every_source_is_compiled_for_every_architecture(pack: Compiled) -> None:
    assert {Path(kernel.filename) for kernel in pack.kernels} == set(FOLDER.glob("*/*.cu"))
    assert len(pack.rows) == len(pack.kernels) * len(cuda.SUPPORTED_ARCHS)
    for kernel in pack.kernels:
        assert [row.arch for row in pack.of(kernel)] == list(cuda.SUPPORTED_ARCHS)


def test_every_kernel_of_a_source_is_compiled(pack: Compiled) -> None:
    """No ``__global__`` function is left out because nothing instantiates it."""
    for path in FOLDER.glob("*/*.cu"):
        names = {k.name.partition("<")[0] for k in pack.kernels if k.filename == str(path)}
        assert path.read_text().count("__global__") == len(names), path


def test_none_spills_without_a_reason(pack: Compiled) -> None:
    spilling: dict[Path, set[str]] = {}
    for kernel in pack.kernels:
        folder = Path(kernel.filename).parent
        found = spilling.setdefault(folder, set())
        if any(row.spills for row in pack.of(kernel)):
            found.add(kernel.name)
    for folder, names in spilling.items():
        excused = reasons(folder)
        for name in sorted(names - excused.keys()):
            rows = [row for row in pack.rows if row.kernel == name and row.spills]
            pytest.fail(f"{name} spills, and {folder / 'spills.txt'} does not say why: {rows}")
        assert excused.keys() <= names, f"{folder / 'spills.txt'} excuses kernels that do not spill"
        assert all(len(reason) > 20 for reason in excused.values())


def test_a_spilling_kernel_would_be_found(pack: Compiled, tmp_path: Path) -> None:
    source = tmp_path / "spills.cu"
    loop = "#pragma unroll\n    for (int i = 0; i < 120; i++)"
    source.write_text(
        'extern "C" __global__ void __launch_bounds__(1024) spills(float* x, int n) {\n'
        f"    float a[120];\n{loop} a[i] = x[i * n];\n    for (int j = 0; j < n; j++)\n"
        f"{loop} a[i] = a[(i * 7 + 1) % 120] * a[i] + x[j];\n{loop} x[i] = a[i];\n}}\n"
    )
    kernel = cuda.Kernel(source, "spills")
    planted = Compiled([kernel], cuda.compile_reports([kernel], ["sm_75", "sm_90"]))
    assert all(row.spills > 0 for row in planted.rows)
    with pytest.raises(pytest.fail.Exception, match="spills, and .*spills.txt does not"):
        test_none_spills_without_a_reason(planted)
    (tmp_path / "spills.txt").write_text("# why\nspills: 120 values, 64 registers\n")
    test_none_spills_without_a_reason(planted)
    fine = Compiled(planted.kernels, [])
    with pytest.raises(AssertionError, match="excuses kernels that do not spill"):
        test_none_spills_without_a_reason(fine)


def test_reports_say_what_the_kernels_take(pack: Compiled) -> None:
    (row, *_) = [row for row in pack.rows if row.kernel == "rms_norm<float>"]
    assert row.parameters == (8, 8, 8, 8, 8, 8)
    assert row.static_shared == 32 * 4 and row.max_threads == 1024
    assert 16 <= row.registers <= 64
    (kernel,) = [kernel for kernel in pack.kernels if kernel.name == "rms_norm<float>"]
    for one in (["sm_75"], ("compute_75",), "sm_75", 75):
        assert cuda.compile_report(kernel, one) == (row,)
    with pytest.raises(cuda.ArchitectureError, match="expected an architecture such as"):
        cuda.compile_report(kernel, "turing")


def test_one_report_of_kernels_with_options() -> None:
    """Kernels of one text with other options are other programs."""
    source = 'extern "C" __global__ void f(int* x) { __shared__ int a[N]; a[*x] = 1; *x = a[0]; }'
    kernels = [cuda.Kernel(source, "f", options=(f"-DN={n}",)) for n in (10, 20)]
    rows = cuda.compile_reports(kernels, ["sm_80", 90])
    assert [(row.arch, row.static_shared) for row in rows] == [
        ("sm_80", 40), ("sm_90", 40), ("sm_80", 80), ("sm_90", 80),
    ]  # fmt: skip


def test_kernels_are_found_by_what_operators_register(pack: Compiled) -> None:
    names = {kernel.name for kernel in pack.kernels}
    assert {"rms_norm<__half>", "softmax_rows<double>", "sum_up"} <= names
    assert "f" not in names, "kernels of other packages are no part of it"
    with pytest.raises(OperatorNotFoundError, match="'gpuop_kernels'. Did you mean 'gpuops_"):
        cuda.pack_kernels("gpuop_kernels")


def test_a_pack_of_somebody_else_needs_no_list(
    tmp_path: Path, ns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"other_{ns}"
    (folder / "deep").mkdir(parents=True)
    (folder / "one.cu").write_text('extern "C" __global__ void one(int* x) { *x = 1; }')
    (folder / "ops.py").write_text(
        "import gpuops\n"
        f"def op(name): return gpuops.custom_op('{ns}::' + name, lambda x: x, mutates_args=(),\n"
        "                                       schema='(Array x) -> Array')\n"
        "f, g = op('f'), op('g')\n"
        f"f.register_kernel('cuda', '{folder.name}.deep.launch:run')\n"
    )
    (folder / "deep" / "launch.py").write_text(
        "from gpuops import cuda\nONE = cuda.Kernel('../one.cu', 'one')\ndef run(x): return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__(f"{folder.name}.ops")
    (kernel,) = cuda.pack_kernels(ns)
    assert kernel.name == "one"
    assert kernel.location.module == f"{folder.name}.deep.launch"
