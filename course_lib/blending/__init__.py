"""Poisson image editing: change a picture's gradients inside a region, keep what is outside.

`poisson` holds the equation and cloning, `placing` where a source comes to lie, `modes` the edits
within one picture. None of these functions is differentiable by autograd.

Source: Pérez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003.
"""

from course_lib.blending.modes import (
    change_illumination,
    color_to_gray,
    flatten_texture,
    recolor,
    tile_seamlessly,
)
from course_lib.blending.placing import Canvas
from course_lib.blending.poisson import (
    blend_poisson,
    combine_gradients,
    guidance_energy,
    seamless_clone,
)

__all__ = [
    "Canvas", "blend_poisson", "change_illumination", "color_to_gray", "combine_gradients",
    "flatten_texture", "guidance_energy", "recolor", "seamless_clone", "tile_seamlessly",
]
