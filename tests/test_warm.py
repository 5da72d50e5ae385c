"""The warm start: codes as the prior draws them, and a generator that begins as a decoder."""

import copy
from dataclasses import replace

import pytest
import torch

from course_lib.generators.biggan import BigGAN
from course_lib.generators.biggan_networks import BigGANConfig
from course_lib.generators.vae import VAE, VAEConfig
from course_lib.training import warm
from course_lib.training.projected_gan import ProjectedTraining, Recipe
from course_lib.training.warm import WarmRecipe, WarmTraining, deal, whiten
from course_lib.weights import StoredWeights

CLASSES = (("coat",), ("hat",))
SMALL = {
    "dcgan": Recipe("dcgan", critic_thousands=0, batch=4, resolution=16, z_dim=8, width=4,
                    seen_at=32),
    "biggan": Recipe("biggan", critic_thousands=0, batch=4, resolution=16, seen_at=32,
                     classes=CLASSES),
}
FAMILIES = pytest.mark.parametrize("family", list(SMALL))


@pytest.fixture(autouse=True)
def small_recipes(monkeypatch):
    small = BigGANConfig(("coat", "hat"), (8, 8, 4), chunk=4, class_dim=4)
    for name, recipe in SMALL.items():
        monkeypatch.setitem(warm.RECIPES, name, recipe)
    new = warm.new_generator
    monkeypatch.setattr(warm, "new_generator", lambda recipe: (
        BigGAN.new(small) if recipe.family == "biggan" else new(recipe)))


def begin(family: str, rng: torch.Generator, **changes) -> WarmTraining:
    data = torch.randint(256, (12, 3, 1, 1), generator=rng).byte().expand(-1, -1, 16, 16)
    labels = torch.tensor([0, 1] * 6) if SMALL[family].classes else None
    vae = VAE(VAEConfig(16, 4, 16)).eval()
    recipe = WarmRecipe(generator=family, batch=8, resolution=16, **changes)
    return WarmTraining(recipe, data, labels, vae, device=torch.device("cpu"))


def test_white_codes_have_deviation_one_and_no_correlation_but_on_flat_axes(rng):
    spread = torch.tensor([3.0, 1.0, 0.5, 0.01])
    turn = torch.linalg.qr(torch.randn(4, 4, generator=rng)).Q
    codes = whiten(torch.randn(5000, 4, generator=rng) * spread @ turn + 2)
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(4), atol=1e-4, rtol=0)
    covariance = torch.cov(codes.T)
    torch.testing.assert_close(covariance[:3, :3], torch.eye(3), atol=0.02, rtol=0)
    assert covariance[3, 3] < 0.01


def test_a_biggans_chunks_get_the_axes_in_turn(rng):
    codes = torch.arange(16.0).expand(2, -1)
    generator = BigGAN(BigGANConfig(("coat",), (8, 8, 4), chunk=4, class_dim=4))
    dealt = deal(codes, generator)[0].reshape(3, 4)
    assert dealt.tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    with pytest.raises(ValueError, match="have 5 numbers and biggan reads 12"):
        deal(codes[:, :5], generator)


@FAMILIES
def test_a_decoder_learns_its_pictures_by_their_codes(family, rng):
    training = begin(family, rng, noise=0.0, perceptual=0.0, learning_rate=0.01)
    losses = [float(training.step()["pixels"]) for _ in range(40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert training.samples(6).shape == (6, 3, 16, 16)


def test_codes_and_labels_belong_to_their_pictures_mirrored_ones_too(rng):
    training = begin("biggan", rng)
    vae = VAE(VAEConfig(16, 4, 16)).eval()
    data = torch.randint(256, (12, 3, 16, 16), generator=rng).byte()
    again = WarmTraining(training.recipe, data, torch.tensor([0, 1] * 6), vae,
                         device=torch.device("cpu"))
    assert len(again.data) == len(again.labels) == len(again.codes) == 24
    for index in range(24):
        same = [(one == again.data[index]).all() for one in (*data, *data.flip(-1))]
        assert again.labels[index] == same.index(True) % 12 % 2
    found = vae.invert(again.data.float() / 255)
    torch.testing.assert_close(deal(whiten(found), again.model), again.codes, atol=1e-3, rtol=1e-3)


@FAMILIES
def test_the_game_goes_on_from_its_checkpoint(family, rng, monkeypatch):
    training = begin(family, rng)
    training.step()
    state = copy.deepcopy(training.state())
    flat = {f"average.{name}": value for name, value in state["average"].items()}
    monkeypatch.setattr("course_lib.training.projected_gan.new_generator",
                        lambda recipe: copy.deepcopy(training.model))
    data = torch.randint(256, (12, 3, 16, 16), generator=rng).byte()
    labels = torch.tensor([0, 1] * 6) if SMALL[family].classes else None
    game = ProjectedTraining(replace(SMALL[family], thousands=1), data, labels,
                             device=torch.device("cpu"))
    game.start_from(StoredWeights(flat, {"seen": state["seen"]}))
    assert game.begun == game.seen == 8
    for name, value in game.average.state_dict().items():
        torch.testing.assert_close(value, state["average"][name])
    assert all(value.isfinite() for value in game.step().values())
