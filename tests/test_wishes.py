"""The wishes by which edits are compared: what counts as met, what a classical tool does."""

import pytest
import torch

from course_lib.images import load_image
from course_lib.transfer import soft_ellipses
from course_lib.warping import warp_mls
from tests.benchmarks.wishes import HEAD, SIDE, WISHES, Coat, Layer, Pose, as_strong


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return load_image("tabby", size=256, device="cpu")


def test_wishes_have_names_of_their_own():
    assert len({wish.name for wish in WISHES}) == len(WISHES)


def test_a_coat_that_is_a_tint_under_the_mask_is_met_by_the_tint(photo):
    mask = HEAD.mask(photo)
    tinted = torch.lerp(photo, (0.8 * photo + 0.1 * photo.flip(0) + 0.05).clamp(0, 1), mask)
    wish = Coat("tinted").like(tinted, "tabby")
    assert wish.missed(photo, tinted, "tabby") == 0 < wish.missed(photo, photo, "tabby")
    torch.testing.assert_close(wish.classical(photo, 1.0, "tabby"), tinted, atol=2e-3, rtol=0)
    assert torch.equal(wish.classical(photo, 0.0, "tabby"), photo)
    assert wish.missed(photo, as_strong(wish, "tabby", photo, tinted), "tabby") < 1e-3


def test_a_layer_spares_eyes_and_white_fur(photo):
    mask = HEAD.mask(photo)
    inside = soft_ellipses(HEAD.spared, 256, sharpness=8) > 0.95
    assert mask[inside].max() < 0.06 and mask.max() > 0.9
    assert mask[photo.amin(dim=0) > 0.8].max() < 0.01
    assert Layer(HEAD.places, spares_white=False).mask(photo)[photo.amin(dim=0) > 0.8].max() > 0.9


def test_stripes_are_beyond_any_tint(photo):
    striped = photo.clone()
    striped[:, 60:140, 60:200:8] *= 0.3
    wish = Coat("striped").like(striped, "tabby")
    for strength in (0.5, 1.0):
        left = (wish.classical(photo, strength, "tabby") - striped).square().mean()
        assert left > 0.3 * (photo - striped).square().mean()


def test_a_pose_is_met_by_a_warp_of_the_same_points(photo):
    start = torch.tensor([[0.345, 0.496], [0.655, 0.496], [62 / SIDE, 88 / SIDE], [0.02, 0.02],
                          [0.98, 0.02], [0.02, 0.98], [0.98, 0.98]]) * 256
    way = torch.zeros_like(start)
    way[:3] = torch.tensor([0.0, -12.0])
    turned = warp_mls(photo, start, start + way).clamp(0, 1)
    wish = Pose("up", {"up": 1.0}).like(turned, "tabby")
    assert wish.missed(photo, turned, "tabby") == 0
    assert wish.missed(photo, photo, "tabby") > 4  # pixels of 128
    assert wish.missed(photo, wish.classical(photo, 1.0, "tabby"), "tabby") < 1.5
