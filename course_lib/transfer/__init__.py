"""Edit transfer: an edit of the projection, carried back to the photo by motion and colour."""

from course_lib.transfer.alternatives import add_change, blend_change, enlarge_edit
from course_lib.transfer.apply import (
    Change,
    Morph,
    apply_change,
    follow_morph,
    guided_upsample,
    transfer_edit,
    trust_projection,
)
from course_lib.transfer.motion import (
    Transfer,
    doubled,
    estimate_flow_and_color,
    recolored,
    unchanged,
    warped,
)
from course_lib.transfer.regions import (
    changed_region,
    reached_from_rim,
    relative_change,
    soft_ellipses,
)

__all__ = [
    "Change", "Morph", "Transfer", "add_change", "apply_change", "blend_change",
    "changed_region", "doubled", "enlarge_edit", "estimate_flow_and_color", "follow_morph",
    "guided_upsample", "reached_from_rim", "recolored", "relative_change", "soft_ellipses",
    "transfer_edit", "trust_projection", "unchanged", "warped",
]
