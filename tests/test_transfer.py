"""Edit transfer: known motion and colour are found, and carried to a photo of any size."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.gradients import gradient
from course_lib.images import crop_square, load_image
from course_lib.metrics import detail_energy
from course_lib.transfer import (
    add_change,
    apply_change,
    blend_change,
    changed_region,
    doubled,
    enlarge_edit,
    estimate_flow_and_color,
    follow_morph,
    guided_upsample,
    reached_from_rim,
    recolored,
    transfer_edit,
    trust_projection,
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


def seen(flow: torch.Tensor) -> torch.Tensor:
    """Where the motion stays inside the picture and does not fold it."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    ends = torch.stack([x, y]) + flow
    (dx_u, dx_v), (dy_u, dy_v) = (torch.gradient(flow, dim=d)[0] for d in (2, 1))
    unfolded = (1 + dx_u) * (1 + dy_v) - dx_v * dy_u > 0.2
    return ((ends >= 1) & (ends <= 62)).all(dim=0) & unfolded


@pytest.mark.parametrize("name, seed", [("chelsea", 0), ("coffee", 0), ("astronaut", 1)])
def test_known_motion_of_six_pixels_and_known_colour_are_found(name, seed):
    rng = torch.Generator().manual_seed(seed)
    size = 280 if name == "chelsea" else None
    after = crop_square(load_image(name, device="cpu"), size=size, resolution=64)
    flow, color = smooth(2, 6.0, rng), color_change(0.1, rng)
    before = recolored(warped(after, flow), color)
    found = estimate_flow_and_color(before, after)
    error = (before - recolored(warped(after, found.flow), found.color)).abs().amax(dim=0)
    inside = seen(flow)
    assert (error[inside] < 2 / 255).float().mean() > 0.95
    textured = gradient(warped(after, flow)).square().sum(dim=(0, 1)).sqrt() > 0.05
    textured &= inside & (F.pad(torch.ones(60, 60), (2, 2, 2, 2)) > 0)
    assert textured.float().mean() > 0.4
    assert ((found.flow - flow).norm(dim=0)[textured] < 0.5).float().mean() > 0.95


def test_the_energy_never_rises(after, rng):
    before = recolored(warped(after, smooth(2, 4.0, rng)), color_change(0.2, rng))
    told = []
    energies = estimate_flow_and_color(
        before, after, callback=lambda step, image: told.append((step, image))
    ).energies
    total = sum(energies.values())
    assert len(total) > 2 and (total.diff() <= 0).all() and total[-1] < total[0]
    step, image = told[-1]
    assert step == len(total) - 2
    torch.testing.assert_close((before - image).square().sum(), energies["data"][-1])


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


def test_a_morph_is_followed_without_drifting(after, rng):
    flow, color = smooth(2, 6.0, rng), color_change(0.2, rng)
    identity = torch.eye(3, 4)[..., None, None]
    frames = torch.stack([
        recolored(warped(after, s * flow), identity + s * (color - identity))
        for s in torch.linspace(0, 1, 7)
    ])
    told = []
    morph = follow_morph(frames, callback=lambda k, image: told.append(k))
    assert told == [1, 2, 3, 4, 5, 6]
    explained = recolored(warped(after, morph.flows[-1]), morph.colors[-1])
    assert (frames[-1] - explained).square().mean().sqrt() < 3 / 255
    half = morph.at(0.5)
    assert torch.equal(half.flow, morph.flows[3]) and torch.equal(half.color, morph.colors[3])
    torch.testing.assert_close(explained + morph.rests[-1], frames[-1])
    torch.testing.assert_close(morph.at(0.25).flow, (morph.flows[1] + morph.flows[2]) / 2)
    assert morph.at(0).flow.abs().max() == 0 and morph.at(0).rest.abs().max() == 0


@pytest.fixture
def photo():
    return crop_square(load_image("astronaut", device="cpu"), size=256)


@pytest.fixture
def striped(photo):
    """A morph that draws stripes onto the left half, which are nowhere in the photo."""
    small = F.interpolate(photo[None], (64, 64), mode="area")[0]
    stripes = torch.zeros(64, 64)
    stripes[:, 4:28:6] = stripes[:, 5:28:6] = -0.35
    return torch.stack([(small + share * stripes).clamp(0, 1) for share in (0, 0.5, 1)])


def test_what_neither_motion_nor_colour_explains_is_added_and_the_detail_stays(photo, striped):
    def missed(image):
        small = F.interpolate(image[None], (64, 64), mode="area")[0]
        return (small - striped[-1]).square().mean().sqrt()

    drawn = transfer_edit(photo, striped)
    assert missed(drawn) < 0.65 * missed(transfer_edit(photo, striped, remainder=False))
    assert detail_energy(drawn) > 0.9 * detail_energy(photo)


def test_outside_the_region_a_photo_stays_as_it_is(photo, striped):
    region = torch.zeros(256, 256)
    region[:128] = 1
    changed = transfer_edit(photo, striped, region=region)
    torch.testing.assert_close(changed[:, 160:], photo[:, 160:], atol=2e-3, rtol=0)
    everywhere = transfer_edit(photo, striped)
    torch.testing.assert_close(changed[:, :96], everywhere[:, :96], atol=2e-2, rtol=0)
    assert (changed - photo)[:, :112].abs().mean() > 0.03


def test_a_remainder_is_weak_where_the_projection_is_not_trusted(photo, striped):
    wrong = striped.clone()
    wrong[:, :, :, 32:] = 1 - wrong[:, :, :, 32:]
    wrong[1:, :, :, 50:54] = 0
    trust = trust_projection(photo, wrong[0])
    added, believed = (follow_morph(wrong, trust=one).rests[-1].abs() for one in (trust, None))
    assert added[..., 35:].mean() < 0.5 * believed[..., 35:].mean()


def test_motion_is_stiffer_where_the_projection_is_not_trusted(after, rng):
    # In the middle the morph shows something that the photo does not have.
    strange = after.clone()
    strange[:, 20:44, 20:44] = torch.rand(3, 24, 24, generator=rng)
    moved = strange.clone()
    moved[:, 20:44, 20:44] = warped(strange, torch.full((2, 64, 64), 2.0))[:, 20:44, 20:44]
    trust = trust_projection(after, strange)
    assert trust[24:40, 24:40].max() < 0.3 and trust[:12].min() > 0.99

    def middle(trust):
        flow = follow_morph(torch.stack([strange, moved]), trust=trust).flows[-1]
        return flow[:, 24:40, 24:40].norm(dim=0).mean()

    assert middle(trust**4) < 0.5 * middle(None)


def test_a_field_is_enlarged_along_the_guides_edges():
    guide = torch.zeros(3, 64, 64)
    guide[:, :, 30:] = 1.0
    small = (F.interpolate(guide[None, :1], (16, 16), mode="area")[0] * 5).contiguous()
    found = guided_upsample(small, guide)
    assert found.shape == (1, 64, 64)
    assert found[0, :, :28].abs().max() < 0.3 and (found[0, :, 32:] - 5).abs().max() < 0.3


def test_a_photo_keeps_its_detail_between_the_pixels():
    photo = load_image("chelsea", device="cpu")[:, :200, :200]
    flow = torch.full((2, 200, 200), 0.5)
    finely = warped(doubled(photo), flow, finer=2)
    whole, bicubic = detail_energy(photo), detail_energy(warped(photo, flow))
    assert 1.1 * bicubic < detail_energy(finely) < 1.05 * whole
    assert detail_energy(finely) > 0.85 * whole  # half way between pixels is the worst case
    back = warped(doubled(finely), -flow, finer=2)
    assert (back - photo)[:, 8:-8, 8:-8].abs().mean() < 1 / 255
    still = warped(doubled(photo), torch.zeros(2, 200, 200), finer=2)
    torch.testing.assert_close(still, photo, atol=1e-4, rtol=0)


def test_the_naive_ways_are_right_where_nothing_moves_and_nothing_is_fine(after):
    photo = F.interpolate(after[None], (128, 128), mode="bicubic")[0]  # has no more detail
    edited = after.clone()
    edited[:, 20:40, 24:44] *= torch.tensor([1.0, 0.5, 0.4])[:, None, None]
    wanted = enlarge_edit(photo, edited)
    torch.testing.assert_close(add_change(photo, after, edited), wanted, atol=1e-5, rtol=0)
    blended = blend_change(photo, after, edited)
    assert (blended - wanted).abs().mean() < 0.01
    assert torch.equal(blended[:, :30], photo[:, :30])
    assert torch.equal(blend_change(photo, after, after), photo)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda a: estimate_flow_and_color(a, a[:, :60]), "combined element by element"),
    (lambda a: estimate_flow_and_color(a, a, flow_smoothness=0), "above 0"),
    (lambda a: estimate_flow_and_color(a, a, steps=0), "whole number"),
    (lambda a: estimate_flow_and_color(a, a, trust=a[0, :60]), "combined element by element"),
    (lambda a: estimate_flow_and_color(a, a, callback=3), "function of"),
    (lambda a: transfer_edit(a, torch.stack([a, a]), region=2 * torch.ones(8, 8)), "region"),
    (lambda a: transfer_edit(a, torch.stack([a, a]), misfit=0), "above 0"),
    (lambda a: transfer_edit(a, a[None]), "at least 2"),
    (lambda a: transfer_edit(a, torch.stack([a, a]), strength=2), "at most 1"),
    (lambda a: transfer_edit(a[None], torch.stack([a, a])), r"photo\[0\] of a batch"),
    (lambda a: transfer_edit(torch.cat([a, a[:1]]), torch.stack([a, a])), "fourth channel"),
    (lambda a: transfer_edit(a, a), r"pass the \.frames of an edit"),
    (lambda a: transfer_edit(a * 2 - 1, torch.stack([a, a])), r"pass \(photo \+ 1\) / 2"),
    (lambda a: transfer_edit(a, torch.stack([a, a]) * 2 - 1), r"pass \(frames \+ 1\) / 2"),
    (lambda a: add_change(a, a, a[:, :60]), "combined element by element"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, after):
    with pytest.raises(ValueError, match=sentence):
        call(after)


def test_detail_keeps_its_contrast_where_the_fields_would_wipe_or_exaggerate_it(rng):
    """A flat matrix explains a coat that G draws anew; the fur on it stays, and never glitters."""
    fur = 0.5 + 0.1 * torch.randn(3, 64, 64, generator=rng)
    still = torch.zeros(2, 16, 16)
    color = torch.zeros(3, 4, 16, 16)
    color[:, 3] = 0.5  # a plain grey, whatever was there
    flat = apply_change(fur, still, color)
    assert 0.8 < float(detail_energy(flat) / detail_energy(fur)) < 1.1
    color = 4 * torch.eye(3, 4)[..., None, None].expand(3, 4, 16, 16).clone()
    color[:, 3] = -1.5  # as bright as before, four times the contrast
    loud = apply_change(fur, still, color)
    assert float(detail_energy(loud) / detail_energy(fur)) < 1.2
    color = 0.5 * torch.eye(3, 4)[..., None, None].expand(3, 4, 16, 16).clone()
    dark = apply_change(fur, still, color)  # half the light: half the contrast
    assert 0.2 < float(detail_energy(dark) / detail_energy(fur)) < 0.35


# ---- where a photo follows

def test_a_background_reaches_from_the_rim_and_has_no_islands():
    mask = torch.ones(9, 12, dtype=torch.bool)
    mask[2:9, 3:9] = False  # the cat, down to the rim
    island = mask.clone()
    island[4:6, 5:7] = True  # a light nose
    assert torch.equal(reached_from_rim(island), mask)
    bay = island.clone()
    bay[6:9, 5] = True  # which a path joins to the rim
    assert torch.equal(reached_from_rim(bay), bay)
    assert not reached_from_rim(torch.zeros(5, 5, dtype=torch.bool)).any()


def test_what_changed_much_is_told_from_what_was_tinted_a_little(rng):
    frames = torch.rand(1, 3, 64, 64, generator=rng).expand(3, -1, -1, -1).clone()
    frames[2] *= 0.95  # nobody spoke of the rest
    frames[2, :, 16:48, 16:48] += 0.4
    region = changed_region(frames)
    assert region.shape == (64, 64) and region.min() == 0 and region.max() == 1
    inside, far = region[22:42, 22:42], torch.ones(64, 64, dtype=torch.bool)
    far[8:56, 8:56] = False
    assert inside.min() > 0.99 and region[far].max() < 0.01
    torch.testing.assert_close(changed_region(0.3 * frames), region)  # of any strength
    assert torch.equal(changed_region(frames[:1].expand(2, -1, -1, -1)), torch.zeros(64, 64))
    assert changed_region(frames, little=0, much=0.05)[far].mean() > 0.5


@pytest.mark.parametrize(("change", "sentence"), [
    ({"frames": torch.zeros(1, 3, 8, 8)}, "frames"),
    ({"frames": torch.zeros(3, 8, 8)}, "a region is of one morph"),
    ({"little": 0.5, "much": 0.5}, "more than that for much"),
    ({"little": -0.1}, "0 or more for little"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_region_that_can_t_be_is_refused(change, sentence):
    call = {"frames": torch.zeros(2, 3, 8, 8)} | change
    with pytest.raises(ValueError, match=sentence):
        changed_region(call.pop("frames"), **call)


def test_a_pose_is_carried_as_motion_alone():
    rng = torch.Generator().manual_seed(0)
    photo = F.interpolate(torch.rand(1, 3, 6, 6, generator=rng), (96, 96), mode="bicubic")[0]
    photo = photo.clamp(0, 1)
    small = F.interpolate(photo[None], (48, 48), mode="area")[0]
    flow = torch.zeros(2, 48, 48)
    flow[0] = 2.0
    frames = torch.stack([warped(small, share * flow) for share in (0, 0.5, 1)])
    tinted = frames * torch.tensor([1.0, 0.8, 0.6])[:, None, None] ** torch.tensor(
        [0, 0.5, 1])[:, None, None, None]
    moved = transfer_edit(photo, tinted.clamp(0, 1), misfit=None, recolor=False)
    truth = warped(photo, F.interpolate(2 * flow[None], (96, 96))[0])
    inner = (slice(None), slice(16, -16), slice(16, -16))
    assert (moved - truth)[inner].abs().mean() < 0.02
    tinted_too = transfer_edit(photo, tinted.clamp(0, 1), misfit=None)
    assert (tinted_too - truth)[inner].abs().mean() > 0.05
