"""StyleGAN2's files as people write them: every setting counts or is refused."""

import argparse
import pickle
import re
from dataclasses import replace

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config
from course_lib.weights import StoredWeights, save_weights
from tests.test_unpickling import Persistent, official_modules  # noqa: F401
from tests.toys import SMALL, alternative_layout, random_weights


@pytest.fixture
def weights(rng) -> StoredWeights:
    return random_weights(SMALL, rng)


def made_with(weights: StoredWeights, network: str = "G_ema", **arguments) -> StyleGAN2:
    settings = dict(weights.settings) | {network: arguments}
    return StyleGAN2.from_weights(StoredWeights(weights.tensors, settings), "mine")


def nested(weights: StoredWeights) -> tuple[dict, torch.Tensor]:
    """The alternative layout's g_ema and its mean code."""
    tensors = alternative_layout(weights, SMALL).tensors
    own = {key.removeprefix("g_ema."): value for key, value in tensors.items()
           if key.startswith("g_ema.")}
    return own, tensors["latent_avg"]


# Known answers


def test_a_training_run_s_checkpoint_loads_and_its_mean_code_is_estimated(tmp_path, weights, rng):
    own, _ = nested(weights)
    raw = {key: value + 1 for key, value in own.items()}
    torch.save({"g": raw, "d": {}, "g_ema": own, "g_optim": {"state": {0: {"exp_avg": raw}}},
                "args": argparse.Namespace(size=32, batch=16), "ada_aug_p": 0.0},
               tmp_path / "run.pt")
    with pytest.warns(UserWarning, match="run stores no mean code, .* 10,000 samples"):
        found = load_generator(tmp_path / "run.pt", device="cpu")
    expected = StyleGAN2.from_weights(weights, "official")
    z = expected.sample_latent(20_000, rng=rng)
    codes = expected.mapping(z)
    torch.testing.assert_close(found.decode(z[:2]), expected.decode(z[:2]))
    assert ((found.w_avg - codes.mean(dim=0)) / codes.std(dim=0)).abs().max() < 0.05


@pytest.mark.parametrize("content", [
    lambda own, average: {"g_ema": {f"module.{k}": v for k, v in own.items()},
                          "latent_avg": average},
    lambda own, average: own | {"latent_avg": average},
    lambda own, average: {"g": own, "latent_avg": average},
    lambda own, average: {"state_dict": {f"decoder.{k}": v for k, v in own.items()} | {
        "encoder.body.0.weight": torch.ones(1)}, "latent_avg": average.repeat(8, 1)},
], ids=["from several cards", "the bare state dict", "without an average", "in an encoder's file"])
def test_the_alternative_layout_loads_wherever_it_stands(tmp_path, weights, content):
    torch.save(content(*nested(weights)), tmp_path / "mine.pt")
    found = load_generator(tmp_path / "mine.pt", device="cpu")
    expected = StyleGAN2.from_weights(weights, "official").state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())


def test_the_mapping_s_learning_rate_and_the_clamp_are_honoured(weights, rng):
    z = torch.randn(2, SMALL.z_dim, generator=rng)
    slow = {key: value * 0.1 if re.search(r"G_ema.mapping.fc", key) else value
            for key, value in weights.tensors.items()}  # times 0.1 is the usual 0.01
    found = made_with(StoredWeights(slow, {}), mapping_kwargs={"lr_multiplier": 0.1})
    torch.testing.assert_close(found.decode(z), made_with(weights).decode(z), rtol=1e-3, atol=1e-3)
    clamped = StyleGAN2.from_weights(random_weights(replace(SMALL, conv_clamp=1), torch.Generator(
    ).manual_seed(0)), "clamped").decode(z)
    for arguments in ({"synthesis_kwargs": {"conv_clamp": 1}}, {"conv_clamp": 1},
                      {"args": [24, 0, 20, 32, 3, {}, {"conv_clamp": 1}]}):
        found = made_with(weights, **arguments)
        assert found.config.conv_clamp == 1 and torch.equal(found.decode(z), clamped)


def test_the_clamp_is_the_one_that_each_release_takes_by_itself(weights):
    assert made_with(weights, synthesis_kwargs={"channel_base": 512}).config.conv_clamp is None
    assert made_with(weights, channel_base=512).config.conv_clamp == 256


@pytest.mark.parametrize("alone", [True, False])
def test_what_a_pickle_s_layers_say_of_themselves_counts(
    tmp_path, official_modules, weights, alone  # noqa: F811
):
    network = StyleGAN2.from_weights(weights, "official")
    generator = torch.nn.Module()
    generator.mapping, generator.synthesis = network.mapping, network.synthesis
    pickled = Persistent(generator, "")
    for layer in (pickled.state["_modules"]["synthesis"].state["_modules"]["b4"]
                  .state["_modules"]["conv1"], ):
        layer.state |= {"conv_clamp": 64, "activation": "lrelu"}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(pickled if alone else {"G_ema": pickled}))
    assert load_generator(tmp_path / "a.pkl", device="cpu").config.conv_clamp == 64
    layer.state["activation"] = "relu"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(pickled if alone else {"G_ema": pickled}))
    with pytest.raises(ValueError, match="activation='relu', but only 'lrelu' is known"):
        load_generator(tmp_path / "a.pkl", device="cpu")


def test_a_generator_loads_without_a_discriminator_of_another_kind(weights):
    spoilt = {key: value for key, value in weights.tensors.items() if key != "D.b4.out.bias"}
    with pytest.warns(UserWarning, match="without its discriminator .*lacks 1 weights"):
        found = StyleGAN2.from_weights(StoredWeights(spoilt, {}), "mine")
    assert not found.has_discriminator
    with pytest.warns(UserWarning, match="without its discriminator .*architecture='orig'"):
        assert not made_with(weights, "D", architecture="orig").has_discriminator
    with pytest.warns(UserWarning, match="mbstd_num_channels='?2"):
        found = made_with(weights, "D", epilogue_kwargs={"mbstd_num_channels": 2})
    assert not found.has_discriminator


def test_a_discriminator_s_own_settings_are_honoured(weights, rng):
    found = made_with(weights, "D", conv_clamp=64, epilogue_kwargs={"mbstd_group_size": 8})
    judge = found.discriminator
    assert judge.config.conv_clamp == 64 and judge.b4.group_size == 8
    images = torch.rand(8, 3, 32, 32, generator=rng)
    small_groups = made_with(weights, "D", conv_clamp=64)
    assert not torch.allclose(found.discriminator_score(images),
                              small_groups.discriminator_score(images))


def test_the_discriminator_of_a_conditional_generator_scores_pictures_of_its_class(rng):
    config = StyleGAN2Config((16, 16, 16), 8, 8, 3, 2)
    generator = StyleGAN2.from_weights(random_weights(config, rng), "classes")
    images = torch.rand(2, 3, 16, 16, generator=rng)
    scores = [generator.with_label(label).discriminator_score(images) for label in (0, 1)]
    assert scores[0].shape == (2,) and not torch.allclose(*scores)
    with pytest.raises(ValueError, match=r"choose one with with_label\(0\)"):
        generator.discriminator_score(images)


# Errors


@pytest.mark.parametrize("arguments, sentence", [
    ({"synthesis_kwargs": {"activation": "relu"}}, "activation='relu', but only 'lrelu'"),
    ({"mapping_kwargs": {"activation": "swish"}}, "activation='swish'"),
    ({"synthesis_kwargs": {"architecture": "resnet"}}, "architecture='resnet'"),
    ({"architecture": "orig"}, "architecture='orig'"),
    ({"synthesis_kwargs": {"resample_filter": [1, 2, 1]}}, "resample_filter="),
    ({"synthesis_kwargs": {"use_noise": False}}, "use_noise="),
    ({"img_channels": 1}, "img_channels="),
    ({"attention": True}, "attention=.*not known here"),
    ({"conv_clamp": "yes"}, "conv_clamp='yes', which is no number"),
])
def test_a_setting_that_is_not_known_here_is_refused_by_its_name(arguments, sentence, weights):
    with pytest.raises(ValueError, match=rf"^mine was made with {sentence}"):
        made_with(weights, **arguments)


@pytest.mark.parametrize("layout", ["official", "alternative"])
def test_another_filter_is_refused_by_its_name(layout, weights):
    tensors = dict(weights.tensors)
    if layout == "alternative":
        tensors = dict(alternative_layout(weights, SMALL).tensors)
    name = next(name for name in tensors if name.endswith(("resample_filter", "blur.kernel")))
    tensors[name] = torch.ones(4, 4) / 16
    with pytest.raises(ValueError, match=rf"another filter than \[1, 3, 3, 1\] \({name[6:]}\)"):
        StyleGAN2.from_weights(StoredWeights(tensors, {}), "mine")


def in_grey(key: str, value: torch.Tensor) -> torch.Tensor:
    colors = "rgb" in key and "affine" not in key and "modulation" not in key
    return value.narrow(value.shape.index(3), 0, 1) if colors and 3 in value.shape else value


@pytest.mark.parametrize("layout", ["official", "alternative"])
@pytest.mark.parametrize("change, setting", [
    (in_grey, "img_channels=1, other than 3"),
    (lambda key, value: None if "noise" in key else value, "use_noise=False"),
    (lambda key, value: None if "rgb" in key and not re.search(r"b32|to_rgbs\.2", key) else value,
     "an architecture whose last block alone draws colours"),
], ids=["grey", "noiseless", "resnet"])
def test_layers_that_tell_of_a_setting_are_refused_by_its_name(change, setting, layout, weights):
    tensors = weights.tensors
    if layout == "alternative":
        tensors = alternative_layout(weights, SMALL).tensors
    changed = {key: change(key, value) for key, value in tensors.items() if key[0] != "D"}
    left = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(ValueError, match=f"^mine was made with {setting}"):
        StyleGAN2.from_weights(StoredWeights(left, {}), "mine")


@pytest.mark.parametrize("name, kind", [
    ("G_ema.synthesis.input.freqs", "StyleGAN3"), ("init.init.1.weight_orig", "a FastGAN"),
    ("unet.time_embedding.linear_1.weight", "a diffusion model"),
])
def test_other_families_are_called_by_their_name(tmp_path, name, kind):
    save_weights(tmp_path / "a.safetensors", {name: torch.ones(2)}, settings={})
    with pytest.raises(ValueError, match=rf"no generator known here \(they look like {kind}\)"):
        load_generator(tmp_path / "a.safetensors")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device is 'cuda:99', on which torch can't compute"):
        load_generator("cats", device="cuda:99")
