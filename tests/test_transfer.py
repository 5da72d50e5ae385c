"""Edit transfer: known motion and colour are found, and carried to a photo of any size."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.gradients import gradient
from course_lib.images import crop_square, load_image
from course_lib.transfer import (
    estimate_flow_and_color,
    guided_upsample,
    recolored,
    transfer_edit,
    warped,
)


@pytest.fixture
def after() -> torch.Tensor:
    return crop_square(load_image("chelsea", device="cpu"), size=280, resolution=64)


def smooth(n: int, largest: float, rng: torch.Generator) -> torch.Tensor:
    """Random smooth fields (n, 64, 64), at most `largest`."""
    coarse = torch.randn(1, n, 3, 3, generator=rng)
    field = F.interpolate(coarse, (64, 64), mode="bicubic", align_corners=True)[0]
    return largest * field / field.abs().max()


def color_change(largest: float, rng: torch.Generator) -> torch.Tensor:
    identity = torch.eye(3, 4)[..., None, None]
    return identity + smooth(12, largest, rng).reshape(3, 4, 64, 64)


def test_known_motion_and_colour_are_found(after, rng):
    flow, color = smooth(2, 3.0, rng), color_change(0.1, rng)
    before = recolored(warped(after, flow), color)
    found = estimate_flow_and_color(before, after)
    error = (before - recolored(warped(after, found.flow), found.color)).abs().amax(dim=0)
    assert (error < 2 / 255).float().mean() > 0.95
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[4:-4, 4:-4] = True
    textured = (gradient(after).square().sum(dim=(0, 1)).sqrt() > 0.05) & inside
    assert ((found.flow - flow).norm(dim=0)[textured] < 0.5).float().mean() > 0.95


def test_the_energy_never_rises(after, rng):
    before = recolored(warped(after, smooth(2, 4.0, rng)), color_change(0.2, rng))
    energies = estimate_flow_and_color(before, after).energies
    assert (sum(energies.values()).diff() <= 0).all()


def test_equal_pictures_need_no_change(after):
    found = estimate_flow_and_color(after, after)
    assert found.flow.abs().max() < 1e-3
    torch.testing.assert_close(recolored(after, found.color), after, atol=1 / 255, rtol=0)


def test_a_morph_that_stands_still_leaves_the_photo_alone(after):
    photo = load_image("chelsea", size=200, device="cpu")
    result = transfer_edit(photo, after.expand(3, -1, -1, -1))
    assert (result - photo).abs().max() < 1 / 255
    moved = torch.stack([after, after.flip(-1)])
    assert torch.equal(transfer_edit(photo, moved, strength=0), photo)


def test_a_colour_change_is_carried_over_and_the_detail_kept():
    photo = crop_square(load_image("chelsea", device="cpu"), size=256)
    small = F.interpolate(photo[None], (64, 64), mode="area")[0]
    tint = torch.tensor([1.0, 0.7, 0.6])[:, None, None]
    frames = torch.stack([small * (1 + s * (tint - 1)) for s in (0, 0.25, 0.5, 0.75, 1)])
    result = transfer_edit(photo, frames)
    assert (result - photo * tint).abs().mean() < 0.01
    def detail(image):
        return gradient(image - F.avg_pool2d(image[None], 5, 1, 2)[0]).square().sum()

    assert detail(result) > 0.9 * detail(photo * tint)
    enlarged = F.interpolate(frames[-1:], (256, 256), mode="bicubic")[0]
    assert detail(enlarged) < 0.3 * detail(photo * tint)


def test_motion_is_chained_over_the_frames_and_scaled_to_the_photo():
    photo = crop_square(load_image("astronaut", device="cpu"), size=256)
    shift = torch.zeros(2, 256, 256)
    shift[0] = -16.0  # the edit moves everything 16 pixels to the right
    frames = torch.stack([
        F.interpolate(warped(photo, shift * s)[None], (64, 64), mode="area")[0]
        for s in torch.linspace(0, 1, 3)
    ])
    result = transfer_edit(photo, frames)
    expected = warped(photo, shift)
    middle = (slice(None), slice(24, -24), slice(40, -24))
    assert (result[middle] - expected[middle]).abs().mean() < 0.03
    assert (photo[middle] - expected[middle]).abs().mean() > 0.08
    half = transfer_edit(photo, frames, strength=0.5)
    assert (half[middle] - warped(photo, shift / 2)[middle]).abs().mean() < 0.03


def test_a_field_is_enlarged_along_the_guides_edges():
    guide = torch.zeros(3, 64, 64)
    guide[:, :, 30:] = 1.0
    small = (F.interpolate(guide[None, :1], (16, 16), mode="area")[0] * 5).contiguous()
    found = guided_upsample(small, guide)
    assert found.shape == (1, 64, 64)
    assert found[0, :, :28].abs().max() < 0.3 and (found[0, :, 32:] - 5).abs().max() < 0.3


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda a: estimate_flow_and_color(a, a[:, :60]), "combined element by element"),
    (lambda a: estimate_flow_and_color(a, a, flow_smoothness=0), "above 0"),
    (lambda a: estimate_flow_and_color(a, a, turns=0), "whole number"),
    (lambda a: transfer_edit(a, a[None]), "at least 2"),
    (lambda a: transfer_edit(a, torch.stack([a, a]), strength=2), "at most 1"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, after):
    with pytest.raises(ValueError, match=sentence):
        call(after)
