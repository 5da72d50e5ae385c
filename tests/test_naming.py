"""Naming directions: they are seen, measured by a classifier, and kept."""

import json

import pytest
import torch
import torch.nn.functional as F

from course_lib.classifiers import Classifier, ClassifierConfig, load_classifier
from course_lib.directions import Directions
from course_lib.directions.effects import attribute_effects, effect_table, side_effects
from course_lib.directions.naming import (
    NamedDirection,
    contact_sheet,
    load_directions,
    save_direction,
    shipped_directions,
)
from course_lib.generators import load_generator
from course_lib.training.names import NAMES
from tests.toys import Painter, tame


class Judge(Classifier):
    """Knows red and green."""

    def __init__(self):
        super().__init__(ClassifierConfig(4, ("red", "green"), (4,)))

    def forward(self, images):
        return images.mean(dim=(2, 3))[:, :2] * 7 - 3


@pytest.fixture
def codes(rng) -> torch.Tensor:
    return torch.randn(400, 3, generator=rng)


def axis(*numbers: float) -> torch.Tensor:
    return F.normalize(torch.tensor(numbers).float(), dim=0)


def test_a_contact_sheet_has_a_row_a_code_and_the_codes_in_the_middle(rng):
    generator = tame(rng)
    w = generator.sample_latent(2, space="w", rng=rng)
    sheet = contact_sheet(generator, w, F.normalize(torch.ones(8), dim=0), [-1, 0, 1], space="w")
    assert sheet.shape == (2, 3, 3, 16, 16)
    torch.testing.assert_close(sheet[:, 1], generator.decode(w, space="w"))


def test_effects_are_told_in_deviations_of_the_samples(codes):
    effects = attribute_effects(Painter(), codes, axis(1, 0, 0), 1.5, Judge(), space="z")
    spread = codes.std(dim=0)[0]
    torch.testing.assert_close(effects, torch.tensor([3 / spread, 0]), atol=1e-4, rtol=1e-4)


def test_the_table_has_a_row_a_direction_and_a_column_an_attribute(codes):
    directions = Directions(torch.eye(3), torch.tensor([0.5, 1.0, 1.0]), torch.zeros(3), "z")
    table = effect_table(Painter(), codes, directions, Judge(), space="z", strength=1)
    expected = torch.diag(torch.tensor([1.0, 2.0, 0.0]))[:, :2] / codes.std(dim=0)[:2]
    torch.testing.assert_close(table, expected, atol=1e-4, rtol=1e-4)


def test_directions_are_compared_at_the_same_effect(codes):
    mixed = axis(2, 1, 0)
    found = side_effects(Painter(), codes, mixed, Judge(), "red", space="z")
    spread = codes.std(dim=0)
    assert found.strength == pytest.approx(float(spread[0] / 2 / mixed[0]), rel=1e-3)
    assert found.mean == pytest.approx(float(spread[0] / spread[1] / 2), rel=1e-3)
    assert found.largest == "green"
    turned = side_effects(Painter(), codes, -mixed, Judge(), "red", space="z")
    assert turned.others == pytest.approx(found.others, rel=1e-3)
    assert side_effects(Painter(), codes, axis(1, 0, 1), Judge(), "red", space="z").mean < 1e-4


def test_a_direction_without_the_effect_is_told_apart(codes):
    found = side_effects(Painter(), codes, axis(0, 0, 1), Judge(), "red", space="z")
    assert found.strength == float("inf") and found.mean != found.mean


def test_named_directions_are_kept_and_replaced(tmp_path):
    store = tmp_path / "directions.json"
    assert load_directions(store) == []
    heel = NamedDirection("heel", "shoes", "w", (0.6, 0.8), (0, 1), 2.0)
    dark = NamedDirection("dark", "cats", "w", (1.0, 0.0))
    for one in (heel, dark, heel):
        save_direction(one, store)
    assert load_directions(store) == [dark, heel]
    assert load_directions(store, "cats") == [dark]


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_store_is_a_path_or_its_name(tmp_path, kind):
    store = kind(tmp_path / "directions.json")
    found = NamedDirection("heel", "cats", "w", (0.6, 0.8), found="SeFa 1")
    save_direction(found, store)
    assert load_directions(store, "cats") == [found]
    torch.testing.assert_close(found.vector(torch.zeros(1)), torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("content", ["{}x", "[1]", '[{"name": "heel"}]'])
def test_what_is_no_store_is_refused_and_left_as_it_was(tmp_path, content):
    store = tmp_path / "notes.json"
    store.write_text(content)
    with pytest.raises(ValueError, match="no store of directions"):
        save_direction(NamedDirection("heel", "cats", "w", (0.6, 0.8)), store)
    assert store.read_text() == content


def test_an_older_store_without_methods_is_read(tmp_path):
    store = tmp_path / "directions.json"
    store.write_text(json.dumps([{"name": "heel", "generator": "cats", "space": "w",
                                  "direction": [1.0], "layers": None, "reach": 2}]))
    assert load_directions(store) == [NamedDirection("heel", "cats", "w", (1.0,), reach=2)]


@pytest.mark.usefixtures("as_users_run_it")
def test_an_unknown_attribute_is_met_with_the_known_ones(codes):
    with pytest.raises(ValueError, match="'red', 'green'"):
        side_effects(Painter(), codes, axis(1, 0, 0), Judge(), "blue", space="z")


@pytest.mark.parametrize("generator", sorted({found.generator for found in NAMES}))
def test_the_shipped_names_hold_for_the_shipped_weights(generator):
    generator = load_generator(generator, device="cpu")
    classifier, named = load_classifier(generator), shipped_directions(generator)
    space = generator.spaces[-1]
    codes = generator.sample_latent(16, space=space, rng=torch.Generator().manual_seed(2))
    asked = [found for found in NAMES if found.generator == generator.name]
    assert {found.name for found in asked} == named.keys() and len(named) >= 2
    for found in asked:
        one = named[found.name]
        vector = one.vector(codes)
        assert float(vector.norm()) == pytest.approx(1, abs=0.01) and one.reach > 0
        if found.attribute:
            effects = attribute_effects(generator, codes, vector, one.reach, classifier,
                                        space=space, layers=one.layers)
            assert effects[classifier.number(found.attribute)] > 0.5, found.name


def test_a_store_may_lie_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = NamedDirection("heel", "cats", "w", (1.0, 0.0))
    save_direction(found, "~/mine.json")
    assert load_directions("~/mine.json") == [found]
    with pytest.raises(FileNotFoundError, match="is no folder"):
        save_direction(found, tmp_path / "missing" / "mine.json")
