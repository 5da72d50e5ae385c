"""The front door of the generators: names, files, cards; and what all families share."""

import json
import time

import pytest
import torch

from course_lib import generators
from course_lib.encoders import has_encoder
from course_lib.generators import Card, Cards, list_generators, load_generator
from course_lib.generators.dcgan import DCGAN, DCGANConfig
from course_lib.training.export import MISSING
from course_lib.weights import save_weights
from course_lib.weights.files import ASSETS
from tests.toys import SMALL, alternative_layout, random_weights

SHIPPED = [card.name for card in list_generators() if not card.remote]


def test_every_shipped_model_has_a_card_that_tells_its_quality():
    for card in list_generators():
        assert card.license and card.bytes > 0 and card.resolution >= 16
        if not card.remote:
            assert card.data and card.training and card.quality and card.kind
            assert card.missing == MISSING[card.kind]
            assert card.measured["floor"] > 0 and card.measured["distance"] > 0


def test_the_shipped_weights_stay_small():
    assert sum(card.bytes for card in list_generators() if not card.remote) < 40e6


def load_shipped(name: str) -> generators.Generator:
    """Of a model that must be told a class, the first one; of a chain, a short one."""
    generator = load_generator(name, device="cpu")
    if generator.offers("predict"):
        return generator.with_steps(4)
    return generator.with_label(0) if getattr(generator, "classes", ()) else generator


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_draws(name, rng):
    begin = time.process_time()  # so that what else runs does not count
    generator = load_shipped(name)
    assert time.process_time() - begin < 10  # a hang, not a benchmark
    z = generator.sample_latent(4, rng=rng)
    images = generator.decode(z)
    assert images.shape == (4, 3, generator.resolution, generator.resolution)
    assert -1 < images.min() and images.max() < 2
    assert (images[0] - images[1]).abs().mean() > 0.01  # the picture depends on the code
    if generator.has_discriminator:
        features = generator.discriminator_features(images.clamp(0, 1))
        assert len(features) >= 2 and all(len(feature) == 4 for feature in features)
    assert not any(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("name", SHIPPED)
def test_no_seed_draws_odd_codes(name):
    generator = load_shipped(name)
    layer = generator.layers[0]  # a DCGAN's reads z; before StyleGAN2's stands the mapping network

    def spread(seed):
        z = generator.sample_latent(64, rng=torch.Generator().manual_seed(seed))
        read = generator.convert(z, "z", generator.spaces[min(1, len(generator.spaces) - 1)])
        return float((read - read.mean(dim=0)).norm(dim=1).mean()), float(
            generator.features(z, layer).std())

    # Words are drawn one by one, two seconds a batch.
    seeds = range(2 if generator.name == "clothes-vqvae" else 8)
    spreads, responses = map(torch.tensor, zip(*map(spread, seeds), strict=True))
    for measured in (spreads, responses):
        assert measured.max() < 1.15 * measured.min()


def test_only_generators_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "ASSETS", tmp_path)
    for name, family in ("one", "dcgan"), ("one-encoder", "encoder"), ("features", ""):
        save_weights(tmp_path / f"{name}.safetensors", {"x": torch.ones(1)}, settings={})
        if family:
            Card(name, family, 16, 1, "MIT", "fine").write(tmp_path / f"{name}.json")
    assert [card.name for card in list_generators() if not card.remote] == ["one"]


def test_the_table_of_generators_reads_as_one():
    table = repr(list_generators()).splitlines()
    assert table[0].split() == ["name", "family", "resolution", "size", "licence", "quality"]
    assert len(table) == 1 + len(list_generators())
    assert any(line.startswith("ffhq") and "1024²" in line for line in table)


def test_a_card_comes_back_as_it_was_written(tmp_path):
    card = Card("cats", "stylegan2", 64, 3, "CC0", "good", measured={"distance": 3.5})
    card.write(tmp_path / "cats.json")
    assert Card.read(tmp_path / "cats.json") == card
    assert "cats" in repr(Cards([card])) and "cats" in Cards([card])._repr_html_()


def test_a_file_of_either_layout_is_loaded_by_its_path(tmp_path, rng):
    weights = random_weights(SMALL, rng)
    save_weights(tmp_path / "mine.safetensors", weights.tensors, settings={}, half=False)
    other = alternative_layout(weights, SMALL).tensors
    nested = {"g_ema": {key.removeprefix("g_ema."): value for key, value in other.items()
                        if key != "latent_avg"}, "latent_avg": other["latent_avg"]}
    torch.save(nested, tmp_path / "other.pt")
    z = torch.randn(2, SMALL.z_dim, generator=rng)
    mine = load_generator(tmp_path / "mine.safetensors", device="cpu")
    again = load_generator(str(tmp_path / "other.pt"), device="cpu")
    assert (mine.name, again.name) == ("mine", "other")
    assert torch.equal(mine.decode(z), again.decode(z))


def test_a_file_is_of_the_family_that_it_names(tmp_path, monkeypatch):
    class Other(DCGAN):  # whose layers a DCGAN's are among
        pass

    monkeypatch.setattr(generators, "FAMILIES", {"other": Other, "dcgan": DCGAN})
    tensors = DCGAN(DCGANConfig(resolution=16, width=4, z_dim=4)).state_dict()
    for said, family in ({"family": "dcgan"}, DCGAN), ({"family": "other"}, Other):
        save_weights(tmp_path / "one.safetensors", tensors, settings=said)
        assert type(load_generator(tmp_path / "one.safetensors", device="cpu")) is family
    for said in {}, {"family": ["dcgan"]}, {"family": "stylegan2"}:  # the first that knows it
        save_weights(tmp_path / "one.safetensors", tensors, settings=said)
        assert type(load_generator(tmp_path / "one.safetensors", device="cpu")) is Other


def test_what_a_generator_draws_stands_on_its_card():
    assert load_generator("cats-dcgan", device="cpu").kind == "cats"
    path = ASSETS / "cats-dcgan.safetensors"
    assert load_generator(path, device="cpu").kind == "cats"


def test_weights_of_no_known_family_are_refused(tmp_path):
    save_weights(tmp_path / "odd.safetensors", {"a": torch.ones(2)}, settings={})
    with pytest.raises(ValueError, match="of no generator known here"):
        load_generator(tmp_path / "odd.safetensors")


def test_a_checkpoint_of_training_is_no_generator_yet(tmp_path):
    torch.save({"average": {"a": torch.ones(2)}, "seen": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"course_lib\.training\.export"):
        load_generator(tmp_path / "checkpoint.pt")


def test_an_unknown_name_is_met_with_the_known_ones():
    with pytest.raises(ValueError, match=r"did you mean 'ffhq'.*afhq-cat"):
        load_generator("ffqh")


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_generator(tmp_path / "none.pkl")


def test_cards_lie_beside_their_weights():
    # Two have no weights: named directions, and how familiar photos are.
    cards = {path.stem for path in ASSETS.glob("*.json")} - {"directions", "familiarity"}
    assert cards == {path.stem for path in ASSETS.glob("*.safetensors")}


def test_a_file_named_like_a_shipped_model_does_not_pass_for_it(tmp_path):
    shipped = ASSETS / "cats.safetensors"
    assert load_generator(shipped).name == "cats"
    copy = tmp_path / "cats.safetensors"
    copy.write_bytes(shipped.read_bytes())
    assert load_generator(copy).name == "cats.safetensors"
    assert not has_encoder(load_generator(copy))


def test_nothing_ships_whose_data_have_no_known_licence():
    cards = [Card.read(path) for path in ASSETS.glob("*.json")
             if "license" in json.loads(path.read_text(encoding="utf-8"))]
    assert len(cards) > 8
    for card in cards:
        assert card.license in ("CC BY-NC 4.0", "MIT", "Apache 2.0", "CC0 1.0"), card.name


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("odd", [None, 3, torch.ones(2)])
def test_what_names_no_generator_is_refused_in_a_sentence(odd):
    with pytest.raises(ValueError, match="which names no generator"):
        load_generator(odd)
