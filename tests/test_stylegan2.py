"""StyleGAN2: the official release's numerics, its file layouts, and the course's protocol.

The reference below is written from the definitions, in float64 and the plain way: a weight per
sample, zeros inserted, one picture at a time.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import (
    Discriminator,
    StyleGAN2Config,
    official_channels,
)
from course_lib.weights import StoredWeights
from tests.toys import FIR, SMALL, alternative_layout, random_weights

CONFIGS = {
    "32": SMALL,
    "256 with classes": StyleGAN2Config(official_channels(256, 4096, 48), 64, 64, 10, 8, 256),
    "1024": StyleGAN2Config(official_channels(1024, 8192, 32), 512, 512, 0, 8),
}


def lrelu(x):
    return torch.where(x < 0, 0.2 * x, x) * math.sqrt(2)


def filtered(x, gain):
    """Correlation of every channel with the FIR; the caller pads."""
    return F.conv2d(x.transpose(0, 1), (FIR * gain)[None, None]).transpose(0, 1)


def zeros_inserted(x):
    batch, channels, height, width = x.shape
    wide = x.new_zeros(batch, channels, height, 2, width, 2)
    wide[:, :, :, 0, :, 0] = x
    return wide.reshape(batch, channels, 2 * height, 2 * width)


class Reference:
    """The official numerics, for one code at a time."""

    def __init__(self, weights: StoredWeights, config: StyleGAN2Config):
        self.t = {k.removeprefix("G_ema."): v.double() for k, v in weights.tensors.items()}
        self.config = config

    def normalized(self, x):
        return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()

    def linear(self, x, name, lr_mul=1.0):
        weight = self.t[f"{name}.weight"]
        gain = lr_mul / math.sqrt(weight.shape[1])
        return x @ (weight * gain).T + self.t[f"{name}.bias"] * lr_mul

    def mapping(self, z, c=None):
        x = self.normalized(z.double())
        if c is not None:
            x = torch.cat([x, self.normalized(self.linear(c.double(), "mapping.embed"))], dim=1)
        for index in range(self.config.mapping_layers):
            x = lrelu(self.linear(x, f"mapping.fc{index}", 0.01))
        return x

    def clamped(self, x):
        limit = self.config.conv_clamp
        return x if limit is None else x.clamp(-limit, limit)

    def layer(self, x, w, name, noise, *, up):
        style = self.linear(w, f"{name}.affine")
        weight = self.t[f"{name}.weight"] * style[0][None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:  # transposed convolution: correlate the spread input with the flipped weight
            x = F.conv2d(zeros_inserted(x)[..., :-1, :-1], weight.flip(2, 3), padding=2)
            x = filtered(F.pad(x, (1, 1, 1, 1)), 4)
        else:
            x = F.conv2d(x, weight, padding=1)
        x = x + self.t[f"{name}.noise_strength"] * noise.double()
        return self.clamped(lrelu(x + self.t[f"{name}.bias"][:, None, None]))

    def synthesis(self, w_plus, maps):
        x, image, row = self.t["synthesis.b4.const"][None], None, 0
        maps = iter(maps)
        for resolution in self.config.resolutions:
            block = f"synthesis.b{resolution}"
            for name in ["conv0", "conv1"] if resolution > 4 else ["conv1"]:
                up = name == "conv0"
                x = self.layer(x, w_plus[:, row], f"{block}.{name}", next(maps), up=up)
                row += 1
            weight = self.t[f"{block}.torgb.weight"]
            style = self.linear(w_plus[:, row], f"{block}.torgb.affine") / math.sqrt(len(weight[0]))
            color = F.conv2d(x, weight * style[0][None, :, None, None])
            color = self.clamped(color + self.t[f"{block}.torgb.bias"][:, None, None])
            if image is not None:
                image = filtered(F.pad(zeros_inserted(image), (2, 1, 2, 1)), 4)
            image = color if image is None else image + color
        return image


@pytest.mark.parametrize("name", CONFIGS)
def test_official_weights_give_the_official_picture(name, rng):
    config = CONFIGS[name]
    weights = random_weights(config, rng)
    generator = StyleGAN2.from_weights(weights, name)
    z = torch.randn(1, config.z_dim, generator=rng)
    c, chosen = None, generator
    if config.c_dim:
        c, chosen = F.one_hot(torch.tensor([3]), config.c_dim), generator.with_label(3)
    reference = Reference(weights, config)
    w = reference.mapping(z, c)
    maps = [layer.noise_const for layer in generator.synthesis.layers.values()]
    expected = reference.synthesis(w[:, None].expand(-1, config.num_ws, -1), maps)
    torch.testing.assert_close(chosen.convert(z, "z", "w").double(), w, atol=1e-5, rtol=1e-5)
    found = chosen.decode(z).double() * 2 - 1
    assert found.shape == (1, 3, config.resolution, config.resolution)
    # Random weights give pictures of any range; 1e-4 of it is what 1e-4 is to a picture.
    assert (found - expected).abs().max() < 1e-4 * max(1, float(expected.abs().max()))


def test_the_alternative_layout_is_the_same_generator(rng):
    weights = random_weights(SMALL, rng)
    official = StyleGAN2.from_weights(weights, "official")
    other = StyleGAN2.from_weights(alternative_layout(weights, SMALL), "other")
    assert official.config == other.config
    assert official.state_dict().keys() == other.state_dict().keys()
    for name, value in official.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.fixture
def generator(rng) -> StyleGAN2:
    return StyleGAN2.from_weights(random_weights(SMALL, rng), "small")


def test_official_channel_rule():
    assert official_channels(1024) == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert StyleGAN2Config(official_channels(1024)).num_ws == 18


def test_w_plus_of_equal_rows_is_w(generator, rng):
    w = generator.sample_latent(3, space="w", rng=rng)
    w_plus = generator.convert(w, "w", "w_plus")
    assert w_plus.shape == (3, generator.num_ws, 20)
    assert torch.equal(generator.decode(w, space="w"), generator.decode(w_plus, space="w_plus"))


def test_the_batch_is_decoded_as_one_by_one(generator, rng):
    z = generator.sample_latent(3, rng=rng)
    together = generator.decode(z)
    apart = torch.cat([generator.decode(one[None]) for one in z])
    torch.testing.assert_close(together, apart, atol=1e-3, rtol=1e-4)


def test_truncation_pulls_towards_the_mean(generator, rng):
    w = generator.sample_latent(50, space="w", rng=rng)
    torch.testing.assert_close(generator.truncate(w, 1), w)
    torch.testing.assert_close(generator.truncate(w, 0), generator.w_avg.expand(50, -1))
    again = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    full = generator.sample_latent(4, space="w", rng=again[0])
    half = generator.sample_latent(4, space="w", rng=again[1], truncation_psi=0.5)
    torch.testing.assert_close(half, (full + generator.w_avg) / 2)
    w_plus = generator.convert(w, "w", "w_plus")
    coarse = generator.truncate(w_plus, 0.5, rows=2)
    assert torch.equal(coarse[:, 2:], w_plus[:, 2:])
    assert torch.equal(coarse[:, :2], generator.truncate(w_plus, 0.5)[:, :2])


def test_noise_maps_are_constant_unless_asked_otherwise(generator, rng):
    z = generator.sample_latent(2, rng=rng)
    assert torch.equal(generator.decode(z), generator.decode(z))
    stored = [layer.noise_const[None] for layer in generator.synthesis.layers.values()]
    torch.testing.assert_close(generator.decode(z, noise=stored), generator.decode(z))
    silent = [torch.zeros_like(one) for one in stored]
    torch.testing.assert_close(generator.decode(z, noise=silent), generator.decode(z, noise="none"))
    assert not torch.equal(generator.decode(z, noise="random"), generator.decode(z, noise="random"))


def test_styles_are_one_more_code_of_the_same_picture(generator, rng):
    w_plus = generator.sample_latent(2, space="w_plus", rng=rng)
    w_plus = w_plus + 0.1 * torch.randn(w_plus.shape, generator=rng)
    s = generator.convert(w_plus, "w_plus", "s")
    picture = generator.decode(w_plus, space="w_plus")
    torch.testing.assert_close(generator.decode(s, space="s"), picture)
    layer = generator.layers[3]
    torch.testing.assert_close(generator.features(s, layer, space="s"),
                               generator.features(w_plus, layer, space="w_plus"))
    assert tuple(s.shape[1:]) == generator.latent_shape("s")
    w = w_plus[:, 0]
    torch.testing.assert_close(generator.convert(w, "w", "s"), generator.convert(
        generator.convert(w, "w", "w_plus"), "w_plus", "s"))


def test_each_style_scales_what_comes_into_its_layer(generator, rng):
    z = generator.sample_latent(2, rng=rng)
    inputs, slices = generator.style_inputs(z), generator.style_slices()
    assert list(inputs) == list(slices) and list(slices)[:3] == [
        "b4.conv1", "b4.torgb", "b8.conv0"]
    for layer, where in slices.items():
        assert where.stop - where.start == inputs[layer].shape[1], layer
    assert list(slices.values())[-1].stop == generator.latent_shape("s")[0]
    features = generator.features(z, "b8.conv0")
    torch.testing.assert_close(inputs["b8.conv1"], features)
    s = generator.convert(z, "z", "s")
    s[:, slices["b8.conv1"]] = 0  # then nothing comes in, whatever the features were
    first, second = generator.features(s, "b8.conv1", space="s")
    torch.testing.assert_close(first, second)


@pytest.mark.usefixtures("as_users_run_it")
def test_from_styles_no_way_leads_back(generator):
    with pytest.raises(ValueError, match=r"s is asked to become w_plus.*z -> w -> w_plus -> s"):
        generator.convert(torch.zeros(1, *generator.latent_shape("s")), "s", "w_plus")


def test_mixing_takes_coarse_rows_from_one_and_fine_from_the_other(generator, rng):
    a, b = generator.sample_latent(2, space="w_plus", rng=rng).split(1)
    mixed = generator.mix_styles(a, b, 4)
    assert torch.equal(mixed[:, :4], a[:, :4]) and torch.equal(mixed[:, 4:], b[:, 4:])
    # The features up to the crossover are those of the coarse code.
    torch.testing.assert_close(
        generator.features(mixed, "b8.conv1", space="w_plus"),
        generator.features(a, "b8.conv1", space="w_plus"),
    )


def test_every_layer_shows_its_features(generator, rng):
    z = generator.sample_latent(2, rng=rng)
    shapes = [tuple(generator.features(z, layer).shape) for layer in generator.layers]
    c = SMALL.channels
    assert shapes == [
        (2, c[0], 4, 4), (2, c[1], 8, 8), (2, c[1], 8, 8), (2, c[2], 16, 16), (2, c[2], 16, 16),
        (2, c[3], 32, 32), (2, c[3], 32, 32),
    ]


def test_pictures_and_features_come_in_one_pass(generator, rng):
    w = generator.sample_latent(2, space="w", rng=rng)
    image, features = generator.decode_with_features(w, ["b8.conv1", "b4.conv1"], space="w")
    assert torch.equal(image, generator.decode(w, space="w"))
    assert list(features) == ["b8.conv1", "b4.conv1"]
    for layer, found in features.items():
        assert torch.equal(found, generator.features(w, layer, space="w"))
    with pytest.raises(ValueError, match="layer is 'b64'"):
        generator.decode_with_features(w, ["b64"], space="w")


def test_mean_and_deviation_are_those_of_many_codes(generator, rng):
    codes = generator.sample_latent(20_000, space="w", rng=rng)
    torch.testing.assert_close(generator.latent_std("w"), codes.std(dim=0), rtol=0.05, atol=1e-3)
    assert torch.equal(generator.latent_mean("w_plus"), generator.w_avg.expand(8, -1))
    assert torch.equal(generator.latent_std("z"), torch.ones(24))


def test_mean_and_deviation_are_kept_until_the_weights_change(generator, monkeypatch):
    calls, sample = [], type(generator).sample_latent
    monkeypatch.setattr(type(generator), "sample_latent",
                        lambda self, *a, **k: calls.append(1) or sample(self, *a, **k))
    before = generator.latent_std("w")
    assert torch.equal(generator.latent_std("w_plus")[0], before) and len(calls) == 1
    tuned = copy.deepcopy(generator)
    for other in (generator, tuned):
        with torch.no_grad():
            other.mapping.fc0.bias += 100
        assert not torch.allclose(other.latent_std("w"), before)


def test_gradients_reach_every_space(generator, rng):
    for space in generator.spaces:
        latent = generator.sample_latent(1, space=space, rng=rng).clone().requires_grad_()
        generator.decode(latent, space=space).square().mean().backward()
        assert latent.grad.abs().sum() > 0


def test_the_discriminator_shows_features_from_fine_to_coarse(generator, rng):
    features = generator.discriminator_features(torch.rand(4, 3, 32, 32, generator=rng))
    assert [tuple(f.shape[1:]) for f in features] == [
        (SMALL.channels[2], 16, 16), (SMALL.channels[1], 8, 8), (SMALL.channels[0], 4, 4),
    ]
    assert not any("discriminator" in name for name in generator.state_dict())


def test_without_a_discriminator_there_are_no_features(rng):
    weights = random_weights(SMALL, rng)
    own = {k: v for k, v in weights.tensors.items() if k.startswith("G_ema")}
    alone = StyleGAN2.from_weights(StoredWeights(own, {}), "alone")
    assert alone.discriminator_features(torch.rand(1, 3, 32, 32, generator=rng)) is None


def test_the_discriminator_sees_how_much_a_group_differs(rng):
    judge = Discriminator(SMALL)
    x = torch.randn(4, 3, 32, 32, generator=rng)
    same = x[:1].expand(4, -1, -1, -1)
    assert not torch.allclose(judge(x)[0], judge(same)[0])
    assert judge(x).shape == (4, 1)


def test_classes_give_different_pictures(rng):
    config = StyleGAN2Config((16, 16, 16, 16), 8, 8, 3, 2)
    generator = StyleGAN2.from_weights(random_weights(config, rng), "classes")
    z = generator.sample_latent(2, rng=rng)
    assert not torch.allclose(generator.with_label(0).decode(z), generator.with_label(2).decode(z))
    assert generator.label is None
    judge = generator.discriminator
    images = torch.rand(2, 3, 32, 32, generator=rng)
    scores = [judge(images, F.one_hot(torch.tensor([i, i]), 3).float()) for i in (0, 1)]
    assert scores[0].shape == (2, 1) and not torch.equal(*scores)


@pytest.mark.parametrize("call, sentence", [
    (lambda g, z: g.decode(z, space="v"), "take one of"),
    (lambda g, z: g.decode(z[0]), "codes of small in z are"),
    (lambda g, z: g.decode(z.double()), r"convert with \.to\(torch\.float32\)"),
    (lambda g, z: g.sample_latent(1, rng=0), r"rng is 0, .*torch\.Generator\(\)\.manual_seed"),
    (lambda g, z: g.decode(z[:, :5]), "codes of small in z are"),
    (lambda g, z: g.decode(z, space="w_plus"), "codes of small in w_plus are"),
    (lambda g, z: g.convert(z[:, :20], "w", "z"), "codes only go z -> w -> w_plus"),
    (lambda g, z: g.decode(z, noise="loud"), "noise is 'loud'"),
    (lambda g, z: g.decode(z, noise=[torch.zeros(1, 4, 4)]), "one map a layer"),
    (lambda g, z: g.features(z, "b64.conv1"), "layer is 'b64.conv1'"),
    (lambda g, z: g.with_label(1), "without classes"),
    (lambda g, z: g.sample_latent(0, rng=torch.Generator()), "counts something"),
    (lambda g, z: g.sample_latent(1, rng=torch.Generator(), truncation_psi=0.7), 'space="w"'),
    (lambda g, z: g.discriminator_features(torch.rand(1, 3, 64, 64)), "learnt from"),
    (lambda g, z: g.truncate(g.convert(z, "z", "w_plus"), 0.5, rows=99), "at most 8"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(call, sentence, generator, rng):
    with pytest.raises(ValueError, match=sentence):
        call(generator, generator.sample_latent(2, rng=rng))


def test_each_class_may_have_a_mean_of_its_own(rng):
    config = StyleGAN2Config((16, 16), 8, 8, 3, 2, class_means=True)
    weights = random_weights(config, rng)
    means = torch.randn(3, 8, generator=rng)
    weights.tensors["G_ema.mapping.class_means"] = means
    generator = StyleGAN2.from_weights(weights, "classes")
    for label in range(3):
        w = generator.with_label(label).sample_latent(2, space="w", rng=rng, truncation_psi=0)
        torch.testing.assert_close(w, means[[label, label]])
    assert torch.equal(generator.w_avg, weights.tensors["G_ema.mapping.w_avg"])


def test_without_a_class_codes_are_of_all_of_them(rng):
    config = StyleGAN2Config((16, 16), 8, 8, 3, 2, class_means=True)
    weights = random_weights(config, rng)
    means = torch.randn(3, 8, generator=rng)
    weights.tensors["G_ema.mapping.class_means"] = means
    generator = StyleGAN2.from_weights(weights, "classes")
    drawn = generator.sample_latent(30, space="w_plus", rng=rng, truncation_psi=0)
    nearest = torch.cdist(drawn[:, 0], means)
    assert nearest.min(dim=1).values.max() < 1e-5
    assert set(nearest.argmin(dim=1).tolist()) == {0, 1, 2}


def test_a_class_must_be_chosen(rng):
    config = StyleGAN2Config((16, 16), 8, 8, 3, 2)
    generator = StyleGAN2.from_weights(random_weights(config, rng), "classes")
    with pytest.raises(ValueError, match="knows 3 classes"):
        generator.decode(generator.sample_latent(1, rng=rng))
    with pytest.raises(ValueError, match="at most 2"):
        generator.with_label(3)


@pytest.mark.parametrize("spoil, sentence", [
    (lambda t: t.pop("G_ema.synthesis.b8.conv0.weight"), "lacks 1 weights"),
    (lambda t: t.pop("G_ema.mapping.fc0.weight"), "no whole StyleGAN2"),
    (lambda t: t.update({"G_ema.synthesis.b8.extra": torch.zeros(1)}), "beyond its layers"),
    (lambda t: t.update({"G_ema.synthesis.b8.conv0.weight": torch.zeros(1)}), "wrong shape"),
])
def test_weights_of_another_architecture_are_refused(spoil, sentence, rng):
    weights = random_weights(SMALL, rng)
    tensors = dict(weights.tensors)
    spoil(tensors)
    with pytest.raises(ValueError, match=sentence):
        StyleGAN2.from_weights(StoredWeights(tensors, {}), "small")
