"""Framing: the model's square in a photo, cut out and carried back."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.framing import Frame, carry_back
from course_lib.transfer import apply_change

EYES = ((0.345, 0.496), (0.655, 0.496))


def smooth(rng: torch.Generator, height: int = 120, width: int = 160) -> torch.Tensor:
    """A photo without detail that resampling would lose."""
    return F.interpolate(torch.rand(1, 3, 8, 8, generator=rng), (height, width), mode="bicubic",
                         align_corners=True)[0].clamp(0, 1)


def still(side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """No motion and no change of colour."""
    return torch.zeros(2, side, side), torch.eye(3, 4)[..., None, None].repeat(1, 1, side, side)


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.3])
def test_two_points_come_to_lie_where_they_are_expected(angle):
    frame = Frame((70.0, 55.0), 60.0, angle)
    found = frame.to_photo(torch.tensor(EYES)).tolist()
    for order in (found, found[::-1]):
        again = Frame.by_points(order, EYES)
        assert again.centre == pytest.approx(frame.centre, abs=1e-3)
        assert (again.side, again.angle) == pytest.approx((frame.side, angle), abs=1e-3)


def test_an_upright_face_is_framed_by_the_papers_numbers():
    frame = Frame.by_face([(40, 50), (60, 50), (50, 70)])  # |e| = |m| = 20: 4 · 20 beats 3.6 · 20
    assert frame.centre == pytest.approx((50, 52))
    assert (frame.side, frame.angle) == pytest.approx((80, 0))
    long = Frame.by_face([(40, 50), (60, 50), (50, 90)])
    assert (long.side, long.centre) == (pytest.approx(3.6 * 40), pytest.approx((50, 54)))


def test_a_turned_face_is_framed_as_ffhqs_own_tool_frames_it():
    # Its steps on arrays, eyes and mouth of a face that looks aside.
    eyes, mouth = torch.tensor([[61.0, 40.0], [97.0, 52.0]]), torch.tensor([70.0, 88.0])
    across, down = eyes[1] - eyes[0], mouth - eyes.mean(dim=0)
    x = across - down.flip(0) * torch.tensor([-1.0, 1.0])
    x = x / x.norm() * max(2 * across.norm(), 1.8 * down.norm())
    y = x.flip(0) * torch.tensor([-1.0, 1.0])
    c = eyes.mean(dim=0) + 0.1 * down
    corners = torch.stack([c - x - y, c + x - y, c + x + y, c - x + y])
    frame = Frame.by_face([*eyes.tolist(), mouth.tolist()])
    torch.testing.assert_close(frame.corners(), corners, atol=1e-3, rtol=0)


def test_a_face_moves_turns_and_grows_and_its_frame_with_it(rng):
    face = torch.tensor([[-10.0, 0.0], [10.0, 1.0], [0.5, 22.0]]) + torch.rand(3, 2, generator=rng)
    first = Frame.by_face(face.tolist()).to_shares(face)
    for angle, scale in ((0.7, 3.0), (-2.9, 0.6), (1.6, 1.4)):  # lying and upside down, too
        cos, sin = math.cos(angle), math.sin(angle)
        moved = scale * face @ torch.tensor([[cos, sin], [-sin, cos]]) + torch.tensor([200.0, 90.0])
        for order in ([0, 1, 2], [1, 0, 2]):  # either eye may come first
            frame = Frame.by_face(moved[order].tolist())
            torch.testing.assert_close(frame.to_shares(moved), first, atol=1e-4, rtol=0)


def test_four_and_five_points_give_the_mouth_by_its_corners():
    eyes, corners = [(40, 50), (60, 52)], [(42, 72), (55, 74)]
    frame = Frame.by_face([*eyes, (48.5, 73)])
    assert Frame.by_face([*eyes, *corners]) == frame
    assert Frame.by_face([*eyes, (11, 5), *corners[::-1]]) == frame


def test_photo_and_square_are_each_other_s_inverse(rng):
    places = 100 * torch.rand(7, 2, generator=rng)
    frame = Frame((70.0, 55.0), 60.0, 0.4)
    torch.testing.assert_close(frame.to_photo(frame.to_shares(places)), places, atol=1e-3, rtol=0)


def test_what_is_cut_is_what_lies_there(rng):
    photo, frame = smooth(rng), Frame((70.0, 55.0), 60.0, 0.4)
    square = frame.cut(photo, 20)
    x, y = frame.to_photo(torch.tensor([12.5, 5.5]) / 20).round().int().tolist()
    torch.testing.assert_close(square[:, 5, 12], photo[:, y, x], atol=0.05, rtol=0)
    assert Frame.middle(photo).cut(photo, 24).shape == (3, 24, 24)


def test_a_frame_means_the_same_in_a_smaller_photo(rng):
    photo, frame = smooth(rng), Frame((70.0, 55.0), 60.0, 0.4)
    small = F.interpolate(photo[None], scale_factor=0.5, mode="area")[0]
    torch.testing.assert_close(
        frame.scaled(0.5).cut(small, 20), frame.cut(photo, 20), atol=0.03, rtol=0)


def test_a_whole_photo_is_changed_as_by_transfer_itself(rng):
    photo = smooth(rng, 64, 64)
    flow = 2 * torch.rand(2, 32, 32, generator=rng)
    color = still()[1] * 0.8
    torch.testing.assert_close(
        carry_back(photo, Frame.middle(photo), flow, color), apply_change(photo, flow, color))


def test_an_edit_that_changes_nothing_leaves_each_pixel_as_it_was(rng):
    photo = torch.rand(3, 120, 160, generator=rng)
    torch.testing.assert_close(carry_back(photo, Frame((70.0, 55.0), 60.0, 0.4), *still()), photo,
                               atol=1e-5, rtol=0)


def test_outside_the_square_nothing_changes_and_no_seam_shows():
    photo, frame = torch.full((3, 120, 160), 0.5), Frame((70.0, 55.0), 60.0, 0.4)
    flow, color = still()
    changed = carry_back(photo, frame, flow, 1.5 * color) - photo
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing="ij")
    shares = frame.to_shares(torch.stack([x, y], dim=-1))
    outside = ((shares < -0.02) | (shares > 1.02)).any(dim=-1)
    assert changed[:, outside].abs().max() < 0.01
    assert changed[:, 55, 70].min() > 0.24  # all of it in the middle
    steps = torch.cat([changed.diff(dim=1).abs().flatten(), changed.diff(dim=2).abs().flatten()])
    assert steps.max() < 0.1


def test_motion_turns_with_the_square():
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing="ij")
    photo = torch.stack([x / 160, y / 120, torch.zeros_like(x)])  # tells where a pixel came from
    frame, (flow, color) = Frame((70.0, 55.0), 60.0, math.pi / 2), still(30)
    flow[0] = 3.0  # pixels of 2: what was 6 px to the right in the square, which is below here
    moved = carry_back(photo, frame, flow, color)[:, 55, 70] - photo[:, 55, 70]
    torch.testing.assert_close(moved[:2] * torch.tensor([160.0, 120.0]), torch.tensor([0.0, 6.0]),
                               atol=0.1, rtol=0)


@pytest.mark.parametrize("points, complaint", [
    ([(3, 4)], "1 points are given"), ([(3, 4), (4, 4)], "too close"),
])
def test_points_that_tell_no_place_are_refused(points, complaint):
    with pytest.raises(ValueError, match=complaint):
        Frame.by_points(points, EYES)


@pytest.mark.parametrize("points, complaint", [
    ([(3, 4), (9, 4)], "2 points are given"), ([(3, 4), (4, 4), (3, 20)], "too close"),
    ([(3, 4), (13, 4), (8, 5)], "too close"),
])
def test_points_that_tell_no_face_are_refused(points, complaint):
    with pytest.raises(ValueError, match=complaint):
        Frame.by_face(points)


def test_a_square_outside_the_photo_is_refused():
    with pytest.raises(ValueError, match="outside the photo"):
        carry_back(torch.zeros(3, 20, 20), Frame((100.0, 100.0), 10.0), *still())
