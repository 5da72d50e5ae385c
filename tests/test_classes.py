"""Projection over class and code: the right class, mixtures, and what is refused."""

import pytest
import torch

from course_lib.classes import project_over_classes
from course_lib.losses import pixel_loss
from course_lib.results import CLOSE_TO_PHOTO
from tests.test_biggan import small
from tests.toys import tame

SETTINGS = {"loss": pixel_loss, "tries": 40, "prior": 0.0}


def picture(generator, rng):
    with torch.no_grad():
        return generator.decode(0.7 * generator.sample_latent(1, rng=rng))[0].clamp(0, 1)


def test_a_picture_of_each_class_is_found_in_that_class(rng):
    generator = small(rng)
    for number in range(3):
        photo = picture(generator.with_label(number), rng)
        found = project_over_classes(generator, photo, steps=120, **SETTINGS)
        assert found.best == number
        assert float(pixel_loss(found.image, photo[None])) < float(found.by_class.min())
        with torch.no_grad():
            again = generator.with_mix(found.mix).decode(found.latent)
        torch.testing.assert_close(found.image, again)


def test_shares_are_never_negative_and_add_up_to_one_and_one_class_stays_alone(rng):
    generator = small(rng)
    photo = picture(generator.with_label(1), rng)
    mixed = project_over_classes(generator, photo, steps=20, **SETTINGS)
    assert mixed.mix.min() > 0 and float(mixed.mix.sum()) == pytest.approx(1, abs=1e-5)
    alone = project_over_classes(generator, photo, steps=20, mixes=False, **SETTINGS)
    assert sorted(alone.mix[0].tolist()) == [0, 0, 1] and alone.mix[0, alone.best] == 1


def test_a_picture_between_two_classes_is_met_by_a_mixture_not_by_one_class(rng):
    generator = small(rng)
    photo = picture(generator.with_mix(torch.tensor([[0.5, 0.5, 0.0]])), rng)
    options = {"steps": 150, **SETTINGS}
    mixed, alone = (project_over_classes(generator, photo, mixes=mixes, **options)
                    for mixes in (True, False))
    assert pixel_loss(mixed.image, photo[None]) < 0.5 * pixel_loss(alone.image, photo[None])
    assert mixed.mix[0, 2] < mixed.mix[0, :2].min()


def test_the_prior_shortens_the_code(rng):
    generator = small(rng)
    photo = picture(generator.with_label(0), rng)
    free, held = (project_over_classes(generator, photo, steps=40, **SETTINGS | {"prior": prior})
                  for prior in (0.0, 1.0))
    assert held.latent.norm() < 0.7 * free.latent.norm()


def test_a_callback_ends_it_with_what_was_found(rng):
    generator, seen = small(rng), []

    def callback(step, image):
        seen.append(image.shape)
        if step == 4:
            raise StopIteration

    photo = picture(generator.with_label(0), rng)
    found = project_over_classes(generator, photo, steps=30, callback=callback, **SETTINGS)
    assert len(seen) == len(found.energies[CLOSE_TO_PHOTO]) == 5 and seen[0][1:] == photo.shape


@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(rng):
    with pytest.raises(ValueError, match="is told no class"):
        project_over_classes(tame(rng), torch.zeros(3, 16, 16))
    with pytest.raises(ValueError, match="crop the photo"):
        project_over_classes(small(rng), torch.zeros(3, 5, 5))
