"""DCGAN: the architecture, the course's protocol, and that its training resumes and learns."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.generators.dcgan import DCGAN, DCGANConfig, Discriminator
from course_lib.training.base import Training
from course_lib.training.dcgan import RECIPES, DCGANTraining, Recipe, settle_statistics
from course_lib.training.loop import train
from course_lib.weights import StoredWeights, save_weights

CPU = torch.device("cpu")
SMALL = DCGANConfig(32, 8, 12)
TINY = Recipe(thousands=0.064, batch=8, resolution=16, width=8, z_dim=6, r1_every=2, flip=True)


def random_weights(config: DCGANConfig, rng: torch.Generator) -> StoredWeights:
    """Weights as they are stored, every one of them random, G_ema and D."""
    with torch.device("meta"):
        networks = {"G_ema": DCGAN(config), "D": Discriminator(config)}
    tensors = {}
    for prefix, network in networks.items():
        for name, value in network.state_dict().items():
            fan = max(1, value[0].numel()) if value.ndim else 1
            tensor = torch.randn(value.shape, generator=rng) / fan**0.5
            positive = name.endswith(("running_var", "norm.weight", "num_batches_tracked"))
            tensors[f"{prefix}.{name}"] = tensor.abs() + 0.5 if positive else tensor
    return StoredWeights(tensors, {})


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for further threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def generator(rng) -> DCGAN:
    return DCGAN.from_weights(random_weights(SMALL, rng), "small")


@pytest.fixture
def data(rng) -> torch.Tensor:
    return torch.randint(256, (20, 3, 16, 16), generator=rng, dtype=torch.uint8)


def spread(x, weight):
    """A transposed convolution in the plain way: each input pixel stamps its 4x4 kernel."""
    _, height, width = x.shape
    canvas = x.new_zeros(weight.shape[1], 2 * height + 2, 2 * width + 2)
    for row in range(height):
        for column in range(width):
            stamp = (x[:, row, column] @ weight.flatten(1)).unflatten(0, weight.shape[1:])
            canvas[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += stamp
    return canvas[:, 1:-1, 1:-1]


def test_pictures_are_those_of_the_definition(rng):
    config = DCGANConfig(16, 4, 5)
    weights = random_weights(config, rng)
    t = {k.removeprefix("G_ema."): v.double() for k, v in weights.tensors.items()}
    z = torch.randn(1, 5, generator=rng)
    first = t["blocks.b4.conv.weight"]
    x = (z[0].double() @ first.flatten(1)).unflatten(0, first.shape[1:])
    for block in ("b4", "b8"):
        if block != "b4":
            x = spread(x, t[f"blocks.{block}.conv.weight"])
        mean, var, scale, shift = (
            t[f"blocks.{block}.norm.{key}"][:, None, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)
    expected = (torch.tanh(spread(x, t["rgb.weight"]) + t["rgb.bias"][:, None, None]) + 1) / 2
    found = DCGAN.from_weights(weights, "tiny").decode(z)
    torch.testing.assert_close(found[0].double(), expected, atol=1e-5, rtol=0)


def test_sizes_of_the_shipped_networks():
    config = DCGANConfig()
    assert (config.resolution, config.z_dim) == (64, 100)
    assert config.channels == {4: 256, 8: 128, 16: 64, 32: 32}
    count = [sum(p.numel() for p in cls(config).parameters()) for cls in (DCGAN, Discriminator)]
    assert count == [1_100_227, 694_241]


def test_the_batch_is_decoded_as_one_by_one(generator, rng):
    z = generator.sample_latent(4, rng=rng)
    together = generator.decode(z)
    assert together.shape == (4, 3, 32, 32)
    assert torch.equal(generator.decode(z), together)
    apart = torch.cat([generator.decode(one[None]) for one in z])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_gradients_reach_z(generator, rng):
    z = generator.sample_latent(2, rng=rng).requires_grad_()
    generator.decode(z).square().mean().backward()
    assert (z.grad.abs().sum(dim=1) > 0).all()
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_every_layer_shows_its_features(generator, rng):
    z = generator.sample_latent(2, rng=rng)
    features = [generator.features(z, layer) for layer in generator.layers]
    assert [tuple(f.shape) for f in features] == [(2, 32, 4, 4), (2, 16, 8, 8), (2, 8, 16, 16)]
    colors = torch.tanh(generator.rgb(features[-1]))
    torch.testing.assert_close((colors + 1) / 2, generator.decode(z))


def test_the_prior_is_standard_normal(generator, rng):
    z = generator.sample_latent(5000, rng=rng)
    torch.testing.assert_close(z.std(dim=0), generator.latent_std("z"), rtol=0, atol=0.05)
    torch.testing.assert_close(z.mean(dim=0), generator.latent_mean("z"), rtol=0, atol=0.08)
    half = generator.sample_latent(5, rng=torch.Generator().manual_seed(3), truncation_psi=0.5)
    full = generator.sample_latent(5, rng=torch.Generator().manual_seed(3))
    torch.testing.assert_close(half, full / 2)


def test_scores_are_the_discriminators_logits(generator, rng):
    images = torch.rand(5, 3, 32, 32, generator=rng)
    score = generator.discriminator_score(images)
    torch.testing.assert_close(score, generator.discriminator(images * 2 - 1)[:, 0])
    assert score.shape == (5,) and score.std() > 0


def test_the_discriminator_shows_features_of_each_picture_alone(generator, rng):
    images = torch.rand(4, 3, 32, 32, generator=rng)
    features = generator.discriminator_features(images)
    assert [tuple(f.shape[1:]) for f in features] == [(8, 16, 16), (16, 8, 8), (32, 4, 4)]
    alone = generator.discriminator_features(images[:1])
    torch.testing.assert_close(alone[-1], features[-1][:1], atol=1e-4, rtol=1e-4)
    assert not any("discriminator" in name for name in generator.state_dict())


def test_a_saved_generator_is_loaded_by_its_file(tmp_path, rng):
    weights = random_weights(SMALL, rng)
    save_weights(tmp_path / "mine.safetensors", weights.tensors, settings={}, half=False)
    loaded = load_generator(tmp_path / "mine.safetensors", device="cpu")
    assert isinstance(loaded, DCGAN) and loaded.config == SMALL and loaded.name == "mine"
    z = loaded.sample_latent(2, rng=rng)
    assert torch.equal(loaded.decode(z), DCGAN.from_weights(weights, "same").decode(z))
    own = {k: v for k, v in weights.tensors.items() if k.startswith("G_ema")}
    alone = DCGAN.from_weights(StoredWeights(own, {}), "alone")
    assert alone.discriminator_features(torch.rand(1, 3, 32, 32, generator=rng)) is None
    assert alone.discriminator_score(torch.rand(1, 3, 32, 32, generator=rng)) is None


@pytest.mark.parametrize("call, sentence", [
    (lambda g, z: g.decode(z, space="w"), "take one of 'z'"),
    (lambda g, z: g.decode(z[0]), "codes of small in z are"),
    (lambda g, z: g.decode(z[:, :5]), "codes of small in z are"),
    (lambda g, z: g.decode(z, noise="const"), "no noise maps"),
    (lambda g, z: g.features(z, "b32"), "layer is 'b32'"),
    (lambda g, z: g.with_label(1), "without classes"),
    (lambda g, z: g.sample_latent(0, rng=torch.Generator()), "counts something"),
    (lambda g, z: g.discriminator_features(torch.rand(1, 3, 64, 64)), "learnt from"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(call, sentence, generator, rng):
    with pytest.raises(ValueError, match=sentence):
        call(generator, generator.sample_latent(2, rng=rng))


@pytest.mark.parametrize("spoil, sentence", [
    (lambda t: t.pop("G_ema.rgb.bias"), "small lacks 1 weights"),
    (lambda t: t.pop("G_ema.blocks.b4.conv.weight"), "no whole DCGAN"),
    (lambda t: t.pop("G_ema.blocks.b8.norm.running_mean"), "beyond its layers|lacks|wrong shape"),
    (lambda t: t.update({"G_ema.blocks.b8.extra": torch.zeros(1)}), "beyond its layers"),
    (lambda t: t.update({"G_ema.blocks.b8.conv.weight": torch.zeros(1)}), "wrong shape"),
    (lambda t: t.update({"G_ema.blocks.b4.conv.weight": torch.zeros([])}), "no whole DCGAN"),
    (lambda t: t.pop("D.out.bias"), "small's discriminator lacks"),
])
def test_weights_of_another_architecture_are_refused(spoil, sentence, rng):
    tensors = dict(random_weights(SMALL, rng).tensors)
    spoil(tensors)
    with pytest.raises(ValueError, match=sentence):
        DCGAN.from_weights(StoredWeights(tensors, {}), "small")


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path, data):
    whole = DCGANTraining(TINY, data, device=CPU)
    assert isinstance(whole, Training)
    losses = [whole.step() for _ in range(7)]
    first = DCGANTraining(TINY, data, device=CPU)
    for _ in range(3):
        first.step()
    first.samples(2)  # looking on the way changes nothing
    torch.save(first.state(), tmp_path / "state.pt")
    second = DCGANTraining(replace(TINY, seed=7), data, device=CPU)
    second.load(torch.load(tmp_path / "state.pt", weights_only=True))
    for expected in losses[3:]:
        assert second.step() == expected
    assert second.seen == 56 and not second.done
    assert torch.equal(second.samples(4), whole.samples(4))
    second.step()
    assert second.done


def test_training_goes_on_from_shipped_weights(data):
    first = DCGANTraining(TINY, data, device=CPU)
    first.step()
    expected, state = first.samples(3), first.state()
    tensors = {f"G_ema.{key}": value for key, value in state["average"].items()}
    tensors |= {f"D.{key}": value for key, value in state["discriminator"].items()}
    weights = StoredWeights(tensors, {"pictures": 8})
    second = DCGANTraining(replace(TINY, seed=5), data, device=CPU)
    second.start_from(weights)
    assert torch.equal(second.samples(3), expected) and second.seen == 8
    for name, value in second.discriminator.state_dict().items():
        assert torch.equal(value, state["discriminator"][name])
    with pytest.raises(ValueError, match="take weights that this recipe made"):
        DCGANTraining(replace(TINY, width=4), data, device=CPU).start_from(weights)


def test_a_step_moves_both_players_and_the_average_follows(data):
    training = DCGANTraining(replace(TINY, ema_thousands=1), data, device=CPU)
    before = {name: [p.detach().clone() for p in getattr(training, name).parameters()]
              for name in ("generator", "average", "discriminator")}
    losses = training.step()
    assert set(losses) == {"discriminator", "real", "fake", "r1", "generator"}
    assert all(torch.isfinite(value) for value in losses.values())
    assert "r1" not in training.step()  # lazily, every other step

    def moved(name):
        pairs = zip(before[name], getattr(training, name).parameters(), strict=True)
        return sum(float((old - new.detach()).square().sum()) for old, new in pairs)

    assert moved("generator") > moved("average") > 0 and moved("discriminator") > 0


def test_settled_statistics_are_those_of_the_weights(rng):
    generator = DCGAN(SMALL)
    for block in generator.blocks.values():
        torch.nn.init.normal_(block.conv.weight, generator=rng)
    settle_statistics(generator, rng, batches=16)
    assert not generator.training
    x = generator.features(generator.sample_latent(2000, rng=rng), "b4")
    norm = generator.blocks["b4"].norm  # ReLU of N(0, 1) has the mean 1/sqrt(2π)
    torch.testing.assert_close(x.mean(), torch.tensor(0.3989), atol=0.03, rtol=0)
    once = norm.running_var.clone()
    settle_statistics(generator, rng, batches=16)
    torch.testing.assert_close(norm.running_var, once, rtol=0.3, atol=0)


def test_it_learns_a_set_of_plain_pictures_between_two_colors(rng):
    red, blue = torch.tensor([200.0, 40, 60]), torch.tensor([30.0, 90, 220])
    colors = red.lerp(blue, torch.rand(64, 1, generator=rng))
    data = colors.byte()[:, :, None, None].expand(-1, 3, 16, 16)
    recipe = replace(TINY, width=4, batch=16, learning_rate=0.002, discriminator_rate=0.002,
                     r1=0.1, r1_every=4, ema_thousands=0.5)
    training = DCGANTraining(recipe, data, device=CPU)
    for _ in range(300):
        training.step()
    samples = training.samples(200)
    found, real = samples.mean(dim=(2, 3)), data.float().mean(dim=(2, 3)) / 255
    torch.testing.assert_close(found.mean(dim=0), real.mean(dim=0), atol=0.08, rtol=0)
    torch.testing.assert_close(found.std(dim=0), real.std(dim=0), atol=0.08, rtol=0)
    assert samples.std(dim=(2, 3)).mean() < 0.08  # plain; 0.14 before
    assert torch.corrcoef(found.T)[0, 2] < -0.8  # the less red, the more blue


def test_pictures_and_features_come_in_one_pass(rng):
    generator = DCGAN.from_weights(random_weights(SMALL, rng), "small")
    z = generator.sample_latent(2, rng=rng)
    image, features = generator.decode_with_features(z, ["b8"])
    assert torch.equal(image, generator.decode(z))
    assert torch.equal(features["b8"], generator.features(z, "b8"))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_dict_of_one_s_own_loads_again(tmp_path, rng, prefix):
    own = DCGAN.from_weights(random_weights(SMALL, rng), "own")
    tensors = {f"{prefix}{name}": value for name, value in own.state_dict().items()}
    save_weights(tmp_path / "mine.safetensors", tensors, settings={}, half=False)
    z = own.sample_latent(2, rng=rng)
    found = load_generator(tmp_path / "mine.safetensors", device="cpu")
    assert torch.equal(found.decode(z), own.decode(z)) and not found.has_discriminator


def test_a_run_leaves_a_sheet_a_log_and_goes_on(tmp_path, data):
    train(DCGANTraining(TINY, data, device=CPU), tmp_path, save_every=1000)
    again = DCGANTraining(TINY, data, device=CPU)
    train(again, tmp_path)
    assert again.done and again.seen == 64
    assert {path.name for path in tmp_path.iterdir()} >= {"checkpoint.pt", "log.jsonl"}


def test_recipes_are_for_the_lectures_sets():
    assert {"cats"} == {name for name, recipe in RECIPES.items() if recipe.flip}
    assert all(recipe.z_dim == 100 for recipe in RECIPES.values())
    assert RECIPES["cats"].shortened(0.5).thousands == RECIPES["cats"].thousands / 2


def test_machines_that_only_train_need_neither_pooch_nor_beartype():
    code = ("import sys; sys.modules |= {'pooch': None, 'beartype': None}; "
            "import course_lib.training.dcgan")
    subprocess.run([sys.executable, "-c", code], check=True)
