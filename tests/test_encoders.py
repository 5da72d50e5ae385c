"""Inverting networks: their codes, their files, and that training makes them invert."""

import copy
import json
from dataclasses import asdict, replace

import pytest
import torch

from course_lib import encoders
from course_lib.encoders import Encoder, EncoderConfig, invert, load_encoder
from course_lib.generators import load_generator
from course_lib.generators.dcgan import DCGAN, DCGANConfig, Discriminator
from course_lib.losses import pixel_loss
from course_lib.training.encoder import RECIPES, EncoderRecipe, EncoderTraining
from course_lib.training.export import export
from course_lib.weights import StoredWeights, save_weights
from tests.toys import tame

ROWS = EncoderConfig(16, "w_plus", 6, 8, (8, 8, 8))


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def data(generator, rng) -> torch.Tensor:
    codes = generator.sample_latent(40, rng=rng)
    return generator.decode(codes).clamp(0, 1).mul(255).byte()


def test_codes_have_one_row_a_layer_or_are_z(rng):
    images = torch.rand(2, 3, 16, 16, generator=rng)
    assert Encoder(ROWS)(images).shape == (2, 6, 8)
    assert Encoder(replace(ROWS, space="z", rows=1, dim=5))(images).shape == (2, 5)


def test_pictures_are_read_one_by_one(rng):
    encoder, images = Encoder(ROWS).eval(), torch.rand(3, 3, 16, 16, generator=rng)
    torch.testing.assert_close(encoder(images)[1:2], encoder(images[1:2]), rtol=1e-4, atol=1e-5)


def test_a_stored_network_comes_back(generator, monkeypatch, tmp_path, rng):
    monkeypatch.setattr(encoders, "ASSETS", tmp_path)
    encoder, images = Encoder(ROWS).eval(), torch.rand(2, 3, 16, 16, generator=rng)
    save_weights(tmp_path / "tame-encoder.safetensors", encoder.state_dict(),
                 settings={"config": asdict(ROWS)}, half=False)
    again = load_encoder(generator)
    assert again.config == ROWS and not any(p.requires_grad for p in again.parameters())
    torch.testing.assert_close(again(images), encoder(images))


def test_a_set_with_nothing_left_to_learn_from_is_refused(generator, data):
    with pytest.raises(ValueError, match="nothing is left to learn from"):
        EncoderTraining(EncoderRecipe(held_out=len(data)), generator, data)


def test_training_makes_it_invert_and_sees_no_held_out_photo(generator, data):
    recipe = EncoderRecipe(thousands=0.3, batch=10, widths=(8, 16, 16), held_out=10)
    training = EncoderTraining(recipe, generator, data)
    kept = {tuple(picture.flatten().tolist()) for picture in training.data}
    assert not any(tuple(picture.flatten().tolist()) in kept for picture in training.held)
    before = training.held_out_loss()
    while not training.done:
        losses = training.step()
    assert set(losses) == {"perceptual", "pixels", "code"}
    assert training.held_out_loss()["perceptual"] < 0.8 * before["perceptual"]
    assert training.samples(6).shape == (6, 3, 16, 16)


def test_a_resumed_run_is_the_same_run(generator, data):
    recipe = EncoderRecipe(batch=4, widths=(8, 8, 8), held_out=10)
    whole, resumed = (EncoderTraining(recipe, generator, data) for _ in range(2))
    whole.step()
    resumed.load(copy.deepcopy(whole.state()))
    expected, found = whole.step(), resumed.step()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert torch.equal(whole.average.heads[0].weight, resumed.average.heads[0].weight)


def test_training_goes_on_from_a_shipped_network(generator, data):
    recipe = EncoderRecipe(batch=4, widths=(8, 8, 8), held_out=10)
    shipped = EncoderTraining(recipe, generator, data)
    shipped.step()
    again = EncoderTraining(replace(recipe, seed=1), generator, data)
    assert again.held_out_loss() != shipped.held_out_loss()
    again.start_from(StoredWeights(shipped.state()["average"], {}))
    assert again.held_out_loss() == shipped.held_out_loss() and again.seen == 0
    again.step()


def test_families_without_w_are_inverted_to_z(rng):
    torch.manual_seed(0)
    config = DCGANConfig(16, 4, 6)
    generator = DCGAN(config).eval().requires_grad_(False)
    generator.attach_discriminator(Discriminator(config))
    data = torch.randint(256, (30, 3, 16, 16), generator=rng, dtype=torch.uint8)
    recipe = EncoderRecipe(batch=4, widths=(8, 8, 8), held_out=5)
    training = EncoderTraining(recipe, generator, data)
    training.step()
    assert training.average.space == "z"
    images = torch.rand(2, 3, 16, 16, generator=rng)
    assert pixel_loss(generator.decode(training.average(images)), images).shape == (2,)


def test_there_are_recipes_for_the_generators_of_the_course():
    wanted = {"cats", "cats-128", "cats-dcgan", "clothes", "clothes-dcgan"}
    assert wanted <= RECIPES.keys()
    for name, recipe in RECIPES.items():
        size = 128 if "128" in name else 64
        network = Encoder(EncoderConfig(size, "z", 1, 8, recipe.widths))
        assert network(torch.rand(1, 3, size, size)).shape == (1, 8)


def test_the_recipes_weights_add_the_loss_up(generator, data):
    recipe = EncoderRecipe(batch=4, widths=(8, 8, 8), held_out=10, pixels=7, code=3)
    training = EncoderTraining(recipe, generator, data)
    loss, terms = training.loss(training.draw())
    torch.testing.assert_close(loss, terms["perceptual"] + 7 * terms["pixels"] + 3 * terms["code"])


def test_what_ships_has_its_held_out_loss_on_the_card(generator, data, tmp_path):
    recipe = EncoderRecipe(batch=4, widths=(8, 8, 8), held_out=10)
    training = EncoderTraining(recipe, generator, data)
    training.step()
    (tmp_path / "log.jsonl").write_text(json.dumps({"pictures": 4, "seconds": 60}) + "\n")
    card = export(EncoderTraining, training.state(), "cats", tmp_path, tmp_path, lambda r: data)
    expected = training.held_out_loss()["pixels"]
    assert card.measured["held-out losses"]["pixels"] == pytest.approx(expected, abs=1e-4)
    assert (tmp_path / "cats-encoder.safetensors").stat().st_size == card.bytes < 8e6


@pytest.mark.usefixtures("as_users_run_it")
def test_a_picture_of_another_size_is_refused(rng):
    with pytest.raises(ValueError, match="crop_square"):
        Encoder(ROWS)(torch.rand(1, 3, 20, 20, generator=rng))


@pytest.mark.usefixtures("as_users_run_it")
def test_pictures_of_minus_1_to_1_are_not_inverted(rng):
    cats = load_generator("cats", device="cpu")
    images = torch.rand(1, 3, 64, 64, generator=rng)
    assert invert(cats, images, space="w_plus").shape == (1, cats.num_ws, cats.config.w_dim)
    with pytest.raises(ValueError, match=r"in \[-1, 1\] do, .*pass \(images \+ 1\) / 2"):
        invert(cats, images * 2 - 1, space="w_plus")


def test_a_missing_network_names_the_way_out(generator):
    with pytest.raises(FileNotFoundError, match='init="mean"'):
        load_encoder(generator)
