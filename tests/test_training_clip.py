"""Training a small CLIP: captions are true of their pictures, and a run resumes and ships."""

import json
import zipfile

import numpy as np
import PIL.Image
import pytest
import torch

from course_lib.text import models
from course_lib.text.towers import FEATURES
from course_lib.text.words import Vocabulary
from course_lib.training import clip
from course_lib.training.captions import CATS, CLOTHES, all_words, choose, compose
from course_lib.training.export import export
from course_lib.training.families import family_of
from course_lib.training.zeroshot import QUESTIONS, answered

CPU = torch.device("cpu")
RECIPE = clip.ClipRecipe(batch=8, captions=6, held_out=10, thousands=0.2)


@pytest.fixture
def seen(rng):
    """What the locked network might have seen of forty cats and forty garments."""
    labels = torch.full((80, len(clip.ATTRIBUTES)), torch.nan)
    names = list(clip.ATTRIBUTES)
    for kinds, rows in ((CATS, slice(40)), (CLOTHES, slice(40, 80))):
        columns = [names.index(name) for name in kinds]
        labels[rows, columns] = torch.randint(2, (40, len(columns)), generator=rng).float()
    kinds = [names.index(name) for name, one in clip.ATTRIBUTES.items() if one.place == "kind"]
    labels[:, kinds] = labels[:, kinds].nan_to_num(0)
    labels[:40, names.index("cat")] = labels[40:, names.index("garment")] = 1
    return {"features": torch.randn(80, 3, FEATURES, generator=rng).half(), "labels": labels,
            "pictures": torch.zeros(80, 3, 64, 64, dtype=torch.uint8)}


def named(said):
    return torch.tensor([[float(name in said) for name in clip.ATTRIBUTES]])


def test_every_caption_is_true_of_its_picture_and_of_known_words(seen, rng):
    words = Vocabulary(all_words(CATS, CLOTHES))
    captions = set()
    for has in seen["labels"]:
        said = choose(clip.ATTRIBUTES, has, rng)
        assert said and clip.truth(has[None], named(said)) == 1
        places = [clip.ATTRIBUTES[name].place for name in said]
        assert len(set(places)) == len(places)
        captions.add(compose([clip.ATTRIBUTES[name] for name in said], rng))
    words.encode(sorted(captions))
    assert len(captions) > 40


def test_captions_read_as_sentences(rng):
    said = [CATS[name] for name in ("cat", "ginger", "striped", "white muzzle",
                                    "dark background")]
    for _ in range(30):
        caption = compose(said, rng)
        assert " with a white " in caption or " and a white " in caption
        assert "background" in caption and "{" not in caption and "a o" not in caption
    assert compose([CLOTHES["adults"], CLOTHES["dress"]], rng).endswith("adult's dress")


def test_truth_knows_yes_no_and_unknown(seen):
    names = list(clip.ATTRIBUTES)
    labels = torch.zeros(1, len(names))
    labels[0, names.index("cat")] = labels[0, names.index("ginger")] = 1
    labels[0, names.index("striped")] = torch.nan
    said = [["cat"], ["cat", "ginger"], ["cat", "black"], ["cat", "striped"],
            ["striped", "black"]]
    found = clip.truth(labels, torch.cat([named(one) for one in said]))[0]
    assert found[:3].tolist() == [1, 1, 0] and found[3].isnan() and found[4] == 0


def test_what_is_true_of_a_cat_is_false_of_a_garment(seen):
    truth = clip.truth(seen["labels"], torch.cat([named(["cat"]), named(["garment"])]))
    assert truth[:40].tolist() == [[1, 0]] * 40 and truth[40:].tolist() == [[0, 1]] * 40


def test_a_run_resumes_where_it_stopped(seen, tmp_path):
    def steps(training, n):
        return [sum(map(float, training.step().values())) for _ in range(n)]

    whole = clip.ClipTraining(RECIPE, seen, device=CPU)
    losses = steps(whole, 5)
    first = clip.ClipTraining(RECIPE, seen, device=CPU)
    steps(first, 3)
    torch.save(first.state(), tmp_path / "state.pt")
    torch.manual_seed(99)
    resumed = clip.ClipTraining(RECIPE, seen, device=CPU)
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    assert steps(resumed, 2) == pytest.approx(losses[3:], rel=1e-4)
    assert family_of(first.state()) is clip.ClipTraining


def test_it_learns_what_features_tell(seen):
    training = clip.ClipTraining(RECIPE, seen, device=CPU)
    names = list(clip.ATTRIBUTES)
    is_cat = training.labels[:, names.index("cat")] == 1
    training.data[is_cat] += 3
    losses = [float(training.step()["pairs"]) for _ in range(40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_of_a_questions_sentences_the_true_one_is_chosen(seen):
    training = clip.ClipTraining(RECIPE, seen, device=CPU)
    names, question = list(clip.ATTRIBUTES), list(QUESTIONS["colour of garment"])
    columns, sentences = training.questions[list(QUESTIONS).index("colour of garment")]
    assert [names[column] for column in columns] == question
    with torch.no_grad():
        texts = training.towers.embed_sentences(sentences)
        labels = torch.full((3, len(names)), torch.nan)
        labels[0, columns], labels[0, columns[4]] = 0, 1  # the fifth
        images = texts[[4, 0, 1]]
        logits = training.towers.logits(images, texts)
        expected = torch.logsumexp(logits[0], dim=0) - logits[0, 4]
        assert float(training.choice_loss(images, labels)) == pytest.approx(float(expected) / 3)
        labels[0] = torch.nan
        assert float(training.choice_loss(images, labels)) == 0


def test_it_ships_with_its_words_and_what_was_measured(seen, tmp_path, monkeypatch):
    monkeypatch.setattr(clip.ClipRecipe, "held_out", 10)
    training = clip.ClipTraining(RECIPE, seen, device=CPU)
    training.step()
    torch.save(seen, tmp_path / clip.FEATURES)
    (tmp_path / "log.jsonl").write_text(json.dumps({"pictures": 8, "seconds": 1}) + "\n")
    card = export(clip.ClipTraining, training.state(), "clip-tiny", tmp_path, tmp_path,
                  lambda size: seen["pictures"], kind="cats and clothes")
    assert card.license == "CC BY-NC 4.0" and "retrieval at 5" in card.measured
    asked = card.measured["accuracy"].keys()  # what nobody here can answer is left out
    assert {"cat or garment", "patterned"} & asked and asked <= QUESTIONS.keys()
    monkeypatch.setattr(models, "ASSETS", tmp_path)
    loaded = models.load_clip("clip-tiny", device="cpu")
    text = training.kept.eval().embed_sentences(training.vocabulary.encode(["a ginger cat"]))
    torch.testing.assert_close(loaded.embed_texts(["a ginger cat"]), text, atol=2e-3, rtol=0)


def test_only_what_has_exactly_one_answer_is_asked():
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, torch.nan], [0, torch.nan, 1]])
    asked, answer = answered(labels, [0, 1, 2])
    assert asked.tolist() == [True, False, False, True] and answer.tolist() == [0, 2]


def test_views_are_looked_at_once_and_labels_of_both_sets_stand_together(tmp_path, rng):
    for name, records in {
        "cats": [{"file": f"{i}.png", "breed_guesses": [["tabby", 0.9]]} for i in range(3)],
        "clothes": [{"file": f"{i}.png", "type": "dress", "color": "red", "patterned": False,
                     "kids": False} for i in range(2)],
    }.items():
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for record in records:
                pixels = torch.randint(256, (64, 64, 3), generator=rng, dtype=torch.uint8)
                PIL.Image.fromarray(np.asarray(pixels)).save(tmp_path / "one.png")
                archive.write(tmp_path / "one.png", f"images/{record['file']}")
            archive.writestr("labels.json", json.dumps(records))
    recipe = clip.ClipRecipe(resolution=64, views=2)
    found = clip.look_at_sets(tmp_path, recipe)
    assert found["features"].shape == (5, 3, FEATURES)
    assert found["pictures"].shape == (5, 3, 64, 64)
    names = list(clip.ATTRIBUTES)
    assert found["labels"][:, names.index("cat")].tolist() == [1, 1, 1, 0, 0]
    assert found["labels"][:, names.index("striped")][:3].tolist() == [1, 1, 1]
    assert found["labels"][3:, names.index("red garment")].tolist() == [1, 1]
    assert not torch.equal(found["features"][:, 1], found["features"][:, 2])
