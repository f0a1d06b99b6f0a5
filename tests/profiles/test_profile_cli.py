"""``gpuops profile record``, ``show`` and ``diff``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from gpuops.cli import main
from gpuops.profiles import load_op_profiles

SCRIPT = """
import sys
import numpy as np, gpuops

@gpuops.custom_op("profile_cli::double", mutates_args=())
def double(x: gpuops.Array) -> gpuops.Array:
    return x * 2

double(np.ones(3, sys.argv[1]))
double.undo()
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def record(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def run(name, dtype, status=0):
        out = tmp_path / name
        arguments = ["profile", "record", "--out", str(out), "--", "python", str(script)]
        assert main([*arguments, dtype, str(status)]) == status
        return str(out)

    return run


def test_record_show_diff(record, capsys):
    a, b, c = record("a.yaml", "f4"), record("b.yaml", "f4"), record("c.yaml", "f8", 3)
    assert "1 profiles of 1 operators" in capsys.readouterr().err
    assert list(load_op_profiles(a)) == ["profile_cli::double"]
    assert main(["profile", "show", a]) == 0
    line = "(float32 rank 1 order C on cpu) -> float32 rank 1 order C on cpu"
    assert capsys.readouterr().out == f"profile_cli::double\n  {line}\n"
    assert main(["profile", "show", a, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"profile_cli::double": [line]}
    assert main(["profile", "diff", a, b]) == 0
    assert capsys.readouterr().out == ""
    assert main(["profile", "diff", a, c]) == 1
    other = line.replace("32", "64")
    text = f"- profile_cli::double {line}\n+ profile_cli::double {other}\n"
    assert capsys.readouterr().out == text
    assert main(["profile", "diff", a, c, "--json"]) == 1
    assert [found["side"] for found in json.loads(capsys.readouterr().out)] == ["-", "+"]


def test_wrong_files_and_commands_are_one_line(tmp_path, capsys):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("format: '1.0'\n")
    assert main(["profile", "show", str(wrong)]) == 2
    assert "wrong.yaml: profiles, line 1: the key 'gpuops' is missing" in capsys.readouterr().err
    assert main(["profile", "diff", str(wrong), str(tmp_path / "none.yaml")]) == 2
    capsys.readouterr()
    assert main(["profile", "record", "--", "ls", "-l"]) == 2
    assert "profile record runs `python SCRIPT" in capsys.readouterr().err


@pytest.mark.parametrize("error", ["1 / 0", "open('none')", "gpuops.FakeArray(-1)"])
def test_what_was_done_before_an_error_is_saved(tmp_path, capsys, error):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("double.undo()", f"double.undo(); {error}"))
    out = tmp_path / "a.yaml"
    arguments = ["profile", "record", "--out", str(out), "--", "python", str(script), "f4", "0"]
    assert main(arguments) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown and error in shown
    assert list(load_op_profiles(out)) == ["profile_cli::double"]


def _run(tmp_path, *command, out="o.yaml", **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "gpuops.cli", "profile", "record", "--out", out, "--", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


BODY = """
import os, sys, threading, time
import numpy as np, gpuops

@gpuops.custom_op("profile_cli::double", mutates_args=())
def double(x: gpuops.Array) -> gpuops.Array:
    return x * 2

print(sys.argv, __name__, sys.path[0])
double(np.ones(1))
"""


def test_a_module_a_fork_a_thread_and_another_folder(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "part.py").write_text(
        BODY
        + """
if os.fork() == 0:
    double(np.ones((1, 1, 1)))
    sys.exit(0)
os.wait()
threading.Thread(target=lambda: (time.sleep(0.3), double(np.ones((1, 1))))).start()
os.chdir("/")
sys.exit("the last words")
"""
    )
    done = _run(tmp_path, "python", "-m", "package.part", "--flag", "a b")
    assert done.returncode == 1 and "the last words" in done.stderr
    assert "part.py', '--flag', 'a b'] __main__" in done.stdout and str(tmp_path) in done.stdout
    # Those of the process, and of its threads; what a child did is the child's.
    ranks = {
        p.args_profile[0].rank for p in load_op_profiles(tmp_path / "o.yaml")["profile_cli::double"]
    }
    assert ranks == {1, 2} and done.stderr.count("2 profiles of 1 operators in o.yaml") == 1


def test_a_pool_that_is_left_open_does_not_keep_it(tmp_path):
    (tmp_path / "pool.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "print(ThreadPoolExecutor(1).submit(len, [1]).result())\n"
    )
    done = _run(tmp_path, "pool.py", timeout=60)
    assert done.returncode == 0 and "0 profiles of 0 operators" in done.stderr
    assert load_op_profiles(tmp_path / "o.yaml") == {}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["python", "none.py"], "there is no script 'none.py'"),
        (["python", "-m", "none"], "there is no module 'none'"),
        (["python", "-m", "none.part"], "there is no module 'none.part'"),
        (["python", "-m", "..part"], "there is no module '..part'"),
        (["python", "-m"], "profile record runs `python SCRIPT"),
        (["python"], "profile record runs `python SCRIPT"),
        (["python", "-c", "1"], "profile record runs `python SCRIPT"),
    ],
)
def test_what_cannot_run_leaves_the_old_file(tmp_path, capsys, monkeypatch, command, message):
    monkeypatch.chdir(tmp_path)
    old = tmp_path / "o.yaml"
    old.write_text("old")
    assert main(["profile", "record", "--out", "o.yaml", "--", *command]) == 2
    assert message in capsys.readouterr().err and old.read_text() == "old"


def test_a_place_to_write_is_checked_before_the_script_runs(tmp_path, capsys):
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(7)")
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "a" / "b", "there is no folder")):
        assert main(["profile", "record", "--out", str(out), "--", str(script)]) == 2
        assert message in capsys.readouterr().err
