"""What was measured: nanoseconds per call, read from a JSON file that pytest-benchmark wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bench.peers import DIRECT, FORWARDING, GPUOPS

__all__ = ["Calls", "read"]


@dataclass(frozen=True, slots=True)
class Calls:
    """The least time of a call, for each form of call and each peer that was timed.

    Attributes:
        ns: (form, peer) -> nanoseconds per call.
        python: the Python version.
        processor: the processor's name.
    """

    ns: dict[tuple[str, str], float]
    python: str
    processor: str

    @property
    def forms(self) -> list[str]:
        """The forms for which all that a figure is relative to was timed."""
        forms = dict.fromkeys(form for form, _ in self.ns)
        return [f for f in forms if all((f, p) in self.ns for p in (DIRECT, FORWARDING, GPUOPS))]

    def peers(self, form: str) -> list[str]:
        """The peers that were timed for a form, in the order of `bench.peers.PEERS`."""
        return [peer for of, peer in self.ns if of == form]

    def overhead(self, form: str, peer: str) -> float:
        """Nanoseconds that `peer` adds to calling the kernel directly.

        Raises:
            KeyError: it was not timed for this form.
        """
        return self.ns[form, peer] - self.ns[form, DIRECT]

    def relative(self, form: str, peer: str, to: str) -> float:
        """The overhead of `peer`, in units of the overhead of `to`.

        >>> ns = {("f", DIRECT): 30.0, ("f", FORWARDING): 50.0, ("f", GPUOPS): 90.0}
        >>> Calls(ns, "3.11", "").relative("f", GPUOPS, FORWARDING)
        3.0
        """
        # Noise can make a difference of two equal times zero; a ratio stays a number.
        return self.overhead(form, peer) / max(self.overhead(form, to), 1e-3)


def read(path: Path) -> Calls:
    """Read the results of bench/bench_call.py.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what bench/bench_call.py leaves, or holds no timings.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        ns: dict[tuple[str, str], float] = {}
        for row in report["benchmarks"]:
            timed = row["extra_info"]
            key = timed["form"], timed["peer"]
            value = 1e9 * row["stats"]["min"] / timed["calls"]
            ns[key] = min(ns.get(key, value), value)
        machine = report["machine_info"]
        processor = machine.get("cpu", {}).get("brand_raw") or machine["machine"]
        calls = Calls(ns, machine["python_version"], processor)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a result of bench/bench_call.py: {error!r}") from error
    if not calls.forms:
        raise ValueError(
            f"{path}: no form of call with timings of {DIRECT}, {FORWARDING} and {GPUOPS}"
        )
    return calls
