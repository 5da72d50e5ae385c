"""Trainings of VAE, VQ-VAE-2, flows, diffusion: they learn, go on where they stopped, and ship."""

import argparse
import copy
import math

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.generators.vqvae import VQVAE, VQVAEConfig
from course_lib.training import diffusion, flow, questions, vae, vqvae
from course_lib.training.base import Training
from course_lib.training.export import export
from course_lib.weights import StoredWeights

CPU = torch.device("cpu")


def pictures(n: int) -> torch.Tensor:
    """Discs of all colours and places on white: there is something to learn."""
    rng = torch.Generator().manual_seed(0)
    axis = torch.arange(16.0)
    x, y = 4 + 8 * torch.rand(2, n, 1, 1, generator=rng)
    disc = (torch.hypot(axis - x, axis[:, None] - y) < 4)[:, None]
    colors = torch.randint(180, (n, 3, 1, 1), generator=rng)
    return torch.where(disc, colors, 250).to(torch.uint8)


def autoencoding() -> Training:
    recipe = vae.VAERecipe(thousands=1, batch=16, resolution=16, width=4, z_dim=6, flip=True,
                           ema_thousands=0.05, held_out=20)
    return vae.VAETraining(recipe, pictures(200), device=CPU)


def flowing(family: type = flow.GlowTraining) -> Training:
    recipe = flow.FlowRecipe(thousands=1, batch=16, resolution=16, levels=2, steps=2, width=8,
                             ema_thousands=0.05, held_out=20)
    return family(recipe, pictures(200), device=CPU)


def spelling() -> Training:
    recipe = vqvae.VQVAERecipe(thousands=1, batch=16, resolution=32, width=8, inner=4, blocks=1,
                               words=8, dim=4, ema_thousands=0.05, held_out=20,
                               learning_rate=0.01)
    large = pictures(200).repeat_interleave(2, -1).repeat_interleave(2, -2)
    return vqvae.VQVAETraining(recipe, large, device=CPU)


def guessing() -> Training:
    torch.manual_seed(0)
    model = VQVAE(VQVAEConfig(16, 8, 4, 1, 8, 4, 16, 1)).eval()
    recipe = vqvae.PriorRecipe(thousands=1, batch=16, ema_thousands=0.05, held_out=20)
    return vqvae.PriorTraining(recipe, pictures(200), model, device=CPU)


def clearing(**settings) -> Training:
    recipe = diffusion.DiffusionRecipe(
        **settings, thousands=2, batch=32, resolution=16, channels=(32,), told=16,
        ema_thousands=0.05, held_out=20, learning_rate=0.01, kinds=(("disc",), ("square",)),
        colors=(("red",),))
    labels = torch.randint(2, (200, 2), generator=torch.Generator().manual_seed(1))
    return diffusion.DiffusionTraining(recipe, pictures(200), labels, device=CPU)


RUNS = {"vae": autoencoding, "glow": flowing, "realnvp": lambda: flowing(flow.RealNVPTraining),
        "vqvae": spelling, "prior": guessing, "diffusion": clearing}
OF = {"vae": "squared error", "glow": "bits per dimension", "realnvp": "bits per dimension",
      "vqvae": "absolute error", "prior": "bits a word", "diffusion": "error"}
every_run = pytest.mark.parametrize("name", RUNS)


@pytest.fixture(autouse=True)
def same_precision_everywhere(monkeypatch):
    for module in (diffusion, vae, flow, vqvae):
        monkeypatch.setattr(module, "frozen_precision",
                            lambda device: torch.autocast("cpu", enabled=False))


@every_run
def test_what_it_descends_falls_and_the_average_follows(name):
    training = RUNS[name]()
    first = [float(training.step()[OF[name]]) for _ in range(4)]
    for _ in range(30):
        training.step()
    last = [float(training.step()[OF[name]]) for _ in range(4)]
    assert sum(last) < 0.95 * sum(first)
    assert math.isfinite(sum(last))
    for slow, fast in zip(training.average.parameters(), training.model.parameters(), strict=True):
        assert slow.isfinite().all() and slow.shape == fast.shape


@every_run
def test_a_run_goes_on_where_it_stopped(name, tmp_path):
    training = RUNS[name]()
    for _ in range(3):
        training.step()
    torch.save(training.state(), tmp_path / "state.pt")
    expected = [float(training.step()[OF[name]]) for _ in range(2)]
    torch.manual_seed(99)
    again = RUNS[name]()
    again.load(torch.load(tmp_path / "state.pt", weights_only=True))
    found = [float(again.step()[OF[name]]) for _ in range(2)]
    assert found == pytest.approx(expected, rel=1e-4)


@every_run
def test_what_it_learnt_ships_with_a_card(name, tmp_path):
    training = RUNS[name]()
    for _ in range(2):
        training.step()
    size = training.kept.resolution
    (tmp_path / "log.jsonl").write_text('{"pictures": 32, "seconds": 60}\n')
    state = copy.deepcopy(training.state())
    card = export(type(training), state, "discs", tmp_path / "assets", tmp_path,
                  lambda resolution: pictures(60).repeat_interleave(size // 16, -1)
                  .repeat_interleave(size // 16, -2), source=("discs", "CC0 1.0"))
    shipped = load_generator(tmp_path / "assets" / f"{card.name}.safetensors", device="cpu")
    assert card.name == f"discs{type(training).suffix}" and card.family == training.architecture
    assert any("held" in key for key in card.measured)
    codes = shipped.invert(pictures(2).float().repeat_interleave(size // 16, -1)
                           .repeat_interleave(size // 16, -2) / 255,
                           space=shipped.default_space)
    assert shipped.decode(codes, space=shipped.default_space).isfinite().all()


def test_a_diffusion_model_grows_fine_blocks_and_answers_as_before():
    small, grown = clearing(), clearing(fine=8, seeing=0.5)
    for _ in range(3):
        small.step()
    small.average.load_state_dict(small.model.state_dict())
    stored = {f"G_ema.{name}": value for name, value in small.average.state_dict().items()}
    grown.start_from(StoredWeights(stored, {"pictures": 96}))
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([0.2, 0.8])
    with torch.no_grad():
        torch.testing.assert_close(grown.model.estimate(x, t), small.average.estimate(x, t))
    assert grown.seen == 96
    first = grown.step()
    assert "seen" in first and "seen" not in small.step()
    seen = [float(grown.step()["seen"]) for _ in range(30)]
    assert sum(seen[-5:]) < sum(seen[:5])
    assert grown.model.fine.last.weight.abs().max() > 0


def test_kl_weighs_nothing_at_first_and_its_whole_weight_after_the_warm_up():
    training = autoencoding()
    batch = training.draw()
    slopes = []
    for seen in (0, 50, 100, 1000):
        training.seen = seen
        torch.manual_seed(0)
        loss, terms = training.loss(batch)
        fit = 768 / 2 * terms["squared error"].log()
        slopes.append(float(((loss - fit) / terms["kl"]).detach()))
    beta = training.recipe.beta
    assert slopes == pytest.approx([0, beta / 2, beta, beta], rel=1e-3, abs=0.01)


def test_the_variance_that_ships_is_the_error_that_was_left():
    training = autoencoding()
    error = training.step()["squared error"]
    torch.testing.assert_close(training.model.variance, error)
    torch.testing.assert_close(training.average.variance, error)


def test_a_flows_rate_rises_then_falls():
    training = flowing()
    rates = [training.rate(1.0, progress) for progress in (0, 0.005, 0.01, 0.5, 0.85, 1)]
    assert rates == pytest.approx([0, 0.5, 1, 1, 0.5, 0.05])


def test_long_gradients_are_shortened():
    training = flowing()
    before = copy.deepcopy(training.model.state_dict())
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=1.0)
    training.keep_rates(training.optimizer)
    training.seen = 500  # past the ramp
    training.model.eval()  # act-norm stays
    training.step()
    moved = sum((value - before[key]).square().sum()
                for key, value in training.model.state_dict().items())
    assert float(moved.sqrt()) == pytest.approx(1, rel=1e-3)


def test_the_prior_alone_learns():
    training = guessing()
    before = {key: value.clone() for key, value in training.model.state_dict().items()}
    for _ in range(2):
        training.step()
    moved = {key.split(".")[0] for key, value in training.model.state_dict().items()
             if not torch.equal(value, before[key])}
    assert moved == {"prior"}


def test_an_untrained_guess_is_as_good_as_the_best_linear_one():
    training = clearing()
    losses = [float(training.loss(training.draw())[0]) for _ in range(20)]
    assert sum(losses) / len(losses) == pytest.approx(1, abs=0.15)


def test_some_pictures_labels_are_left_out_one_by_one_and_together():
    training = clearing()
    found = training.left_out(torch.ones(4000, 2, dtype=torch.long))
    shares = [float((found == torch.tensor(pair)).all(dim=1).float().mean())
              for pair in ((0, 0), (0, 1), (1, 0))]
    assert shares == pytest.approx([0.1, 0.1, 0.1], abs=0.02)


def test_a_cat_is_named_after_forehead_and_muzzle():
    shades = [(20, 20, 20), (120, 120, 120), (230, 230, 230), (200, 120, 60), (120, 100, 80),
              (200, 180, 160)]
    cats = torch.tensor(shades, dtype=torch.uint8)[:, :, None, None].repeat(1, 1, 64, 64)
    records = [{"breed_guesses": [["tabby", 0.1]], "grey": False} for _ in shades]
    records[1]["breed_guesses"] = [["tabby", 0.9]]
    records[2]["breed_guesses"] = [["Siamese_cat", 0.5]]
    records[5]["grey"] = True
    cats[0, :, 43:55] = 220
    found = questions.cat_words(records, cats)
    assert found[:, 0].tolist() == [3, 2, 4, 1, 1, 1]
    assert found[:, 1].tolist() == [1, 2, 3, 4, 5, 0]


def test_a_prior_without_its_vqvae_is_refused():
    options = argparse.Namespace(start_from=None, minutes=None, recipe="clothes")
    with pytest.raises(ValueError, match=r"--start-from is missing.*clothes-vqvae"):
        vqvae.PriorTraining.check_options(options, resumes=False)
