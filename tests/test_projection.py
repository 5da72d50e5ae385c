"""Projection: codes are found again, in every space and by every way."""

import pytest
import torch

from course_lib import encoders
from course_lib.encoders import Encoder, EncoderConfig
from course_lib.generators import load_generator
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.losses import pixel_loss
from course_lib.projection import noise_structure, project, ramp
from tests.toys import tame


@pytest.fixture
def generator(rng) -> StyleGAN2:
    return tame(rng)


@pytest.fixture
def photos(generator, rng) -> torch.Tensor:
    return generator.decode(generator.sample_latent(2, rng=rng))


@pytest.mark.parametrize("space", ["z", "w", "w_plus"])
def test_a_sample_is_found_again(generator, photos, space):
    found = project(generator, photos, space=space, steps=80, loss=pixel_loss)
    assert found.image.shape == photos.shape and found.space == space
    assert found.latent.shape == (2, *generator.latent_shape(space))
    assert found.losses.shape == (80, 2)
    assert found.losses[-1].mean() < (0.5 if space == "z" else 0.2) * found.losses[0].mean()
    again = generator.decode(found.latent, space=space)
    torch.testing.assert_close(again, found.image)


def test_lbfgs_goes_down_step_by_step(generator, photos):
    found = project(generator, photos[:1], steps=20, loss=pixel_loss, optimizer="lbfgs",
                    latent_noise=0)
    assert found.losses.shape == (20, 1)
    assert (found.losses.diff(dim=0) <= 1e-6).all()
    assert found.losses[-1] < 0.2 * found.losses[0]


def test_lbfgs_searches_for_each_photo_as_if_it_were_alone(generator, photos):
    options = {"steps": 30, "loss": pixel_loss, "optimizer": "lbfgs", "latent_noise": 0}
    together = project(generator, photos, **options)
    for photo, losses in zip(photos, together.losses.T, strict=True):
        alone = project(generator, photo, **options).losses[:, 0]
        torch.testing.assert_close(losses[:10], alone[:10], rtol=1e-2, atol=1e-5)
        assert losses[-1] < 0.2 * losses[0]


def test_lbfgs_leaves_a_mean_without_a_slope(photos):
    plain = load_generator("cats-dcgan", device="cpu")  # whose pictures do not change at z = 0
    cat = plain.decode(plain.sample_latent(1, rng=torch.Generator().manual_seed(0))).clamp(0, 1)
    found = project(plain, cat, steps=20, optimizer="lbfgs", loss=pixel_loss)
    assert found.losses[-1] < 0.7 * found.losses[0]


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_are_counted_before_sizes(generator, channels):
    with pytest.raises(ValueError, match=f"has {channels} channels"):
        project(generator, torch.rand(channels, 16, 16))


def test_a_loss_is_one_number_a_picture(generator, photos):
    with pytest.raises(ValueError, match="one number a picture"):
        project(generator, photos, steps=1, loss=lambda a, b: (a - b).square().mean())


def test_a_loss_without_a_number_is_named_with_its_step(generator, photos):
    with pytest.raises(ValueError, match="the energy is nan at step 0"):
        project(generator, photos, steps=2, loss=lambda a, b: pixel_loss(a, b) * torch.nan)


def test_no_code_to_start_from_is_refused(generator, photos):
    with pytest.raises(ValueError, match="init holds 0 codes"):
        project(generator, photos, steps=1, init=torch.zeros(0, 8))


def test_a_photo_of_doubles_is_taken(generator, photos):
    assert project(generator, photos.double(), steps=1).image.dtype == torch.float32


def test_the_default_loss_hears_the_discriminator(generator, photos):
    found = project(generator, photos[0], steps=60)
    assert found.latent.shape == (1, 8)
    assert found.losses[-1] < 0.5 * found.losses[0]


def test_equal_seeds_give_equal_projections(generator, photos):
    results = [
        project(generator, photos, steps=5, init="random", rng=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    ]
    assert torch.equal(results[0].latent, results[1].latent)
    assert not torch.equal(results[0].latent, results[2].latent)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_callback_may_end_it(generator, photos, optimizer):
    def stop(step, image):
        if step == 3:
            raise StopIteration

    found = project(generator, photos, steps=20, optimizer=optimizer, callback=stop)
    assert found.losses.shape == (4, 2)
    torch.testing.assert_close(generator.decode(found.latent, space="w"), found.image)


def test_no_steps_keep_the_start(generator, photos, rng):
    mean = project(generator, photos, steps=0)
    torch.testing.assert_close(mean.latent, generator.latent_mean("w").expand(2, -1))
    code = generator.sample_latent(2, space="w_plus", rng=rng)
    kept = project(generator, photos, space="w_plus", init=code, steps=0)
    assert torch.equal(kept.latent, code) and kept.losses.shape == (0, 2)


def test_the_best_of_several_starts_is_kept(generator, photos):
    def tried(starts):
        rng = torch.Generator().manual_seed(1)
        found = project(generator, photos, init="random", steps=20, starts=starts, rng=rng,
                        loss=pixel_loss, latent_noise=0)
        return pixel_loss(found.image, photos)

    # The first of the six starts of the first photo is the one that a single try begins from.
    assert tried(6)[0] <= tried(1)[0] + 1e-6
    assert tried(6).shape == (2,)


def test_the_prior_keeps_codes_near_the_mean(generator, photos):
    def distance(prior):
        found = project(generator, photos, steps=60, prior=prior, loss=pixel_loss)
        return (found.latent / generator.latent_std("w")).square().mean()

    free, bound = distance(0), distance(10)
    assert bound < 0.2 * free


def test_terms_of_the_energy_are_reported(generator, photos):
    found = project(generator, photos, steps=4, prior=0.1)
    assert set(found.energies) == {"close to the photo", "on the manifold"}
    torch.testing.assert_close(found.energies["close to the photo"], found.losses.mean(dim=1))
    assert found.energies["on the manifold"][-1] > 0 and found.seconds > 0


def test_it_stops_on_a_plateau(generator, photos):
    found = project(generator, photos, steps=100, patience=5, loss=pixel_loss, prior=100)
    assert 5 < len(found.losses) < 100


def test_the_callback_sees_every_step(generator, photos):
    seen = []
    project(generator, photos, steps=3, callback=lambda step, image: seen.append((step, image)))
    assert [step for step, _ in seen] == [0, 1, 2]
    assert all(image.shape == photos.shape for _, image in seen)


def test_noise_maps_that_matter_are_found_and_kept(rng):
    generator = tame(rng, noise=True)
    noise = [torch.randn(1, *size, generator=rng) for size in generator.noise_shapes]
    photo = generator.decode(generator.sample_latent(1, rng=rng), noise=noise).clamp(0, 1)
    found = project(generator, photo, steps=40, loss=pixel_loss)
    assert [tuple(one.shape) for one in found.noise] == [(1, *s) for s in generator.noise_shapes]
    torch.testing.assert_close(
        generator.decode(found.latent, space="w", noise=found.noise), found.image
    )
    for one in found.noise:
        assert abs(one.mean()) < 1e-4 and abs(one.square().mean() - 1) < 1e-3


def test_noise_has_less_structure_than_a_picture(rng):
    noise = torch.randn(1, 32, 32, generator=rng)
    ramp_map = torch.linspace(-1.7, 1.7, 32).expand(1, 32, 32)
    assert noise_structure([noise]) < 0.1 * noise_structure([ramp_map])


def test_the_rate_ramps_up_and_down():
    assert ramp(0) < 0.05 and ramp(0.5) == 1 and ramp(0.999) < 0.01
    assert ramp(0.02) < ramp(0.04) and ramp(0.8) > ramp(0.9)


def test_the_inverting_network_starts_and_the_mean_of_its_rows_serves_w(
    generator, photos, monkeypatch
):
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(16, "w_plus", 6, 8, (8, 8, 8))).eval()
    monkeypatch.setattr(encoders, "load_encoder", lambda _: encoder)
    alone = project(generator, photos, space="w_plus", init="encoder", steps=0)
    torch.testing.assert_close(alone.latent, encoder(photos).detach())
    in_w = project(generator, photos, space="w", init="encoder", steps=0)
    torch.testing.assert_close(in_w.latent, encoder(photos).mean(dim=1).detach())
    hybrid = project(generator, photos, space="w_plus", init="encoder", steps=60, loss=pixel_loss)
    assert (pixel_loss(hybrid.image, photos) < pixel_loss(alone.image, photos)).all()


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("options, sentence", [
    ({"space": "v"}, "take one of 'z', 'w', 'w_plus'"),
    ({"init": "middle"}, "init is 'middle'"),
    ({"init": torch.zeros(1, 5)}, "codes of tame in w are"),
    ({"init": "encoder"}, "no inverting network for tame"),
    ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
    ({"steps": -1}, "whole number"),
    ({"prior": -1}, "at least 0"),
    ({"starts": 0}, "whole number"), ({"patience": 0}, "whole number"),
    ({"rng": 0}, "rng is 0, but"),
])
def test_a_wrong_call_says_what_to_do(options, sentence, generator, photos):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        project(generator, photos, **options)


@pytest.mark.usefixtures("as_users_run_it")
def test_a_photo_of_another_size_is_refused(generator):
    with pytest.raises(ValueError, match="crop_square"):
        project(generator, torch.rand(3, 20, 20))


def test_it_descends_where_gradients_are_switched_off(generator, photos):
    with torch.no_grad():
        found = project(generator, photos, steps=20, loss=pixel_loss)
    assert found.losses[-1].mean() < found.losses[0].mean()
    with torch.inference_mode(), pytest.raises(ValueError, match=r"torch\.inference_mode"):
        project(generator, photos, steps=1)


def test_a_photo_of_0_to_255_is_refused(generator, photos):
    with pytest.raises(ValueError, match="divide by 255"):
        project(generator, photos * 255)


def test_no_network_for_w_plus_starts_a_search_in_z():
    cats = load_generator("cats", device="cpu")
    photo = cats.decode(cats.latent_mean("w")[None], space="w").clamp(0, 1)
    with pytest.raises(ValueError, match="no way leads back to z"):
        project(cats, photo, space="z", init="encoder", steps=1)


def test_a_photo_of_minus_1_to_1_is_refused(generator, photos):
    photos = (photos - photos.min()) / (photos.max() - photos.min())
    with pytest.raises(ValueError, match=r"pass \(target \+ 1\) / 2"):
        project(generator, photos * 2 - 1)
