"""Polishing: a StyleGAN2 goes on against a DCGAN's discriminator, resumes, and loads with it."""

from dataclasses import replace

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.generators.dcgan import DCGANConfig, Discriminator
from course_lib.losses import perceptual_loss
from course_lib.training import polish
from course_lib.training.__main__ import main
from course_lib.training.polish import PolishTraining
from course_lib.training.stylegan2 import Recipe, Stage, StyleGAN2Training
from course_lib.weights import StoredWeights, read_weights, save_weights

CPU = torch.device("cpu")
SIZES = {"channel_base": 64, "channel_max": 8, "z_dim": 8, "w_dim": 8, "mapping_layers": 2}
GROWN = Recipe((Stage(16, 0.016, 8),), **SIZES)
TINY = polish.Recipe((Stage(16, 0.08, 8),), **SIZES, r1_every=2, critic_width=4)


@pytest.fixture
def data(rng) -> torch.Tensor:
    return torch.randint(256, (20, 3, 16, 16), generator=rng, dtype=torch.uint8)


@pytest.fixture
def grown(data) -> StoredWeights:
    training = StyleGAN2Training(GROWN, data, device=CPU)
    training.step()
    return stored(training)


@pytest.fixture
def critic() -> StoredWeights:
    judge = Discriminator(DCGANConfig(16, 4, 8))
    return StoredWeights({f"D.{key}": value for key, value in judge.state_dict().items()}, {})


def stored(training) -> StoredWeights:
    state = training.state()
    tensors = {f"G_ema.{key}": value for key, value in state["average"].items()}
    tensors |= {f"D.{key}": value for key, value in state["discriminator"].items()}
    return StoredWeights(tensors, {"family": "stylegan2", "pictures": state["seen"]})


def test_it_begins_with_the_pictures_and_the_critic_given(data, grown, critic):
    training = PolishTraining(TINY, data, device=CPU)
    training.start_from(grown, critic)
    own = {key.removeprefix("G_ema."): value for key, value in grown.tensors.items()
           if key.startswith("G_ema.")}
    for key, value in training.generator.state_dict().items():
        assert torch.equal(value, own[key])
    images = torch.rand(4, 3, 16, 16)
    judge = Discriminator(DCGANConfig(16, 4, 8))
    judge.load_state_dict({key[2:]: value for key, value in critic.tensors.items()})
    training.recipe = replace(TINY, translation=0)
    torch.testing.assert_close(training.judge(images), judge(images))
    assert training.seen == 8


def test_a_step_moves_both_and_the_mapping_at_its_own_rate(data, grown, critic):
    def moved(mapping_rate):
        training = PolishTraining(replace(TINY, mapping_rate=mapping_rate), data, device=CPU)
        training.start_from(grown, critic)
        mapping, judge = training.generator.mapping.fc0.weight, training.discriminator.out.weight
        before = mapping.detach().clone(), judge.detach().clone()
        losses = training.step()
        assert all(map(torch.isfinite, losses.values())) and "r1" in losses
        assert (judge - before[1]).abs().max() > 0
        return float((mapping - before[0]).abs().max())

    slow = moved(0.01)
    assert slow > 0 and moved(0.04) == pytest.approx(4 * slow, rel=1e-2)


def test_a_resumed_run_is_the_same_run(data, grown, critic, tmp_path):
    whole = PolishTraining(TINY, data, device=CPU)
    whole.start_from(grown, critic)
    whole.step()
    torch.save(whole.state(), tmp_path / "state.pt")
    expected = [whole.step() for _ in range(2)]
    resumed = PolishTraining(TINY, data, device=CPU)
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    for losses in expected:
        for name, value in resumed.step().items():
            assert torch.equal(value, losses[name]), name


def test_what_was_polished_loads_with_its_critic_and_goes_on(data, grown, critic, tmp_path):
    training = PolishTraining(TINY, data, device=CPU)
    training.start_from(grown, critic)
    training.step()
    weights = stored(training)
    path = tmp_path / "w.safetensors"
    save_weights(path, weights.tensors, settings=weights.settings)
    generator = load_generator(path, device="cpu")
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        expected = training.discriminator(2 * images - 1)[:, 0]
    score = generator.discriminator_score(images)
    torch.testing.assert_close(score, expected, atol=0.02, rtol=0.02)  # in half precision
    assert len(generator.discriminator_features(images)) == 2
    loss = perceptual_loss(generator)
    assert (loss(images, images.clone()) < 1e-6).all() and (loss(images, images.flip(0)) > 0).all()
    again = PolishTraining(TINY, data, device=CPU)
    again.start_from(read_weights(path))
    assert again.seen == 16 and torch.isfinite(again.step()["generator"])


def test_polished_weights_are_not_grown_on(data, grown, critic):
    training = PolishTraining(TINY, data, device=CPU)
    training.start_from(grown, critic)
    with pytest.raises(ValueError, match="or polish them"):
        StyleGAN2Training(GROWN, data, device=CPU).start_from(stored(training))


def test_a_critic_of_another_kind_is_refused(data, grown, critic):
    training = PolishTraining(TINY, data, device=CPU)
    with pytest.raises(ValueError, match=r"the critic's weights .*--critic"):
        training.start_from(grown)  # whose discriminator is StyleGAN2's own
    with pytest.raises(ValueError, match=r"the generator's weights .*--start-from"):
        training.start_from(critic, critic)


@pytest.mark.parametrize("arguments, message", [
    (["polish", "cats"], "nothing to polish"),
    (["dcgan", "cats", "--minutes", "-1"], "no span of time"),
    (["dcgan", "cats", "--critic", __file__], "--critic is nothing that dcgan takes"),
    (["polish", "cats", "--start-from", __file__, "--critic", "none"], "--critic none does not"),
    (["dcgan", "cats", "--start-from", "none"], "--start-from none does not"),
    (["dcgan", "cats-128"], "invalid choice: 'cats-128'"),
    (["dcgan", "cats", "--device", "abacus"], "--device abacus can't be used"),
    (["dcgan", "cats"], "none.zip does not exist"),
])
def test_the_command_line_says_what_is_missing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["training", *arguments, "--data", "none.zip", "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err


def test_the_rates_fall_towards_the_end(data, grown, critic):
    training = PolishTraining(replace(TINY, stages=(Stage(16, 0.08, 8),), steady=0.5), data,
                              device=CPU)
    training.start_from(grown, critic)
    rates = []
    while not training.done:
        training.step()
        rates.append([group["lr"] for optimizer in (training.g_optimizer, training.d_optimizer)
                      for group in optimizer.param_groups])
    shares = [[rate / full for rate, full in zip(row, rates[0], strict=True)] for row in rates]
    assert shares[3] == [1, 1, 1] and rates[0][1] == TINY.mapping_rate  # 8 of 80 were seen before
    assert shares[-1] == pytest.approx([0.2] * 3)


def test_it_goes_on_at_twice_the_resolution_with_more_channels(data, grown, critic):
    doubled = data.repeat_interleave(2, -1).repeat_interleave(2, -2)
    recipe = replace(TINY, stages=(Stage(32, 0.08, 8),), channel_base=128, critic_width=2)
    training = PolishTraining(recipe, doubled, device=CPU)
    with pytest.raises(ValueError, match="deepened"):
        training.start_from(grown, critic)  # two channels are too few to hand the colours on
    wider = Discriminator(DCGANConfig(16, 16, 8))
    critic = StoredWeights({f"D.{key}": value for key, value in wider.state_dict().items()}, {})
    training = PolishTraining(replace(recipe, critic_width=8), doubled, device=CPU)
    training.start_from(grown, critic)
    assert training.seen == 0
    losses = training.step()
    assert all(map(torch.isfinite, losses.values())) and training.samples(2).shape[-1] == 32
