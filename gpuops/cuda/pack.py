"""The CUDA kernels of a pack: found by importing what its operators register for "cuda"."""

from __future__ import annotations

from gpuops.cuda.kernel import Kernel, all_kernels
from gpuops.errors import OperatorNotFoundError, closest
from gpuops.packs import load_packs
from gpuops.registry import registry

__all__ = ["pack_kernels"]


def pack_kernels(namespace: str | None = None) -> list[Kernel]:
    """Every `gpuops.cuda.Kernel` of the operators of a namespace.

    Nothing has to be listed: the "cuda" kernels of the operators are imported, and every `Kernel`
    counts that a module of their packages has made by then.

    Args:
        namespace: of the operators; None for all installed packs.

    Returns:
        The kernels, sorted by module and name.

    Raises:
        OperatorNotFoundError: there are no operators in that namespace.
        RegistrationError: a kernel cannot be imported.

    >>> names = {kernel.name.partition("<")[0] for kernel in pack_kernels("gpuops_kernels")}
    >>> {"count_nonzero", "rms_norm", "silu_mul"} <= names
    True
    """
    packs = load_packs()
    operators = registry.operators(namespace)
    if not operators:
        known = {operator.namespace for operator in registry.operators()} | packs.keys()
        raise OperatorNotFoundError(
            f"no operators in the namespace {namespace!r}{closest(str(namespace), known)}"
        )
    if namespace is None:
        operators = [operator for operator in operators if operator.namespace in packs]
    packages = set()
    for operator in operators:
        kernel = operator.kernel("cuda")
        if kernel is not None and not kernel.is_fallthrough:
            module = getattr(kernel.load(), "__module__", None) or operator.location.module
            packages.add(module.partition(".")[0])
    return [
        kernel for kernel in all_kernels() if kernel.location.module.partition(".")[0] in packages
    ]
