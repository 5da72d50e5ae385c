"""Deep Image Prior: what an untrained network finds first, and what it never looks at."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.deep_prior import fit_untrained

SMALL = {"width": 12, "levels": 2}


def smooth(rng: torch.Generator, size: int = 32) -> torch.Tensor:
    """A picture without detail."""
    small = torch.rand(1, 3, 5, 5, generator=rng)
    return F.interpolate(small, (size, size), mode="bicubic", align_corners=True)[0].clamp(0, 1)


def fit(photo, steps=60, seed=1, **options):
    return fit_untrained(photo, steps=steps, rng=torch.Generator().manual_seed(seed),
                         **SMALL | options)


def error(image, photo):
    return float((image - photo).square().mean())


def test_a_picture_is_learnt_sooner_than_its_own_pixels_in_disorder(rng):
    photo = smooth(rng)
    disorder = photo.flatten(1)[:, torch.randperm(32 * 32, generator=rng)].reshape(photo.shape)
    losses = [float(fit(one).losses[-1]) for one in (photo, disorder)]
    assert losses[0] < 0.2 * losses[1]


def test_stopped_early_it_is_closer_to_the_clean_photo_than_the_noisy_one_is(rng):
    photo = smooth(rng)
    noisy = (photo + 0.15 * torch.randn(photo.shape, generator=rng)).clamp(0, 1)
    found = fit(noisy, steps=150)
    assert error(found.averaged, photo) < 0.35 * error(noisy, photo)


def test_what_is_not_known_is_never_looked_at_and_filled(rng):
    photo = smooth(rng)
    hole = torch.zeros(32, 32, dtype=torch.bool)
    hole[12:18, 10:20] = True
    black, white = (torch.where(hole, value, photo) for value in (0.0, 1.0))
    found = fit(black, steps=150, known=~hole)
    torch.testing.assert_close(found.image, fit(white, steps=150, known=~hole).image)
    mean = photo[:, ~hole].mean(dim=1, keepdim=True)  # the fill of one who knows no neighbours
    assert error(found.averaged[:, hole], photo[:, hole]) < 0.5 * error(photo[:, hole], mean)


def test_the_same_seed_gives_the_same_picture_and_the_global_one_is_left_alone(rng):
    photo = smooth(rng)
    before = torch.random.get_rng_state()
    first, same, other = (fit(photo, steps=3, seed=seed).image for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_any_size_that_can_be_halved_will_do(rng):
    photo = torch.rand(3, 37, 51, generator=rng)
    assert fit(photo, steps=2, width=8, levels=3).averaged.shape == photo.shape


def test_a_callback_sees_each_picture_and_may_end_it(rng):
    seen = []

    def callback(step, image):
        seen.append(image)
        if step == 2:
            raise StopIteration

    found = fit(smooth(rng), callback=callback)
    assert len(seen) == len(found.losses) == 3
    torch.testing.assert_close(found.image, seen[-1])


@pytest.mark.parametrize("photo, options, sentence", [
    (torch.zeros(1, 32, 32), {}, "fitted to one colour picture"),
    (torch.zeros(3, 8, 32), {}, "too few to be halved 2 times"),
    (torch.full((3, 32, 32), 255.0), {}, "photo"),
    (torch.zeros(3, 32, 32), {"known": torch.zeros(32, 32, dtype=torch.bool)}, "True somewhere"),
    (torch.zeros(3, 32, 32), {"known": torch.ones(8, 32, dtype=torch.bool)}, "True somewhere"),
    (torch.zeros(3, 32, 32), {"steps": 0}, "steps"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(photo, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit(photo, **options)
