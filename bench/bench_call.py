r"""What a call costs: by hand, through gpuops and through its peers.

    pytest bench/bench_call.py -o addopts=--import-mode=importlib --benchmark-only \
        --benchmark-quiet --benchmark-json=calls.json
    python -m bench.report calls.json

All ways to make a form of call are timed one after the other, and that several times over, so that
a spell in which the machine is slow hits all of them. The figure of each is the least of all its
rounds: what disturbs a measurement only makes it longer. Each round is a loop of calls, whose
number is in ``extra_info``; bench/report.py divides by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import pytest

from bench.forms import BAR_FORM, FORMS, SCALAR, Form
from bench.peers import DIRECT, FORWARDING, GPUOPS, PEERS, TORCH, NotComparable
from bench.variants import VARIANTS

ROUNDS = 12
PASSES = 6
# Where functions happen to lie in memory shifts a call by a nanosecond or two, and each pass makes
# new ones. What the limits are set for is a ratio of differences of such times: over six passes the
# same build of Python gave 3.6 to 4.1 for it, over twenty 3.4 to 3.6.
BAR_PASSES = 20
# Long enough for the clock, short enough to fit between two interruptions by the scheduler.
ROUND_SECONDS = 0.002

WAYS = {**PEERS, **VARIANTS}


def turns() -> Iterator[tuple[Form, int, str]]:
    """What is timed, in order.

    What the limits are about comes first, while no other peer is loaded: each peer is imported when
    its turn comes, and with all of them in the process (and the threads of jax) the operator
    took 90 ns where it otherwise takes 75.
    """
    for number in range(BAR_PASSES):
        for peer in (DIRECT, FORWARDING, GPUOPS, TORCH):
            yield BAR_FORM, number, peer
    for form in FORMS:
        for number in range(BAR_PASSES, BAR_PASSES + PASSES):
            for peer in WAYS if form == BAR_FORM else PEERS:
                yield form, number, peer


def calibrate(loop: Callable[..., None], function: Callable[..., Any], *values: Any) -> int:
    """The number of calls that fill a round."""
    calls = 1
    while True:
        start = perf_counter()
        loop(function, calls, *values)
        seconds = perf_counter() - start
        if seconds > ROUND_SECONDS / 4:
            return max(1, round(calls * ROUND_SECONDS / seconds))
        calls *= 2


@pytest.mark.benchmark(disable_gc=True)
@pytest.mark.parametrize(
    ("form", "number", "peer"),
    [
        pytest.param(form, number, peer, id=f"{form} | {peer} | {number}")
        for form, number, peer in turns()
    ],
)
def test_call(benchmark: Any, form: Form, number: int, peer: str) -> None:
    try:
        with WAYS[peer](form) as (function, make_array):
            values = [*(make_array() for _ in range(form.arrays)), SCALAR]
            loop = form.loop()
            calls = calibrate(loop, function, *values)
            benchmark.group = str(form)
            benchmark.extra_info.update(form=str(form), peer=peer, calls=calls)
            benchmark.pedantic(
                loop, args=(function, calls, *values), rounds=ROUNDS, warmup_rounds=1
            )
    except NotComparable as error:
        pytest.skip(f"{peer}: {error}")
