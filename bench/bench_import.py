"""What `import gpuops` adds to `import numpy`: milliseconds, and the modules it is made of.

Each sample is a fresh interpreter that times the import itself, so that its own start-up does not
count. The minimum over the rounds is the cost without interference, the median what a user of this
machine sees. The exit status is 1 if gpuops adds more than LIMIT_MS.

    python bench/bench_import.py --rounds 15
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

CHILD = """
import sys, time
import {before}
known = set(sys.modules)
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(seconds, len(set(sys.modules) - known))
"""
LIMIT_MS = 60.0


def sample(module: str, before: str) -> tuple[float, int]:
    """Seconds that importing `module` takes after `before`, and how many modules it loads."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(module=module, before=before)],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)


def measure(rounds: int) -> list[dict[str, float | int | str]]:
    """One row per import, sampled alternately so that a noisy spell hits all of them.

    Returns:
        Rows with ``import``, ``min_ms``, ``median_ms`` and ``modules``.
    """
    cases = {"numpy": "sys", "gpuops": "numpy"}
    for module, before in cases.items():
        sample(module, before)  # the first one may have to write bytecode
    taken: dict[str, list[tuple[float, int]]] = {module: [] for module in cases}
    for _ in range(rounds):
        for module, before in cases.items():
            taken[module].append(sample(module, before))
    rows: list[dict[str, float | int | str]] = []
    for module, samples in taken.items():
        times = [1e3 * seconds for seconds, _ in samples]
        rows.append(
            {
                "import": f"{module} (after {cases[module]})",
                "min_ms": round(min(times), 1),
                "median_ms": round(statistics.median(times), 1),
                "modules": samples[0][1],
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    rows = measure(options.rounds)
    if options.json:
        print(json.dumps(rows))
    else:
        print(f"{'import':24}{'min ms':>10}{'median ms':>12}{'modules':>10}")
        for row in rows:
            print(
                f"{row['import']:24}{row['min_ms']:>10}{row['median_ms']:>12}{row['modules']:>10}"
            )
    return int(float(rows[-1]["min_ms"]) > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
