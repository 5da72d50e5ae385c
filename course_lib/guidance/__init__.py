"""Brush edits on the manifold: z* = argmin Σ_g L_g(G(z), v_g) + λ_s ‖z − z0‖².

Each stroke v_g is a term of the energy; the generator keeps the answer a natural picture.
`strokes`, `drag` and `rest` hold the terms, `energy` their sum, `editing` the minimisation,
`candidates` its several starts.

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
section 3.2, eq. 6.
"""

from course_lib.guidance.candidates import scatter
from course_lib.guidance.drag import Drag
from course_lib.guidance.editing import Edit, Editing, edit
from course_lib.guidance.rest import Rest
from course_lib.guidance.strokes import (
    Anything,
    ColorStroke,
    Constraint,
    PatchMove,
    SketchStroke,
    WarpStroke,
    orientation_histograms,
)

__all__ = [
    "Anything", "ColorStroke", "Constraint", "Drag", "Edit", "Editing", "PatchMove",
    "Rest", "SketchStroke", "WarpStroke", "edit", "orientation_histograms", "scatter",
]
