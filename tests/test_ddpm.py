"""Official diffusion models: tiny ones of the same layout, against diffusers' own steps."""

import itertools
import json

import pytest
import torch

from course_lib.denoising import alpha, sigma
from course_lib.generators import list_generators, load_generator
from course_lib.generators.official_ddpm import DDPM, OFFICIAL, load_ddpm
from course_lib.sdedit import sdedit
from course_lib.weights import import_torchvision


@pytest.fixture(scope="module")
def diffusers():
    """The package, if it is at hand."""
    pytest.importorskip("diffusers")
    import_torchvision()
    import diffusers

    return diffusers


@pytest.fixture(scope="module")
def folder(diffusers, tmp_path_factory):
    """A tiny network that was saved as google/ddpm-* were."""
    place = tmp_path_factory.mktemp("ddpm") / "tiny-ddpm"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = diffusers.UNet2DModel(
            sample_size=16, layers_per_block=1, block_out_channels=(32, 32),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    network.save_pretrained(place)
    diffusers.DDPMScheduler().save_pretrained(place)
    return place


@pytest.fixture
def model(folder) -> DDPM:
    return load_generator(folder, device="cpu")


def test_at_its_own_times_the_noise_is_what_the_network_says(model, rng):
    x = torch.randn(2, 3, 16, 16, generator=rng)
    for number in (1, 400, 900):
        t = float(model.trained[number])
        expected = model.network(x, torch.tensor(number)).sample
        torch.testing.assert_close(model.predict(x, t).noise, expected, atol=1e-4, rtol=1e-4)
    between = model.trained[10:12].mean()[None]
    assert 10 < float(model.number_of(between)) < 11


def test_our_steps_are_those_of_diffusers(model, diffusers, rng):
    peer = diffusers.DDIMScheduler(clip_sample=False, timestep_spacing="linspace")
    peer.set_timesteps(6)
    numbers = [999, 799, 599, 400, 200, 0]
    x = theirs = torch.randn(1, 3, 16, 16, generator=rng)
    for number, after in itertools.pairwise(numbers):
        kept, later = peer.alphas_cumprod[number], peer.alphas_cumprod[after]
        noise = model.network(theirs, torch.tensor(number)).sample
        x0 = (theirs - (1 - kept).sqrt() * noise) / kept.sqrt()
        theirs = later.sqrt() * x0 + (1 - later).sqrt() * noise
    times = model.trained[numbers]
    for step in model.walk(x, times):
        ours = step.end
    torch.testing.assert_close(ours, theirs, atol=2e-2, rtol=1e-3)
    torch.testing.assert_close(alpha(times).square(), peer.alphas_cumprod[numbers], atol=1e-5,
                               rtol=1e-3)


def test_it_is_a_generator_like_any_other(model, rng):
    assert (model.name, model.resolution, model.z_dim) == ("tiny-ddpm", 16, 768)
    short = model.with_steps(3)
    z = short.sample_latent(1, rng=rng)
    image, seen = short.decode_with_features(z, ("mid@0.5",))
    torch.testing.assert_close(image, short.decode(z))
    assert seen["mid@0.5"].ndim == 4
    photo = torch.rand(1, 3, 16, 16, generator=rng)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:8] = True
    found = sdedit(short, photo, noise=0.6, mask=mask, rng=rng)
    torch.testing.assert_close(found.image[..., 8:, :], photo[..., 8:, :])
    with pytest.raises(ValueError, match="trained without labels"):
        model.with_label(0)


def test_noise_begins_where_the_training_ended(model):
    t = torch.tensor(model.latest)
    assert float(alpha(t) ** 2) == pytest.approx(4.04e-5, rel=0.01)  # ᾱ of DDPM's last step
    assert float(sigma(t)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("file, change, sentence", [
    ("config.json", {"_class_name": "UNet2DConditionModel"}, "holds a UNet2DConditionModel"),
    ("scheduler_config.json", {"prediction_type": "sample"}, "guesses sample"),
    ("scheduler_config.json", {"beta_schedule": "scaled_linear"}, "betas are scaled_linear"),
])
def test_another_kind_of_model_is_refused_in_a_sentence(folder, tmp_path, file, change, sentence):
    for one in folder.iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    said = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(said | change))
    with pytest.raises(ValueError, match=sentence):
        load_ddpm(tmp_path, "cpu")


def test_official_models_are_listed_and_offline_a_sentence_says_how_big_they_are(
        diffusers, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("socket.create_connection", lambda *args, **kwargs: _unplugged())
    names = {card.name for card in list_generators()}
    assert OFFICIAL.keys() <= names
    with pytest.raises(ConnectionError, match=r"ddpm-cat-256.*455 MB.*go online"):
        load_generator("ddpm-cat-256", device="cpu")


def _unplugged():
    raise OSError("no network")
