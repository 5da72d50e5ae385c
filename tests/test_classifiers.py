"""Classifiers of attributes: their answers, their files, and that training makes them right."""

import copy
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from course_lib import classifiers
from course_lib.classifiers import (
    Classifier,
    ClassifierConfig,
    load_classifier,
    sample_showing,
)
from course_lib.generators import load_generator
from course_lib.generators.base import Card
from course_lib.training import questions
from course_lib.training.classifier import RECIPES, ClassifierRecipe, ClassifierTraining, roughen
from course_lib.training.data import read_pictures
from course_lib.training.export import export
from course_lib.training.questions import answer, one_of, read_labels
from course_lib.weights import save_weights
from tests.toys import tame

TINY = ClassifierConfig(16, ("red", "dark"), (4, 8))
DATA = Path(__file__).parents[2] / "shared" / "data"


def colored(n: int, rng) -> tuple[torch.Tensor, list[dict]]:
    """Pictures of one colour each and a little noise, and records of what they are."""
    red, dark = torch.rand(2, n, generator=rng) < 0.5
    colors = torch.where(red[:, None], torch.tensor([0.8, 0.2, 0.2]), torch.tensor([0.2, 0.2, 0.8]))
    colors = colors * (1 - 0.6 * dark.float())[:, None]
    pictures = colors[:, :, None, None] + 0.05 * torch.randn(n, 3, 16, 16, generator=rng)
    records = [{"colour": "Red" if a else "Blue", "tone": "dark" if b else "light"}
               for a, b in zip(red.tolist(), dark.tolist(), strict=True)]
    return pictures.clamp(0, 1).mul(255).byte(), records


@pytest.fixture
def recipe() -> ClassifierRecipe:
    return ClassifierRecipe({"red": one_of("colour", "Red"), "dark": one_of("tone", "dark")},
                            thousands=4, batch=32, resolution=16, widths=(8, 16), held_out=60)


@pytest.fixture
def training(recipe, rng) -> ClassifierTraining:
    data, records = colored(400, rng)
    return ClassifierTraining(recipe, data, answer(recipe.questions, records, data),
                              device=torch.device("cpu"))


def test_training_finds_the_attributes_of_pictures_it_never_saw(training):
    held = {tuple(picture.flatten().tolist()) for picture in training.held}
    assert not any(tuple(picture.flatten().tolist()) in held for picture in training.data)
    while not training.done:
        losses = training.step()
    assert set(losses) == {"cross-entropy"}
    rates = training.held_out_accuracy()
    assert set(rates) == {"red", "dark"}
    for found in rates.values():
        assert found["accuracy"] > 0.9 > 0.7 > found["commoner answer"] >= 0.5
    assert training.samples(20).shape == (20, 3, 16, 16)


def test_unknown_labels_neither_teach_nor_test(recipe, rng):
    data, records = colored(200, rng)
    labels = answer(recipe.questions, records, data)
    unknown = labels.clone()
    unknown[:, 1] = torch.nan
    unknown[first_held_out(recipe, len(data)), 1] = 1.0
    training = ClassifierTraining(recipe, data, unknown, device=torch.device("cpu"))
    loss = training.step()["cross-entropy"]
    assert loss.isfinite()
    head = training.classifier.head
    before = ClassifierTraining(recipe, data, unknown, device=torch.device("cpu")).classifier.head
    assert not torch.equal(head.weight[0], before.weight[0])
    torch.testing.assert_close(head.weight[1], before.weight[1], rtol=1e-3, atol=1e-5)  # decay
    assert training.held_out_accuracy()["dark"]["commoner answer"] == 1


def first_held_out(recipe, n: int) -> int:
    """The first picture that training keeps for testing."""
    return int(torch.randperm(n, generator=torch.Generator().manual_seed(0))[n - recipe.held_out])


def test_a_resumed_run_is_the_same_run(training, recipe, rng):
    resumed = ClassifierTraining(recipe, torch.cat([training.data, training.held]),
                                 torch.cat([training.labels, training.held_labels]),
                                 device=torch.device("cpu"))
    resumed.data, resumed.labels = training.data, training.labels
    training.step()
    resumed.load(copy.deepcopy(training.state()))
    torch_state = torch.get_rng_state()
    expected = training.step()
    torch.set_rng_state(torch_state)
    assert torch.equal(resumed.step()["cross-entropy"], expected["cross-entropy"])


def test_questions_of_colour_are_not_asked_of_grey_photos(rng):
    pictures = torch.full((3, 3, 32, 32), 40, dtype=torch.uint8)
    pictures[1, 0] = 200
    ask = questions.between(questions.coat_warmth, 0.1, 0.2, in_color=True)
    records = [{"grey": False}, {"grey": False}, {"grey": True}]
    assert ask(records, pictures).nan_to_num(-1).tolist() == [0, 1, -1]


def test_what_a_label_is_unsure_of_stays_unknown():
    ask = one_of("type", "shirt", unsure=("top",))
    records = [{"type": kind} for kind in ("shirt", "top", "hat")]
    assert ask(records, torch.zeros(3, 3, 4, 4).byte()).nan_to_num(-1).tolist() == [1, -1, 0]


def test_each_picture_is_roughened_and_keeps_its_mean(rng):
    images = torch.rand(8, 3, 32, 32, generator=rng)
    rough = roughen(images, rng)
    assert (rough - images).abs().mean(dim=(1, 2, 3)).min() > 1e-4
    torch.testing.assert_close(rough.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=0.02, rtol=0)


def test_larger_pictures_are_averaged_down(rng):
    classifier, images = Classifier(TINY).eval(), torch.rand(3, 3, 16, 16, generator=rng)
    large = images.repeat_interleave(4, -1).repeat_interleave(4, -2)
    torch.testing.assert_close(classifier(large), classifier(images))
    torch.testing.assert_close(classifier(images[1:2]), classifier(images)[1:2])


def test_a_stored_classifier_comes_back_for_every_generator_of_its_kind(monkeypatch, tmp_path, rng):
    monkeypatch.setattr(classifiers, "ASSETS", tmp_path)
    classifier, images = Classifier(TINY).eval(), torch.rand(2, 3, 16, 16, generator=rng)
    save_weights(tmp_path / "hats-classifier.safetensors", classifier.state_dict(),
                 settings={"config": asdict(TINY)}, half=False)
    generator = tame(rng)
    for name in ("hats", "small-hats"):
        generator.name, generator.kind = name, "hats"
        again = load_classifier(generator)
        assert again.config == TINY and again.number("dark") == 1
        torch.testing.assert_close(again(images), classifier(images))


def test_what_ships_has_its_accuracy_on_the_card(training, tmp_path):
    training.step()
    (tmp_path / "log.jsonl").write_text(json.dumps({"pictures": 4, "seconds": 60}) + "\n")
    card = export(ClassifierTraining, training.state(), "cats", tmp_path, tmp_path,
                  lambda resolution: training.data)
    assert card.measured["held-out"] == training.held_out_accuracy()
    assert "red" in card.quality and "(" in card.quality
    assert (tmp_path / "cats-classifier.safetensors").stat().st_size == card.bytes
    assert card.kind == "cats"


@pytest.mark.parametrize("kind", ["cats"])
def test_the_shipped_ones_beat_the_commoner_answer_and_are_small(kind, rng):
    card = Card.read(classifiers.ASSETS / f"{kind}-classifier.json")
    assert card.bytes < 500_000 and card.license
    for name, rates in card.measured["held-out"].items():
        assert rates["accuracy"] > rates["commoner answer"], name
    generator = load_generator(kind, device="cpu")
    classifier = load_classifier(generator)
    logits = classifier(generator.decode(generator.sample_latent(60, rng=rng)).clamp(0, 1))
    assert logits.shape == (60, len(card.measured["held-out"]))
    assert (logits.std(dim=0) > 0.3).all()  # samples differ in what is asked


@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs are not beside the project")
def test_the_shipped_one_reads_real_photos():
    labels = read_labels(DATA / "cats64.zip")
    assert [label["file"] for label in labels] == sorted(label["file"] for label in labels)
    recipe = RECIPES["cats"]
    data = read_pictures(DATA / "cats64.zip", recipe.resolution)
    answers = answer(recipe.questions, labels, data)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    kept = order[-recipe.held_out :]
    classifier = load_classifier(load_generator("cats", device="cpu"))
    right = ((classifier(data[kept].float() / 255) > 0) == (answers[kept] > 0.5)).float()
    known = right.masked_fill(answers[kept].isnan(), torch.nan)
    card = Card.read(classifiers.ASSETS / "cats-classifier.json")
    for share, (name, rates) in zip(known.nanmean(dim=0),
                                    card.measured["held-out"].items(), strict=True):
        assert float(share) == pytest.approx(rates["accuracy"], abs=0.01), name


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda c, r: c(torch.rand(1, 3, 8, 8)), "crop_square"),
    (lambda c, r: c.number("blue"), "'red', 'dark'"),
    (lambda c, r: answer(r.questions, [{"colour": "Red"}], torch.zeros(2, 3, 4, 4).byte()),
     "one for each"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, recipe):
    with pytest.raises(ValueError, match=sentence):
        call(Classifier(TINY), recipe)


def test_a_missing_classifier_or_label_names_the_way_out(tmp_path, rng):
    with pytest.raises(FileNotFoundError, match="LabelTool"):
        load_classifier(tame(rng))
    with pytest.raises(ValueError, match=r"labels\.json"):
        read_labels(tmp_path)


def test_samples_of_one_kind_are_those_that_the_classifier_says_show_it(rng):
    generator = load_generator("clothes", device="cpu")
    codes = sample_showing(generator, 7, any_of=["trousers", "shorts"], none_of=["blue"], rng=rng)
    judge = load_classifier(generator)
    with torch.no_grad():
        says = judge(generator.decode(codes, space="w").clamp(0, 1)) > 0
    assert codes.shape == (7, *generator.latent_shape("w"))
    assert (says[:, judge.number("trousers")] | says[:, judge.number("shorts")]).all()
    assert not says[:, judge.number("blue")].any()
    with pytest.raises(ValueError, match="out of reach"):
        sample_showing(generator, 1, any_of=["black"], none_of=["black"], rng=rng)
    with pytest.raises(ValueError, match="attribute is 'wings'"):
        sample_showing(generator, 1, any_of=["wings"], rng=rng)


def test_questions_about_clothes_are_answered_by_their_labels():
    records = [{"type": kind, "color": color, "patterned": color == "pink"} for kind, color in
               (("t-shirt", "pink"), ("top", "white"), ("hat", "black"), ("shoes", "turquoise"))]
    recipe = RECIPES["clothes"]
    answers = answer(recipe.questions, records, torch.zeros(4, 3, 32, 32).byte())
    found = dict(zip(recipe.questions, answers.nan_to_num(-1).T.tolist(), strict=True))
    assert found["t-shirt"] == [1, -1, 0, 0] and found["hat"] == [0, 0, 1, 0]
    assert found["red or pink"] == [1, 0, 0, 0] and found["blue"] == [0, 0, 0, 1]
    assert found["colourful"] == [1, 0, 0, 1] and found["patterned"] == [1, 0, 0, 0]
    assert found["white or beige"] == [0, 1, 0, 0] and found["black"] == [0, 0, 1, 0]


@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs are not beside the project")
def test_every_question_about_clothes_has_both_answers_often_enough():
    records, recipe = read_labels(DATA / "clothes.zip"), RECIPES["clothes"]
    answers = answer(recipe.questions, records, torch.zeros(len(records), 3, 1, 1).byte())
    for index, question in enumerate(recipe.questions):
        for value in (0, 1):
            assert (answers[:, index] == value).float().mean() > 0.03, question


def test_a_shortened_recipe_shows_fewer_pictures(recipe):
    assert recipe.shortened(0.5) == replace(recipe, thousands=2)
