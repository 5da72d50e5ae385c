"""Realism: photographs are told from what a tint or a warp has ruined."""

import pytest
import torch

from course_lib.images import load_image
from course_lib.pixels import CATS
from course_lib.realism import collect, judge_realism, nearby
from course_lib.transfer import soft_ellipses


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.stack([load_image(name, size=128, device="cpu") for name in CATS])


def test_untouched_photographs_are_about_as_strange_as_photographs_are(photos):
    found = judge_realism(photos)
    assert 0.2 < float(found.stranger.mean()) < 0.7
    assert float(found.stranger.max()) < 0.99


def test_a_tinted_disc_is_the_stranger_the_stronger_it_is(photos):
    disc = soft_ellipses([(0.5, 0.48, 0.35, 0.35)], 128)
    means = []
    for strength in (0, 1, 2, 3):
        gain = torch.tensor([1 + 0.2 * strength, 1 - 0.1 * strength, 1 - 0.3 * strength])
        tinted = photos * (1 - disc + disc * gain[:, None, None])
        means.append(float(judge_realism(tinted.clamp(0, 1)).stranger.mean()))
    assert means == sorted(means) and means[3] > means[0] + 0.25


def test_noise_and_plain_grey_are_as_strange_as_can_be(rng):
    strange = torch.stack([torch.rand(3, 128, 128, generator=rng), torch.full((3, 128, 128), 0.5)])
    assert float(judge_realism(strange).stranger.min()) > 0.98


def test_one_picture_of_any_size_is_judged_as_in_a_batch(photos):
    large = load_image(CATS[0], device="cpu")
    one, many = judge_realism(large), judge_realism(photos)
    assert one.distance.shape == (1,)
    assert float(one.distance[0]) == pytest.approx(float(many.distance[0]), rel=0.05)


def test_what_is_kept_is_in_deviations_and_in_order(rng):
    known = 3 + 5 * torch.randn(500, 4, 8, generator=rng)
    found = collect(known, 3 + 5 * torch.randn(100, 4, 8, generator=rng))
    torch.testing.assert_close(found.features.std(dim=0), torch.ones(4, 8))
    assert torch.equal(found.kept_out, found.kept_out.sort().values)
    twins = found.features[:1].repeat(5, 1, 1)
    assert float(nearby(found.features[:1], twins).max()) < 1e-3
    assert nearby(found.features[:1] + 3, twins).flatten().tolist() == pytest.approx(4 * [3])


def test_a_place_that_is_wrong_is_found_at_its_place(photos):
    patched = photos.clone()
    patched[:, :, 32:64, 64:96] = patched[:, :, 32:64, 64:96].flip(2)
    worse = judge_realism(patched).places - judge_realism(photos).places
    assert int(worse.mean(dim=0).argmax()) in (6, 10, 2)  # row 1, column 2, or beside it


@pytest.mark.usefixtures("as_users_run_it")
def test_what_can_t_be_judged_is_refused(photos):
    with pytest.raises(ValueError, match="kind"):
        judge_realism(photos, "dogs")
    with pytest.raises(ValueError, match="colours"):
        judge_realism(photos[:, :1])
