# Everything happens in .venv beside this file. Paths stay relative, and tools are started as
# `.venv/bin/python -m ...`, so that the checkout may lie in a folder with spaces in its name.

PYTHON ?= python3
# Passed on to every `pip install`, for instance to choose another index.
PIP_FLAGS ?=

PY  := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet $(PIP_FLAGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-numpy lint bench clean

help:
	@echo "make setup   a virtual environment in .venv with gpuops and what its CPU path needs"
	@echo "make demo    run the operators on this machine, check and time them; results in demo-out/"
	@echo "make test    lint and all tests (installs what they need into .venv first)"
	@echo "make test-numpy NUMPY=2.0.2    the tests of fakes and gpuops.xp with that NumPy"
	@echo "make lint    ruff, mypy and the layer contracts"
	@echo "make bench   time a call and the kernels beside their peers; results in bench-out/"
	@echo "make clean   remove the environments and what the other targets wrote"

# A stamp per set of dependencies: remade when pyproject.toml changes, quick otherwise.
.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "gpuops needs Python 3.11 or later; name one: make PYTHON=python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv

# Where there is an NVIDIA driver, CuPy is installed too, so that the CUDA kernels run.
HAS_CUDA := $(PY) -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null

.venv/.setup: pyproject.toml | .venv/bin/python
	$(PIP) -e ".[cpu,cli,plots,profiles,transforms$$($(HAS_CUDA) && echo ,cuda12,cublas12)]"
	@touch $@

.venv/.lint: pyproject.toml .venv/.setup
	$(PIP) -e ".[lint]"
	@touch $@

.venv/.test: pyproject.toml .venv/.lint
	$(PIP) -e ".[test]"
	@touch $@

.venv/.peers: pyproject.toml .venv/.setup
	$(PIP) -e ".[peers]"
	@touch $@

setup: .venv/.setup

demo: .venv/.setup
	@$(PY) -m gpuops.cli demo --out demo-out

lint: .venv/.lint
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo

test: .venv/.test lint
	$(PY) -m pytest

# Fakes say what NumPy gives, and its releases differ: one environment for each that is named.
NUMPY ?= 2.0.2
TESTS ?= tests/xp tests/fake tests/trace tests/vmap tests/autograd
NUMPY_ENV := .venv-numpy-$(NUMPY)
NUMPY_PY := $(NUMPY_ENV)/bin/python

$(NUMPY_ENV)/.test: pyproject.toml
	"$(PYTHON)" -m venv "$(NUMPY_ENV)"
	$(NUMPY_PY) -m pip --disable-pip-version-check install --quiet $(PIP_FLAGS) \
	    -e ".[test]" "numpy==$(NUMPY)"
	@touch $@

test-numpy: $(NUMPY_ENV)/.test
	$(NUMPY_PY) -m pytest $(TESTS)

# All parts run, whatever those before them found; the exit status says whether a limit was missed.
# The calls come first, while the machine is cool. pyproject.toml keeps benchmarks out of test runs,
# hence the `-o`.
bench: .venv/.peers
	@mkdir -p bench-out
	@status=0; \
	$(PY) -m pytest bench -o python_files=bench_call.py -o addopts=--import-mode=importlib -q -rs \
	    --benchmark-only --benchmark-quiet --benchmark-json=bench-out/calls.json \
	  && $(PY) -m bench.report bench-out/calls.json || status=1; \
	$(PY) bench/bench_pack.py --json bench-out/pack.json || status=1; \
	$(PY) bench/bench_random.py --json bench-out/random.json || status=1; \
	$(PY) -m bench.bench_fake || status=1; \
	$(PY) -m bench.bench_vmap --json bench-out/vmap.json || status=1; \
	$(PY) bench/bench_autograd.py --json bench-out/autograd.json || status=1; \
	$(PY) -m bench.opcheck_peers --json bench-out/opcheck.json || status=1; \
	$(PY) -m gpuops.cli bench --out bench-out || status=1; \
	exit $$status

clean:
	rm -rf .venv .venv-numpy-* demo-out bench-out dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
