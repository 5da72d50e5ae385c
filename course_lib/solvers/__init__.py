"""Linear systems on the pixel grid: conjugate gradients, multigrid, and a direct solve by FFT.

And for what is not linear: L-BFGS.
"""

from course_lib.solvers.conjugate_gradients import conjugate_gradient
from course_lib.solvers.fourier import solve_screened
from course_lib.solvers.lbfgs import LBFGS
from course_lib.solvers.multigrid import Multigrid

__all__ = ["LBFGS", "Multigrid", "conjugate_gradient", "solve_screened"]
