"""`gpuops.opcheck`: find what is wrong with an operator before its users do."""

from gpuops.opchecks.api import CHECKS, opcheck
from gpuops.opchecks.report import OpCheckError, Verdicts

__all__ = ["CHECKS", "OpCheckError", "Verdicts", "opcheck"]
