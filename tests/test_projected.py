"""Training against frozen features: what learns, what stays, and that a run can be resumed."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.lite0 import load_lite0
from course_lib.training.augment import cut_out
from course_lib.training.codes import center_mean
from course_lib.training.export import export
from course_lib.training.measuring import draw_classes
from course_lib.training.projected_gan import RECIPES, ProjectedTraining, Recipe, new_generator
from course_lib.training.projected_networks import ClassHead, ProjectedDiscriminator, hinge
from course_lib.training.questions import read_classes
from course_lib.weights import StoredWeights

SMALL = Recipe(thousands=1, critic_thousands=0, batch=4, resolution=16, channel_base=64,
               channel_max=8, z_dim=8, mapping_layers=2, width=4, seen_at=32)
FAMILIES = pytest.mark.parametrize("family", ["stylegan2", "dcgan"])


def begin(recipe: Recipe = SMALL, **changes) -> ProjectedTraining:
    data = torch.randint(256, (12, 3, 16, 16), generator=torch.Generator().manual_seed(3))
    return ProjectedTraining(replace(recipe, **changes), data.byte(), device=torch.device("cpu"))


def weights(training: ProjectedTraining, name: str) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in getattr(training, name).state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {key for key in before if not torch.equal(before[key], after[key])}


@FAMILIES
def test_a_step_moves_generator_and_heads_and_nothing_else(family):
    training = begin(family=family)
    eye = [p.clone() for p in load_lite0().parameters()]
    before = [weights(training, name) for name in ("generator", "critic", "average")]
    losses = training.step()
    assert all(value.isfinite() for value in losses.values()) and training.seen == 4
    after = [weights(training, name) for name in ("generator", "critic", "average")]
    moved = [changed(*pair) for pair in zip(before, after, strict=True)]
    assert moved[0] and moved[2]
    assert moved[1] and all(name.startswith("heads.") for name in moved[1])
    assert all(map(torch.equal, eye, load_lite0().parameters()))


def test_the_critic_learns_alone_at_first():
    training = begin(critic_thousands=0.008)
    before = weights(training, "generator")
    for expected in (False, False, True):
        training.step()
        assert bool(changed(before, weights(training, "generator"))) == expected


@FAMILIES
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(family):
    whole, half = begin(family=family), begin(family=family)
    half.step(), whole.step()
    resumed = begin(family=family)
    resumed.load(half.state())
    for _ in range(2):
        expected, found = whole.step(), resumed.step()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value)
    torch.testing.assert_close(resumed.samples(2), whole.samples(2))


# ---- classes

CLASSES = (("coat",), ("sock", "glove"), ("hat",))
KINDS = torch.tensor([0, 1, 2] * 4)


def begin_classes(**changes) -> ProjectedTraining:
    data = torch.randint(256, (12, 3, 16, 16), generator=torch.Generator().manual_seed(3))
    recipe = replace(SMALL, classes=CLASSES, **changes)
    return ProjectedTraining(recipe, data.byte(), KINDS, device=torch.device("cpu"))


def test_both_players_are_told_the_class():
    training = begin_classes()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    judged = training.critic.features(images)
    answers = [training.critic(judged, torch.full((2,), label)) for label in range(3)]
    assert not torch.allclose(answers[0][0], answers[1][0])
    before = [weights(training, name) for name in ("generator", "critic")]
    training.step()
    moved = [changed(*pair) for pair in zip(before, (
        weights(training, name) for name in ("generator", "critic")), strict=True)]
    assert "mapping.embed.weight" in moved[0]
    assert any("classes" in name for name in moved[1])


def test_a_class_head_says_what_eq_3_says():
    torch.manual_seed(0)
    head = ClassHead(4, 3, width=8).eval()
    features, labels = torch.randn(2, 8, 4, 4), torch.tensor([2, 0])
    answers = head.head(features)[..., 0, 0]
    expected = answers[:, 0] + (head.classes.weight[labels] * answers[:, 1:]).sum(dim=1)
    torch.testing.assert_close(head(features, labels)[:, 0, 0, 0], expected)


def test_classes_are_read_from_the_labels(tmp_path):
    records = [{"file": f"{n}.png", "type": kind} for n, kind in enumerate(("glove", "hat"))]
    (tmp_path / "labels.json").write_text(json.dumps(records))
    assert read_classes(tmp_path, CLASSES).tolist() == [1, 2]
    assert read_classes(tmp_path, ()) is None
    with pytest.raises(ValueError, match="glove, which the recipe does not know: it tells hat"):
        read_classes(tmp_path, (("hat",),))


def test_new_heads_learn_alone_at_first():
    training = begin_classes(critic_thousands=0.008)
    assert ["generator" in training.step() for _ in range(4)] == [False, False, True, True]


def test_samples_come_class_by_class_as_often_as_the_set_has_them():
    training = begin_classes()
    training.labels = torch.tensor([1] * 12)
    only = training.samples(3, truncation_psi=0)
    mean = training.average.with_label(1).decode(training.average.mapping.class_means[[1]],
                                                 space="w").clamp(0, 1)
    torch.testing.assert_close(only, mean.expand(3, -1, -1, -1))


def test_the_card_of_a_model_with_classes_tells_them_apart(tmp_path):
    training = begin_classes(thousands=0.008)
    while not training.done:
        training.step()
    (tmp_path / "log.jsonl").write_text('{"pictures": 8, "seconds": 60}\n')
    card = export(ProjectedTraining, copy.deepcopy(training.state()), "socks", tmp_path, tmp_path,
                  lambda _: training.pictures, source=("socks", "MIT"))
    by_class = card.measured["frechet by class"]
    assert len(by_class) == 3 and all(value > 0 for value in by_class)
    generator = load_generator(tmp_path / "socks.safetensors", device="cpu")
    assert (generator.config.c_dim, generator.config.class_means) == (3, True)


def test_samples_of_classes_stand_in_their_order(rng):
    training = begin_classes()
    average = training.average
    center_mean(average, torch.Generator().manual_seed(0))
    drawn = draw_classes(average, [2, 0, 1], rng=rng, space="w", truncation_psi=0.0)
    means = average.decode(average.mapping.class_means, space="w").clamp(0, 1)
    torch.testing.assert_close(drawn, means[[0, 0, 2]])


@FAMILIES
def test_it_goes_on_from_stored_weights(family):
    first, recipe = begin(family=family), replace(SMALL, family=family)
    first.step()
    stored = {f"G_ema.{name}": value for name, value in first.average.state_dict().items()}
    training = begin(family=family, seed=5)
    training.start_from(StoredWeights(stored, {"pictures": 100}))
    assert training.seen == 100 and not training.done
    z = torch.randn(2, recipe.z_dim, generator=torch.Generator().manual_seed(0))
    for one in (training.generator.eval(), training.average):
        torch.testing.assert_close(one.decode(z), first.average.decode(z))


def test_the_heads_learn_to_tell_two_kinds_of_pictures_apart():
    torch.manual_seed(0)
    critic, rng = ProjectedDiscriminator(32, width=8), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(critic.heads.parameters(), lr=0.01, betas=(0.0, 0.99))
    for _ in range(20):
        noise = torch.rand(8, 3, 32, 32, generator=rng) * 2 - 1
        smooth = noise.mean(dim=(2, 3), keepdim=True) + 0.1 * noise
        loss = hinge(critic(critic.features(noise)), 1) + hinge(critic(critic.features(smooth)), -1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 5  # of 8 where nothing is told apart


def test_hinge_asks_for_a_margin_of_one():
    logits = [torch.tensor([[2.0], [0.5]]), torch.tensor([[-1.0], [1.0]])]
    torch.testing.assert_close(hinge(logits, 1), torch.tensor(0.25 + 1.0))
    torch.testing.assert_close(hinge(logits, -1), torch.tensor(2.25 + 1.0))


def test_rates_fall_in_the_second_half():
    training = begin()
    for seen, share in ((0, 1), (500, 1), (750, 0.5), (1000, 0.05)):
        training.seen = seen
        training.set_rates()
        assert training.g_optimizer.param_groups[0]["lr"] == pytest.approx(
            share * SMALL.learning_rate)
        assert training.g_optimizer.param_groups[1]["lr"] == pytest.approx(
            share * SMALL.mapping_rate)


def test_a_hole_is_cut_anywhere_and_nothing_else_changes(rng):
    images = torch.rand(200, 3, 16, 16, generator=rng) + 0.1
    cut = cut_out(images, 0.5, rng)
    holes = (cut == 0).all(dim=1)
    assert torch.equal(torch.where(holes[:, None], images, cut), images)
    assert holes.any(dim=0).all() and holes.flatten(1).sum(dim=1).max() == 64
    assert cut_out(images, 0, rng) is images


def test_every_recipe_makes_its_generator():
    for name, recipe in RECIPES.items():
        generator = new_generator(recipe)
        assert generator.resolution == recipe.resolution, name
        assert generator.spaces[0] == "z"
