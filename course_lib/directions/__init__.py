"""Moving the latent code: z1 = z0 + Δz, with Δz computed offline.

Without labels, `ganspace` finds directions by principal components, `sefa` from the weights alone;
with labels, they are the normals of boundaries (`annotated`). `moving` applies them, `effects`
measures what they change, and `naming` keeps what somebody has named.
"""

from course_lib.directions.annotated import annotated, annotated_by_score
from course_lib.directions.ganspace import ganspace, principal_components
from course_lib.directions.moving import (
    Direction,
    Directions,
    move,
    set_coordinate,
    with_spread,
)
from course_lib.directions.sefa import sefa

__all__ = [
    "Direction", "Directions", "annotated", "annotated_by_score", "ganspace", "move",
    "principal_components", "sefa", "set_coordinate", "with_spread",
]
