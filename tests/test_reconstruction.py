"""The lecture's table: what is measured, how it is printed, where it is stored."""

import json
import sys

import PIL.Image
import pytest
import torch

from course_lib import encoders
from course_lib.encoders import Encoder, EncoderConfig
from course_lib.generators import load_generator
from course_lib.generators.base import Card
from course_lib.images import to_uint8
from course_lib.training import reconstruction
from course_lib.training.reconstruction import WAYS, reconstruction_losses, table
from course_lib.weights import save_weights
from tests.toys import tame


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def network(generator, monkeypatch, tmp_path, rng):
    """An inverting network that has learnt nothing, and so answers near the mean."""
    monkeypatch.setattr(encoders, "ASSETS", tmp_path)
    config = EncoderConfig(16, "w_plus", 6, 8, (8, 8, 8))
    encoder = Encoder(config)
    save_weights(tmp_path / "tame-encoder.safetensors", encoder.state_dict(),
                 settings={"config": vars(config)})
    return encoder


def test_descent_improves_on_its_start_and_the_network_takes_none(generator, network, rng):
    photos = generator.decode(generator.sample_latent(3, rng=rng)).clamp(0, 1)
    found = reconstruction_losses(generator, photos, steps=30)
    assert set(found) == set(WAYS)
    assert found["hybrid"] < 0.7 * found["network"]
    alone = generator.decode(encoders.load_encoder(generator)(photos), space="w_plus")
    assert found["network"] == pytest.approx(float((alone - photos).square().mean()), rel=0.01)


def test_the_table_has_a_column_a_model_and_the_ratio():
    text = table({"cats": {"optimisation": 0.2, "network": 0.3, "hybrid": 0.1}})
    assert text.splitlines()[0].split() == ["cats"]
    assert text.splitlines()[3].split() == ["hybrid", "0.1000"]
    assert text.splitlines()[-1].split()[-1] == "0.50"


def test_the_command_stores_its_column_on_the_card(monkeypatch, tmp_path, capsys, rng):
    generator = load_generator("cats")
    with torch.no_grad():
        pictures = generator.decode(generator.sample_latent(5, rng=rng)).clamp(0, 1)
    (tmp_path / "photos").mkdir()
    for index, picture in enumerate(pictures):
        PIL.Image.fromarray(to_uint8(picture)).save(tmp_path / "photos" / f"{index}.png")
    Card("cats", "stylegan2", 64, 0, "", "", measured={"floor": 1}).write(tmp_path / "cats.json")
    monkeypatch.setattr(sys, "argv", [
        "reconstruction", f"cats={tmp_path / 'photos'}", "--photos", "2", "--steps", "3",
        "--assets", str(tmp_path)])
    reconstruction.main()
    stored = json.loads((tmp_path / "cats.json").read_text())["measured"]
    assert stored["floor"] == 1
    assert stored["reconstruction"]["photos"] == 2 and stored["reconstruction"]["steps"] == 3
    assert f"{stored['reconstruction']['hybrid']:.4f}" in capsys.readouterr().out
