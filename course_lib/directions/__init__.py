"""Moving the latent code: z1 = z0 + Δz, with Δz computed offline.

Without labels, GANSpace finds directions by principal components, SeFa from the weights alone
(`unsupervised`); with labels, they are the normals of boundaries (`supervised`). `moving` applies
them, `effects` measures what they change, and `naming` keeps what somebody has named.
"""

from course_lib.directions.moving import (
    Direction,
    Directions,
    move,
    set_coordinate,
    with_spread,
)
from course_lib.directions.supervised import annotated, annotated_by_score
from course_lib.directions.unsupervised import ganspace, principal_components, sefa

__all__ = [
    "Direction", "Directions", "annotated", "annotated_by_score", "ganspace", "move",
    "principal_components", "sefa", "set_coordinate", "with_spread",
]
