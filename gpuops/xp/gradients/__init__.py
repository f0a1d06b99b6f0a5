"""Gradients of the operators of the namespace ``xp::``, by chapters as their declarations are.

Imported when a gradient is first asked for. Where no source is named, a rule is the derivative that
any table has; those of linear operators are their adjoints. Gradients of functions of complex
numbers are ``dL/d(real) + i dL/d(imag)``: a derivative f' of a holomorphic function enters as its
conjugate.
"""

from gpuops.xp.gradients import creation as creation
from gpuops.xp.gradients import decompositions as decompositions
from gpuops.xp.gradients import elementwise as elementwise
from gpuops.xp.gradients import extras as extras
from gpuops.xp.gradients import fourier as fourier
from gpuops.xp.gradients import indexing as indexing
from gpuops.xp.gradients import manipulation as manipulation
from gpuops.xp.gradients import norms as norms
from gpuops.xp.gradients import products as products
from gpuops.xp.gradients import selection as selection
from gpuops.xp.gradients import statistics as statistics
