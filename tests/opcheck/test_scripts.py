"""The scripts that failures come with: run by themselves, they fail as the check did."""

import os
import subprocess
import sys
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuops
from gpuops.opchecks import CHECKS, generate_repro
from gpuops.opchecks.layouts import LAYOUTS
from gpuops.opchecks.script_arrays import array_lines, bytes_of, number, saved_lines, shared_memory

ROOT = Path(__file__).parents[2]

MODULE = """
import enum

import numpy as np

import gpuops
from gpuops import Array

class Mode(enum.Enum):
    FAST = 1
    EXACT = 2
    __hash__ = enum.Enum.__hash__
    def __eq__(self, other):
        return self is other

class Table(gpuops.OpaqueBase):
    def __init__(self, size):
        self.size = size
    def __repr__(self):
        return f"Table({self.size})"

class Handle(gpuops.OpaqueBase):
    def __deepcopy__(self, memo):
        return self

gpuops.register_opaque_type(Mode, typ="value")
gpuops.register_opaque_type(Table, typ="reference")
gpuops.register_opaque_type(Handle, typ="reference")

def like(x, *rest, **keywords):
    return x.new_empty(x.shape)

@gpuops.custom_op("NAME::big", mutates_args=())
def big(x: Array) -> Array:
    return x[...] if max(x.shape, default=0) >= 7 else np.array(x, order="C")

@gpuops.custom_op("NAME::odd", mutates_args=())
def odd(x: Array, ys: list[Array], *, mode: Mode, scale: float = 1.0) -> Array:
    wrong = scale < 0 and mode is Mode.EXACT and x.dtype == np.float16
    return x[...] if wrong else np.array(x, order="C")

@gpuops.custom_op("NAME::fortran", mutates_args=())
def fortran(x: Array) -> Array:
    wrong = x.flags.f_contiguous and not x.flags.c_contiguous
    return x[...] if wrong else np.array(x, order="C")

@gpuops.custom_op("NAME::drawing", mutates_args=())
def drawing(x: Array, state: gpuops.random.RNGState) -> Array:
    state.reserve(1)
    return x[...]

@gpuops.custom_op("NAME::looking", mutates_args=())
def looking(x: Array, table: Table) -> Array:
    return x[...]

@gpuops.custom_op("NAME::handling", mutates_args=())
def handling(x: Array, handle: Handle) -> Array:
    return x[...]

@gpuops.custom_op("NAME::wrong_fake", mutates_args=())
def wrong_fake(x: Array) -> Array:
    return np.array(x, order="C")

for op in (big, odd, fortran, drawing, looking, handling):
    op.register_fake(like)
wrong_fake.register_fake(lambda x: x.new_empty((3, 4)))
"""


@pytest.fixture
def module(tmp_path, request):
    """A module of planted operators, imported from a folder of its own."""
    name = f"repro_{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("NAME", name))
    sys.path.insert(0, str(tmp_path))
    try:
        yield __import__(name)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop(name, None)


def _run(script, cwd, **environment):
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}", **environment}
    file = cwd / "script.py"
    file.write_text(script)
    return subprocess.run(
        [sys.executable, str(file)], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )


def _failure(op, *args, check="test_schema", **kwargs):
    options = {name: kwargs.pop(name) for name in ("seed", "save_data") if name in kwargs}
    with pytest.raises(gpuops.GpuopsError) as caught:
        gpuops.opcheck(op, args, kwargs, test_utils=check, **options)
    return caught.value


def _smallest(message):
    """What a message says of the smallest case: how it fails, the case, and the script."""
    lines = message.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Smallest case: "))
    there = next((line for line in lines if line.startswith("There, ")), lines[0])
    return (
        there.removeprefix("There, "),
        lines[at],
        message.partition("reproduces it:\n")[2].strip(),
    )


X = np.random.default_rng(0).standard_normal((3, 4))


@pytest.mark.parametrize("name", ["big", "fortran", "wrong_fake"])
def test_a_script_fails_with_the_same_message(module, tmp_path, name):
    check = "test_fake" if name == "wrong_fake" else "test_schema"
    error = _failure(getattr(module, name), X, check=check, seed=3)
    ran = _run(error.script, tmp_path)
    assert ran.returncode == 1, ran.stderr
    printed = ran.stderr.partition("gpuops.opchecks.report.OpCheckError: ")[2]
    assert printed.startswith(f"{check} failed: {module.__name__}::{name}")
    assert _smallest(printed) == _smallest(str(error))
    assert "seed=3" in error.script
    assert not (tmp_path / ".hypothesis").exists()


def test_lists_keywords_and_enumerations(module, tmp_path):
    error = _failure(
        module.odd, X, [X, np.ones(2)], mode=module.Mode.EXACT, scale=2.0, check="test_schema"
    )
    assert error.case == (
        f"{module.__name__}::odd(x=float16[] 0.0, ys=[], mode={module.Mode.EXACT!r}, scale=-1.0)"
    )
    assert '(x, []),\n    {"mode": mode, "scale": -1.0},\n' in error.script
    ran = _run(error.script, tmp_path)
    assert _smallest(ran.stderr.partition("OpCheckError: ")[2]) == _smallest(str(error))


def test_the_same_in_every_process(module, tmp_path):
    calls = (
        f"import numpy as np, gpuops, {module.__name__} as m\n"
        "x = np.random.default_rng(0).standard_normal((3, 4))\n"
        "try:\n"
        "    gpuops.opcheck(m.odd, (x, [x]), {'mode': m.Mode.EXACT, 'scale': 2.0}, seed=9)\n"
        "except gpuops.GpuopsError as error:\n"
        "    print(error)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "kernels")])
    ran = [_run(calls, tmp_path, PYTHONHASHSEED=s, PYTHONPATH=path).stdout for s in ("1", "77")]
    assert ran[0] == ran[1]
    assert "Smallest case" in ran[0]


def test_an_operator_of_a_script_that_was_run(tmp_path):
    main = tmp_path / "main.py"
    main.write_text(
        MODULE.replace("NAME", "repro_main") + "\nif __name__ == '__main__':\n"
        "    try:\n"
        "        gpuops.opcheck(big, (np.ones((3, 4)),))\n"
        "    except gpuops.GpuopsError as error:\n"
        "        print(error.script)\n"
    )
    script = _run(main.read_text(), tmp_path).stdout
    assert "module = runpy.run_path(" in script
    ran = _run_other(script, tmp_path)
    assert "test_schema failed: repro_main::big" in ran.stderr


def _run_other(script, folder):
    """A script in another file than `script.py`, which it runs."""
    file = folder / "other.py"
    file.write_text(script)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(file)], env=env, capture_output=True, text=True, check=False
    )


def test_objects_are_made_again_where_that_can_be_written(module, tmp_path):
    state = gpuops.random.RNGState(4)
    state.reserve(3)
    script = _failure(module.drawing, X, state).script
    assert "from gpuops.random import RNGState" in script
    assert "state = RNGState.from_json(" in script
    assert '"offset": 3' in script
    assert "test_schema failed" in _run(script, tmp_path).stderr
    script = _failure(module.looking, X, module.Table(5)).script
    assert f"from {module.__name__} import Table\n" in script
    assert "table = Table(5)\n" in script
    assert "test_schema failed" in _run(script, tmp_path).stderr


def test_objects_that_cannot_be_written_are_gaps_to_fill_in(module, tmp_path):
    script = _failure(module.handling, X, module.Handle()).script
    assert f"handle = ...  # fill in a {module.__name__}.Handle such as <" in script
    assert "argument 'handle'" in _run(script, tmp_path).stderr


# -- saved data (W1) -------------------------------------------------------------------------------


def test_with_saved_data(module, tmp_path):  # W1
    path = tmp_path / "case.npz"
    error = _failure(module.big, X, save_data=path)
    assert f"data = np.load({str(path)!r})" in error.script
    assert 'x = data["x"]' in error.script
    np.testing.assert_array_equal(np.load(path)["x"], np.zeros(7))
    assert "test_schema failed" in _run(error.script, tmp_path).stderr


@pytest.mark.parametrize("check", CHECKS)
def test_repro_without_saved_data(module, tmp_path, check):  # W1
    script = generate_repro(check, module.big, (X,), seed=5)
    assert f'test_utils="{check}", seed=5)' in script
    assert "np.load" not in script
    table = {}
    exec(compile(script.rpartition("gpuops.opcheck")[0], "script", "exec"), table)
    assert table["x"].tobytes() == X.tobytes()


def test_repro_with_saved_data(module, tmp_path):  # W1
    x = np.random.default_rng(1).standard_normal((40, 50))[:, ::2]
    for save_data in (True, tmp_path / "folder" / "data"):
        script = generate_repro("test_fake", module.big, (x,), save_data=save_data)
        table = {}
        exec(script.rpartition("gpuops.opcheck")[0], table)
        np.testing.assert_array_equal(table["x"], x)
        assert table["x"].strides == x.strides
    assert (tmp_path / "folder" / "data.npz").is_file()


def test_repro_of_many_elements_says_what_it_lacks(module):
    x = np.random.default_rng(1).standard_normal((100, 100))
    script = generate_repro("test_fake", module.big, (x,))
    assert "standard_normal((100, 100)).astype(np.float64)  # other elements: save_data" in script
    assert len(script) < 1000


def test_repro_refuses_what_opcheck_refuses(module):
    with pytest.raises(ValueError, match="subset of test_schema"):
        generate_repro("test_nothing", module.big, (X,))
    with pytest.raises(gpuops.ArgumentError, match="'x'"):
        generate_repro("test_fake", module.big, ("text",))


# -- arrays as source ------------------------------------------------------------------------------


def _made(lines, *names, **known):
    table = {"np": np, **known}
    exec("\n".join(lines), table)
    return [table[name] for name in names]


def _same(left, right):
    assert (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
    if left.size:
        for size, mine, other in zip(left.shape, left.strides, right.strides, strict=True):
            assert size == 1 or mine == other
    assert left.flags.writeable == right.flags.writeable
    assert left.flags.aligned == right.flags.aligned


ARRAYS = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(endianness="="),
        hnp.unsigned_integer_dtypes(endianness="="),
        hnp.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
        hnp.complex_number_dtypes(endianness="=", sizes=(64, 128)),
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=9),
)


@settings(max_examples=150, deadline=None)
@given(ARRAYS, st.sampled_from([None, *LAYOUTS]))
def test_arrays_are_written_bit_for_bit(array, layout):
    if layout is not None and array.ndim and array.size:
        array = LAYOUTS[layout](array)
    _same(_made(array_lines("x", array), "x")[0], array)
    (saved,) = _made(saved_lines("x", array), "x", data={"x": np.array(array, order="K")})
    _same(saved, array)


def test_arrays_that_overlap_go_on_overlapping():
    whole = np.arange(6.0)
    arrays = [whole[:4], whole[2:], np.ones(2), whole[::-1]]
    places, rooms = shared_memory(arrays)
    assert len(places) == 3
    lines = [f"{name} = {bytes_of(room)}" for name, room in rooms.items()]
    for k, array in enumerate(arrays):
        lines += array_lines(f"x{k}", array, places.get(id(array)))
    made = _made(lines, "x0", "x1", "x2", "x3")
    for left, right in zip(made, arrays, strict=True):
        _same(left, right)
    made[0][2] = 9
    assert made[1][0] == made[3][3] == 9
    assert made[2].tolist() == [1, 1]


@given(st.one_of(st.floats(), st.complex_numbers(), st.integers(), st.booleans(), st.text()))
def test_scalars_are_written_as_they_are(value):
    again = eval(number(value), {})
    assert type(again) is type(value)
    assert repr(again) == repr(value)


def test_nans_with_other_bits():
    bits = np.array([0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001], np.uint64)
    array = bits.view(np.float64)
    _same(_made(array_lines("x", array), "x")[0], array)
