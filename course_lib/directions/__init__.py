"""Moving the latent code: z1 = z0 + Δz, with Δz computed offline.

GANSpace finds directions by principal components, SeFa from the weights alone (`components`),
annotated directions from labels (`boundaries`); `moving` applies them, and `effects` measures
what they change.
"""

from course_lib.directions.boundaries import annotated, annotated_by_score
from course_lib.directions.components import ganspace, principal_components, sefa
from course_lib.directions.moving import (
    Direction,
    Directions,
    move,
    set_coordinate,
    with_spread,
)

__all__ = [
    "Direction", "Directions", "annotated", "annotated_by_score", "ganspace", "move",
    "principal_components", "sefa", "set_coordinate", "with_spread",
]
