"""One base for all that is trained: what a family must bring, and that none has changed.

`training_losses.json` holds what each family's losses were before they stood on one base.
"""

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path

import PIL.Image
import pytest
import torch

from course_lib.generators import Card, load_generator
from course_lib.generators.dcgan import DCGAN, DCGANConfig
from course_lib.training import (
    adversarial,
    classifier,
    dcgan,
    descent,
    encoder,
    polish,
    projected_gan,
    stylegan2,
)
from course_lib.training.__main__ import main
from course_lib.training.base import Training
from course_lib.training.export import main as export_main
from course_lib.training.families import FAMILIES, family_of
from course_lib.training.questions import answer, one_of
from course_lib.training.stylegan2 import Stage
from course_lib.weights import StoredWeights

CPU = torch.device("cpu")
SIZES = {"channel_base": 64, "channel_max": 8, "z_dim": 8, "mapping_layers": 2}


def pictures(n: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, 3, 16, 16), generator=rng, dtype=torch.uint8)


def grown() -> Training:
    recipe = stylegan2.Recipe(
        (Stage(8, 0.016, 8), Stage(16, 0.064, 8)), **SIZES, w_dim=8, flip=True, r1_every=2,
        fade_thousands=0.016, path_length=2, recoloring=0.1, noise="random")
    return stylegan2.StyleGAN2Training(recipe, pictures(20), device=CPU)


def polished() -> Training:
    recipe = polish.Recipe((Stage(16, 0.08, 8),), **SIZES, w_dim=8, r1_every=2, critic_width=4)
    return polish.PolishTraining(recipe, pictures(20), device=CPU)


def plain() -> Training:
    recipe = dcgan.Recipe(thousands=1, batch=4, resolution=16, width=4, z_dim=6, flip=True,
                          r1_every=2)
    return dcgan.DCGANTraining(recipe, pictures(20), device=CPU)


def against_features(family: str = "stylegan2") -> Training:
    recipe = projected_gan.Recipe(family, thousands=0.03, critic_thousands=0.004, batch=4, **SIZES,
                              resolution=16, width=4, seen_at=32)
    return projected_gan.ProjectedTraining(recipe, pictures(20), device=CPU)


def inverting() -> Training:
    torch.manual_seed(0)
    generator = DCGAN(DCGANConfig(16, 4, 6)).eval().requires_grad_(False)
    recipe = encoder.EncoderRecipe(thousands=0.02, batch=2, widths=(8, 8, 8), held_out=4,
                                   pixels=20, flip=True)
    return encoder.EncoderTraining(recipe, generator, pictures(12))


def answering() -> Training:
    questions = {"a": one_of("x", "1"), "b": one_of("x", "1", "2")}
    recipe = classifier.ClassifierRecipe(questions, thousands=0.1, batch=8, resolution=16,
                                         widths=(8, 16), held_out=10, flip=True)
    labels = answer(questions, [{"x": str(i % 3)} for i in range(40)], pictures(40))
    return classifier.ClassifierTraining(recipe, pictures(40), labels, device=CPU)


RUNS = {"stylegan2": grown, "polish": polished, "dcgan": plain, "projected": against_features,
        "projected dcgan": lambda: against_features("dcgan"), "encoder": inverting,
        "classifier": answering}
RNG = ("rng", "torch_rng", "cuda_rng")
PLAYERS = ("generator", "average", "discriminator", "g_optimizer", "d_optimizer", "seen", "steps")
GROWN = (*PLAYERS, "level", "path_mean", *RNG)
ONCE = {  # what a checkpoint held before families stood on one base
    "stylegan2": (*GROWN, "outgoing"), "polish": GROWN, "dcgan": (*PLAYERS, "rng"),
    "projected": (*PLAYERS, "critic", "begun", "rng"),
    "projected dcgan": (*PLAYERS, "critic", "begun", "rng"),
    "encoder": ("encoder", "average", "optimizer", "seen", "rng", "config", "held out"),
    "classifier": ("classifier", "optimizer", "seen", "rng", "torch_rng", "config", "held out",
                   "faults"),
}
every_run = pytest.mark.parametrize("name", RUNS)


@pytest.fixture(autouse=True)
def same_precision_everywhere(monkeypatch):
    for module in (projected_gan, encoder):
        monkeypatch.setattr(module, "frozen_precision",
                            lambda device: torch.autocast("cpu", enabled=False))


def steps(training: Training, n: int) -> list[dict[str, float]]:
    return [{name: float(value) for name, value in training.step().items()} for _ in range(n)]


def reference(name: str) -> dict[str, list]:
    path = Path(__file__).with_name("training_losses.json")
    return json.loads(path.read_text(encoding="utf-8"))[name]


def assert_same(found: list[dict], expected: list[dict]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=1e-4)  # machines add in another order


def shipped(training: Training) -> StoredWeights:
    """What an export would store, unrounded."""
    state = copy.deepcopy(training.state())
    return StoredWeights(training.tensors(state), training.settings(state))


@every_run
def test_losses_are_those_of_before(name):
    training = RUNS[name]()
    assert_same(steps(training, 5), reference(name)["fresh"])


@every_run
def test_a_checkpoint_of_before_is_gone_on_from(name, tmp_path):
    first = RUNS[name]()
    steps(first, 3)
    once = {key: value for key, value in first.state().items() if key in ONCE[name]}
    assert once.keys() == set(ONCE[name])
    torch.save(once, tmp_path / "state.pt")
    torch.manual_seed(99)
    resumed = RUNS[name]()
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_same(steps(resumed, 2), reference(name)["fresh"][3:])


@every_run
def test_runs_that_start_from_shipped_weights_give_the_losses_of_before(name):
    first, again = RUNS[name](), RUNS[name]()
    steps(first, 3)
    again.start_from(shipped(first))
    if name == "classifier":  # it could not, before
        assert torch.equal(again.classifier.head.weight, first.classifier.head.weight)
    else:
        assert_same(steps(again, 2), reference(name)["started"])


@every_run
def test_a_checkpoint_tells_whose_it_is_and_so_do_those_of_before(name):
    training = RUNS[name]()
    assert family_of(training.state()) is type(training)
    family = family_of(dict.fromkeys(ONCE[name]))
    assert family is type(training) or (name == "polish" and family is FAMILIES["stylegan2"])


def test_a_checkpoint_of_nobody_is_refused():
    with pytest.raises(ValueError, match="no family that is known"):
        family_of({"weights": 1})


def test_averages_follow_the_sooner_the_less_was_seen_since_the_start():
    first = against_features()
    steps(first, 1)
    training = against_features()
    training.start_from(StoredWeights(first.tensors(first.state()), {"pictures": 10_000,
                                                                    "family": "stylegan2"}))
    training.begun = 9_000  # so that a twentieth of what was seen counts
    slow = training.average.synthesis.b4.const.clone()
    training.recipe = replace(training.recipe, thousands=100)
    steps(training, 1)
    fast, decay = training.generator.synthesis.b4.const, 0.5 ** (4 / (0.05 * 1004))
    torch.testing.assert_close(training.average.synthesis.b4.const, slow.lerp(fast, 1 - decay))


def test_a_process_that_resumes_draws_pictures_of_its_own():
    first = plain()
    steps(first, 2)
    drawn = []
    for rank in (0, 1, 1):
        one = dcgan.DCGANTraining(first.recipe, pictures(20), device=CPU, rank=rank, processes=2)
        one.load(copy.deepcopy(first.state()))
        drawn.append(one.draw())
    assert torch.equal(drawn[0], first.draw())
    assert not torch.equal(drawn[1], drawn[0]) and torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_recipe_can_be_shortened(family):
    for recipe in FAMILIES[family].recipes.values():
        assert recipe.shortened(0.5).thousands == pytest.approx(recipe.thousands / 2)
        assert recipe.shortened(1) == recipe


def test_bases_bring_no_family_of_their_own():
    for base in (Training, adversarial.AdversarialTraining, descent.DescentTraining):
        assert base not in FAMILIES.values() and base.__abstractmethods__


@dataclass(frozen=True, kw_only=True)
class TinyRecipe(descent.DescentRecipe):
    """All that the tiny family needs to know."""

    thousands: float = 0.08
    batch: int = 8
    resolution: int = 16
    learning_rate: float = 0.01
    ema_thousands: float = 0.01
    width: int = 4


class TinyTraining(descent.DescentTraining):
    """A generator whose mean picture is that of the batch: no opponent, one loss."""

    family, architecture = "tiny", "dcgan"
    recipes = {"mine": TinyRecipe()}  # noqa: RUF012

    def network(self) -> DCGAN:
        """With six numbers a code."""
        return DCGAN(DCGANConfig(self.recipe.resolution, self.recipe.width, 6))

    def loss(self, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The squared difference of means."""
        z = torch.randn(len(batch), 6, generator=self.rng)
        gap = (self.model(z).mean(dim=0) - batch.mean(dim=0)).square().mean()
        return gap, {"gap": gap}


@pytest.fixture
def command(monkeypatch, tmp_path):
    """The command line's own functions, with one family more, and a folder of pictures."""
    monkeypatch.setitem(FAMILIES, "tiny", TinyTraining)
    (tmp_path / "set").mkdir()
    for index, picture in enumerate(pictures(40) // 4 + 150):
        array = picture.permute(1, 2, 0).numpy()
        PIL.Image.fromarray(array).save(tmp_path / "set" / f"{index:02d}.png")

    def call(function, *arguments):
        monkeypatch.setattr("sys.argv", [function.__module__, *map(str, arguments)])
        function()

    return call


def test_a_family_of_a_recipe_and_a_loss_trains_resumes_and_ships(command, tmp_path, capsys):
    run, assets = tmp_path / "run", tmp_path / "assets"
    training = ("tiny", "mine", "--data", tmp_path / "set", "--out", run)
    command(main, *training, "--share", "0.5")
    command(main, *training)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [40, 80]
    assert lines[1]["gap"] < 0.7 * lines[0]["gap"]
    ship = ("mine", "--run", run, "--data", tmp_path / "set", "--assets", assets)
    command(export_main, *ship, "--source", "noise", "--license", "CC0 1.0", "--recognized", "3")
    card = Card.read(assets / "mine.json")
    assert card.measured["pictures seen"] == 80 and "3 of 100" in card.quality
    assert load_generator(assets / "mine.safetensors", device="cpu").resolution == 16
    started = (*training[:-1], tmp_path / "second", "--start-from", assets / "mine.safetensors")
    with pytest.raises(SystemExit):
        command(main, *started)
    assert "raise --share" in capsys.readouterr().err
    command(main, *started, "--share", "1.2")
    state = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    assert state["seen"] == 96 and state["family"] == "tiny"


def test_an_export_that_fails_leaves_no_weights_without_a_card(command, tmp_path, capsys):
    command(main, "tiny", "mine", "--data", tmp_path / "set", "--out", tmp_path / "run")
    with pytest.raises(SystemExit):
        command(export_main, "mine", "--run", tmp_path / "run", "--data", tmp_path / "none",
                "--assets", tmp_path / "assets", "--source", "noise", "--license", "CC0 1.0")
    assert "does not exist" in capsys.readouterr().err
    assert not (tmp_path / "assets").exists() and not list((tmp_path / "run").glob("*.safetensors"))


def test_it_keeps_no_average_where_the_recipe_wants_none():
    training = TinyTraining(replace(TinyRecipe(), ema_thousands=0), pictures(20), device=CPU)
    steps(training, 1)
    assert training.average is None and training.kept is training.model
    assert training.samples(3).shape == (3, 3, 16, 16)
    again = TinyTraining(replace(training.recipe, seed=1), pictures(20), device=CPU)
    again.start_from(shipped(training))
    for one, other in zip(again.model.parameters(), training.model.parameters(), strict=True):
        assert torch.equal(one, other)
