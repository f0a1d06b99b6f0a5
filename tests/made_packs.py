"""Packs made for a test: distributions with an entry point, as pip leaves them."""

from __future__ import annotations

from pathlib import Path

PACK = """
import numpy as np
from gpuops import Array, custom_op

@custom_op("{name}::triple", mutates_args=())
def triple(x: Array) -> Array:
    return 3 * x
"""


def install(
    site: Path, name: str, text: str = PACK, *, namespace: str = "", package: bool = False
) -> None:
    """Put a distribution with one module, or package, and its entry point into a folder.

    Args:
        site: a folder of the import path.
        name: of the distribution and the module.
        text: of the module; ``{name}`` stands for the namespace.
        namespace: of the operators; the name if empty.
        package: the text goes to ``op.py`` of a package, beside which there can be other modules.
    """
    namespace = namespace or name
    module = site / f"{name}.py"
    if package:
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(f"from {name} import op\n")
        module = site / name / "op.py"
    module.write_text(text.replace("{name}", namespace))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[gpuops.ops]\n{namespace} = {name}\n")
