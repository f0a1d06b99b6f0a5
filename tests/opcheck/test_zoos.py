"""Every right operator passes, and every planted fault is found by the right check."""

import numpy as np
import pytest
from zoo import alive
from zoo_right import RIGHT
from zoo_right_gradients import RIGHT_GRADIENTS
from zoo_right_kernels import RIGHT_KERNELS
from zoo_wrong import WRONG
from zoo_wrong_gradients import WRONG_GRADIENTS
from zoo_wrong_kernels import WRONG_KERNELS
from zoo_wrong_rules import WRONG_RULES

import gpuops

ALL_RIGHT = RIGHT + RIGHT_GRADIENTS + RIGHT_KERNELS
ALL_WRONG = WRONG + WRONG_GRADIENTS + WRONG_KERNELS + WRONG_RULES


@pytest.mark.parametrize("animal", ALL_RIGHT, ids=lambda animal: animal.name)
def test_right_operators_pass(animal):  # V4, V8, BB1, BB2
    with alive(animal, "zoo_right") as op:
        args = animal.sample()
        gpuops.opcheck(op, args, animal.kwargs)
        for left, right in zip(args, animal.sample(), strict=True):  # V16
            np.testing.assert_equal(left, right)


@pytest.mark.parametrize("animal", ALL_WRONG, ids=lambda animal: animal.name)
def test_planted_faults_are_found(animal):  # V5 to V17
    with alive(animal, "zoo_wrong") as op:
        with pytest.raises(gpuops.GpuopsError) as caught:
            gpuops.opcheck(op, animal.sample(), animal.kwargs, test_utils=animal.check)
    # A plain ValueError would be a fault of the checker.
    assert isinstance(caught.value.__cause__, gpuops.GpuopsError)
    assert str(caught.value).startswith(f"{animal.check} failed: ")
    assert animal.message in str(caught.value)
    assert f"zoo_wrong::{animal.name}" in str(caught.value)


def test_names_are_used_once():
    for zoo in (ALL_RIGHT, ALL_WRONG):
        names = [animal.name for animal in zoo]
        assert len(set(names)) == len(names)
