"""Differences on the pixel grid: the gradient, its adjoint, and the Laplacian.

The gradient uses forward differences and is zero across the last column and row
(Neumann boundary); the divergence is its negative adjoint, so that
⟨∇u, v⟩ = -⟨u, div v⟩ holds exactly for every u and v.
"""

from torch.nn.functional import pad

from course_lib.checks import require_floats
from course_lib.shapes import Image, VectorField


def gradient(image: Image) -> VectorField:
    """∇u by forward differences: u[y, x+1] - u[y, x], then u[y+1, x] - u[y, x].

    Args:
        image: intensities, (..., channels, height, width).
    Returns:
        (..., 2, channels, height, width), x first, in intensity per pixel.
    Raises:
        ValueError: `image` holds no floats, or has fewer than three axes.
    """
    require_floats(image, "image", axes=3)
    field = image.new_zeros(*image.shape[:-3], 2, *image.shape[-3:])
    field[..., 0, :, :, :-1] = image[..., :, 1:] - image[..., :, :-1]
    field[..., 1, :, :-1, :] = image[..., 1:, :] - image[..., :-1, :]
    return field


def divergence(field: VectorField) -> Image:
    """div v by backward differences: the negative adjoint of `gradient`.

    Args:
        field: v, (..., 2, channels, height, width), x first. The last column of its
            x part and the last row of its y part cross the border and are not read.
    Returns:
        (..., channels, height, width), in intensity per pixel².
    Raises:
        ValueError: `field` holds no floats, or not two numbers a pixel and channel.
    """
    require_floats(field, "field", axes=4)
    if field.shape[-4] != 2:
        raise ValueError(
            f"field has shape {tuple(field.shape)}, so it is unclear which numbers point along x "
            f"and which along y: pass (..., 2, channels, height, width), x first."
        )
    vx, vy = field.unbind(dim=-4)
    vx, vy = vx[..., :, :-1], vy[..., :-1, :]
    return pad(vx, (0, 1)) - pad(vx, (1, 0)) + pad(vy, (0, 0, 0, 1)) - pad(vy, (0, 0, 1, 0))


def laplacian(image: Image) -> Image:
    """Δu = div ∇u: the sum over the four neighbours q of u_q - u_p, missing ones dropped."""
    return divergence(gradient(image))
