"""Editing in Style: which channels draw the eyes, and the eyes of another cat.

`clusters` and `finding` tell parts and their channels; `moving` carries a part over; `locality`
measures how much else changed; `naming` keeps what somebody has named.
"""

from course_lib.parts.clusters import spherical_kmeans
from course_lib.parts.finding import Part, Parts, find_parts
from course_lib.parts.locality import Locality, lab, measure_locality
from course_lib.parts.moving import choose_channels, coarse_layers, part_channels, transfer_part
from course_lib.parts.naming import load_parts, named_mask, save_parts, shipped_parts

__all__ = [
    "Locality", "Part", "Parts", "choose_channels", "coarse_layers", "find_parts", "lab",
    "load_parts", "measure_locality", "named_mask", "part_channels", "save_parts",
    "shipped_parts", "spherical_kmeans", "transfer_part",
]
