"""The shapes that the course's tensors have, as jaxtyping aliases.

Pictures are floats in [0, 1], arrays are indexed [row, column] = [y, x].
Points are (x, y) in pixels, (0, 0) being the centre of the top left pixel.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor

Image = Float[Tensor, "*batch channels height width"]
"""A picture, or a batch of them: intensities in [0, 1] (answers of solvers may leave it)."""

Pictures = Sequence[Float[Tensor, "_ _ _"]]
"""Pictures to look at side by side, (1 or 3, height, width), each of its own size."""

Grids = Float[Tensor, "pictures height width"]
"""Unknowns on the pixel grid, one number a pixel: several systems that are solved at once."""

Mask = Bool[Tensor, "height width"]
"""Ω: True where the picture may change."""

VectorField = Float[Tensor, "*batch 2 channels height width"]
"""Two numbers a pixel and channel, x then y: forward differences, in intensity per pixel."""

Points = Float[Tensor, "points 2"]
"""Places in a picture: (x, y) in pixels."""

Handles = Float[Tensor, "handles 2"] | Float[Tensor, "handles 2 2"]
"""What a user drags: points (x, y), or line segments given by their two ends."""

Latent = Float[Tensor, "batch ..."]
"""Codes of a generator: z or w (batch, dim), w_plus (batch, num_ws, dim); no unit."""

Ellipse = tuple[float, float, float, float]
"""A place in a square picture, in shares of its side: x and y of the middle, the two radii."""
