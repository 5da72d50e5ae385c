"""The wishes by which edits are compared: what counts as met, what a classical tool does."""

import pytest
import torch

from course_lib.images import load_image
from course_lib.sessions import Words
from course_lib.warping import warp_mls
from tests.benchmarks.wishes import SIDE, WISHES, Pose, Say, as_strong


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return load_image("tabby", size=256, device="cpu")


def test_wishes_have_names_of_their_own():
    assert len({wish.name for wish in WISHES}) == len(WISHES)


def test_a_word_that_did_what_a_tint_does_is_met_by_the_tint(photo):
    tinted = (0.8 * photo + 0.1 * photo.flip(0) + 0.05).clamp(0, 1)
    wish = Say("tinted", Words("any")).like(tinted, "tabby")
    assert wish.missed(photo, tinted, "tabby") == 0 < wish.missed(photo, photo, "tabby")
    torch.testing.assert_close(wish.classical(photo, 1.0, "tabby"), tinted, atol=2e-3, rtol=0)
    assert torch.equal(wish.classical(photo, 0.0, "tabby"), photo)
    assert wish.missed(photo, as_strong(wish, "tabby", photo, tinted), "tabby") < 1e-3


def test_a_mask_is_beyond_any_tint(photo):
    masked = photo.clone()
    masked[:, 150:210, 90:170] *= 0.3
    wish = Say("masked", Words("any")).like(masked, "tabby")
    for strength in (0.5, 1.0, 2.0):
        left = wish.missed(photo, wish.classical(photo, strength, "tabby"), "tabby")
        assert left > 0.3 * wish.missed(photo, photo, "tabby")


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
