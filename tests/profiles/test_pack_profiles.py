"""The profiles that the pack ships, against its kernels on the CPU; tests/test_pack_cuda.py has
those on "cuda", in the simulator too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops.cases import arguments_on, load_cases
from gpuops.profiles import (
    ArrayMetadata,
    ListProfile,
    MissingOpProfile,
    OpProfile,
    check_against,
    generate_yaml_from_profiles,
    load_op_profiles,
    record_op_profiles,
)

NAMES = sorted(gpuops_kernels.__all__)


def _path(name):
    return Path(gpuops_kernels.__file__).parent / name / "profile.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_do_what_is_recorded_of_them(name):
    qualname = f"gpuops_kernels::{name}"
    profiles = load_op_profiles(_path(name))
    assert list(profiles) == [qualname]
    with check_against(profiles), record_op_profiles() as seen:
        for case in load_cases(qualname).cases:
            args, kwargs = arguments_on(qualname, case.build(np.random.default_rng(7)), "cpu")
            getattr(gpuops.ops.gpuops_kernels, name)(*args, **kwargs)
    # And nothing is recorded that no case does any more.
    assert seen[qualname] == {p for p in profiles[qualname] if _devices(p) == {"cpu"}}


def _entries(entry):
    if isinstance(entry, (tuple, list)):
        return [found for item in entry for found in _entries(item)]
    return _entries(entry.items) if isinstance(entry, ListProfile) else [entry]


def _devices(profile):
    found = _entries([profile.args_profile, profile.out_profile])
    return {entry.device for entry in found if isinstance(entry, ArrayMetadata)}


def _on_cpu(entry):
    if isinstance(entry, tuple):
        return tuple(map(_on_cpu, entry))
    if isinstance(entry, ListProfile):
        return ListProfile(_on_cpu(entry.items))
    return replace(entry, device="cpu") if isinstance(entry, ArrayMetadata) else entry


@pytest.mark.parametrize("name", NAMES)
def test_both_devices_do_the_same(name):
    (profiles,) = load_op_profiles(_path(name)).values()
    on = {
        device: {
            OpProfile(_on_cpu(p.args_profile), _on_cpu(p.out_profile))
            for p in profiles
            if _devices(p) == {device}
        }
        for device in ("cpu", "cuda")
    }
    assert on["cpu"] == on["cuda"] and on["cpu"]
    assert sum(map(len, on.values())) == len(profiles)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_as_they_are_written(name):
    # The version that wrote it may be an older one.
    written = _path(name).read_text().splitlines()
    ours = generate_yaml_from_profiles(load_op_profiles(_path(name))).splitlines()
    assert [line for line in ours if "gpuops: " not in line] == [
        line for line in written if "gpuops: " not in line
    ]


def test_a_kernel_that_does_something_else_is_found_out():
    profiles = load_op_profiles(_path("softmax"))
    with check_against(profiles), pytest.raises(MissingOpProfile, match="gpuops_kernels::softmax"):
        gpuops_kernels.softmax(np.ones((1, 1, 1, 1, 1, 1), np.float32), -1)
