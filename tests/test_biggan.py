"""BigGAN: published layouts against their own code's pictures, classes, statistics."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from course_lib.generators.biggan import BigGAN
from course_lib.generators.biggan_deep import BigGANDeepConfig, mix_statistics
from course_lib.generators.biggan_files import fold_power_step, fold_spectral_norm, name_classes
from course_lib.generators.biggan_networks import Attention, BigGANConfig, Block
from course_lib.weights import StoredWeights

SMALL = BigGANConfig(("hat", "sock", "coat"), (8, 8, 4), chunk=3, class_dim=5, attention=8)
PEER = Path(__file__).with_name("biggan_peer.json")


def published(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights by these names that are no draws, so that every machine has the same ones.

    The u and v of a spectral norm are nearly those of its weight's largest singular value.
    """
    found = {}
    for number, (name, shape) in enumerate(shapes.items()):
        wave = torch.sin(1.7 * torch.arange(math.prod(shape), dtype=torch.float64) + number)
        found[name] = (wave * 0.5).reshape(shape).float()
        if name.endswith("running_vars"):
            found[name] = found[name].abs() + 0.5
    for name in [name for name in found if name.endswith("weight_orig")]:
        rows = found[name].flatten(1)
        v = torch.ones(rows.shape[1])
        for _ in range(3):
            v = F.normalize(rows.T @ (rows @ v), dim=0)
        found[name.replace("_orig", "_v")] = v
        found[name.replace("_orig", "_u")] = F.normalize(rows @ v, dim=0)
    return found


def small(rng: torch.Generator, config: BigGANConfig = SMALL) -> BigGAN:
    """With weights of no training, attention included."""
    generator = BigGAN.new(config)
    for name, value in generator.state_dict().items():
        if name.endswith(("stored_mean", "gamma", "bias")):
            value.copy_(torch.randn(value.shape, generator=rng) * 0.3)
    return generator.eval().requires_grad_(False)


def stored(generator: BigGAN, prefix: str = "G_ema.") -> StoredWeights:
    """As our files hold it."""
    config = {"classes": list(generator.classes), "channels": list(generator.config.channels),
              "chunk": generator.config.chunk, "class_dim": generator.config.class_dim,
              "attention": generator.config.attention}
    tensors = {f"{prefix}{name}": value for name, value in generator.state_dict().items()}
    return StoredWeights(tensors, {"config": config})


# ---- the published layouts

@pytest.mark.parametrize("truncation", ["0.14", "0.31", "1.0"])
def test_a_deep_biggan_draws_what_its_publishers_code_draws(truncation):
    peer = json.loads(PEER.read_text(encoding="utf-8"))
    generator = BigGAN.from_weights(StoredWeights(published(peer["shapes"]), {}), "deep")
    assert (generator.resolution, generator.classes) == (32, ("0", "1", "2"))
    z = torch.sin(torch.arange(8.0)).reshape(2, 4)
    chosen = generator.with_label(1).with_truncation(float(truncation), as_published=True)
    found = chosen.decode(z)[:, :, 3::8, 5::8].flatten()
    torch.testing.assert_close(found, torch.tensor(peer["pictures"][truncation]), atol=1e-5, rtol=0)


def test_statistics_lie_between_their_neighbours_the_nearer_counting_more():
    table = torch.arange(51.0)[:, None].expand(-1, 2)
    for truncation, row in ((0.14, 7), (0.5, 25), (1.0, 50), (0.145, 7.25), (0.999, 49.95)):
        found = mix_statistics(table, truncation, as_published=False)
        torch.testing.assert_close(found, torch.full((2,), float(row)), atol=1e-4, rtol=0)
    assert mix_statistics(table, 0.145, as_published=True)[0] == pytest.approx(7.75)


def test_the_plain_layout_is_read_with_its_spectral_norms_folded(rng):
    generator = small(rng)
    plain = {name.removeprefix("synthesis."): value.clone()
             for name, value in generator.state_dict().items()}
    for name in [name for name in plain if name.endswith(".weight") and "shared" not in name]:
        plain[name.replace("weight", "u0")] = torch.randn(1, len(plain[name]), generator=rng)
        plain[name.replace("weight", "sv0")] = torch.ones(1)
    found = BigGAN.from_weights(StoredWeights(plain, {}), "plain")
    assert found.config.channels == SMALL.channels and found.config.attention == SMALL.attention
    for name, value in fold_power_step(plain).items():
        ours = name if name.startswith("shared") else f"synthesis.{name}"
        torch.testing.assert_close(found.state_dict()[ours], value)
    z = found.sample_latent(2, rng=rng)
    assert found.with_label(0).decode(z).isfinite().all()


def test_folding_divides_by_the_largest_singular_value(rng):
    weight = torch.randn(6, 4, 3, 3, generator=rng)
    u, s, v = torch.linalg.svd(weight.flatten(1), full_matrices=False)
    theirs = fold_power_step({"a.weight": weight, "a.u0": u[:, :1].T, "a.sv0": s[:1], "b.bias": s})
    torch.testing.assert_close(theirs, {"a.weight": weight / s[0], "b.bias": s})
    torchs = fold_spectral_norm({"a.weight_orig": weight, "a.weight_u": u[:, 0],
                                 "a.weight_v": v[0]})
    torch.testing.assert_close(torchs, {"a.weight": weight / s[0]})


def test_a_thousand_classes_are_imagenets():
    assert name_classes(1000)[207] == "golden retriever"
    assert name_classes(3) == ("0", "1", "2")


# ---- the networks

def test_a_block_is_figure_15(rng):
    block = Block(6, 4, 5).eval()
    x, c = torch.randn(2, 6, 4, 4, generator=rng), torch.randn(2, 5, generator=rng)

    def told(norm, x):
        gain, bias = 1 + c @ norm.gain.weight.T, c @ norm.bias.weight.T
        return F.relu(x / math.sqrt(1 + 1e-5) * gain[..., None, None] + bias[..., None, None])

    def doubled(x):
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    h = F.conv2d(doubled(told(block.bn1, x)), block.conv1.weight, block.conv1.bias, padding=1)
    h = F.conv2d(told(block.bn2, h), block.conv2.weight, block.conv2.bias, padding=1)
    expected = h + F.conv2d(doubled(x), block.conv_sc.weight, block.conv_sc.bias)
    torch.testing.assert_close(block(x, c), expected)


def test_attention_weighs_places_by_their_likeness(rng):
    layer, x = Attention(16), torch.randn(1, 16, 4, 4, generator=rng)
    torch.testing.assert_close(layer(x), x)  # γ is 0 at first
    layer.gamma.data.fill_(1.0)
    keys, values = (F.max_pool2d(conv(x), 2).flatten(2)[0] for conv in (layer.phi, layer.g))
    query = layer.theta(x)[0, :, 1, 2]
    taken = values @ (query @ keys).softmax(dim=0)
    expected = x[0, :, 1, 2] + layer.o.weight[:, :, 0, 0] @ taken
    torch.testing.assert_close(layer(x)[0, :, 1, 2], expected)


def test_each_chunk_of_z_moves_its_own_block_and_what_follows(rng):
    generator = small(rng).with_label("sock")
    z = generator.sample_latent(1, rng=rng)
    for chunk, unmoved in ((0, ()), (1, ("b4",)), (2, ("b4", "b8"))):
        other = z.clone()
        other[:, 3 * chunk : 3 * chunk + 3] += 1
        for layer in generator.layers:
            same = torch.allclose(generator.features(z, layer), generator.features(other, layer))
            assert same == (layer in unmoved)


@pytest.mark.parametrize("deep", [False, True])
def test_features_alone_are_those_on_the_way_to_the_picture(deep, rng):
    if deep:
        peer = json.loads(PEER.read_text(encoding="utf-8"))
        generator = BigGAN.from_weights(StoredWeights(published(peer["shapes"]), {}), "deep")
    else:
        generator = small(rng)
    generator = generator.with_label(1)
    z = generator.sample_latent(2, rng=rng)
    _, seen = generator.decode_with_features(z, generator.layers)
    for layer in generator.layers:
        torch.testing.assert_close(generator.features(z, layer), seen[layer])


# ---- the protocol

def test_our_files_are_read_back(rng):
    generator = small(rng)
    found = BigGAN.from_weights(stored(generator), "mine")
    z = generator.sample_latent(2, rng=rng)
    torch.testing.assert_close(found.with_label("coat").decode(z),
                               generator.with_label(2).decode(z))


def test_a_class_is_a_mixture_of_itself_alone_and_a_mixture_lies_between(rng):
    generator = small(rng)
    z = generator.sample_latent(3, rng=rng)
    mixed = generator.with_mix(torch.eye(3)).decode(z)
    for number in range(3):
        alone = generator.with_label(number).decode(z[number : number + 1])
        torch.testing.assert_close(mixed[number : number + 1], alone)
    half = generator.with_mix(torch.tensor([[0.5, 0.5, 0.0]]))
    torch.testing.assert_close(half.class_vector()[0], generator.shared.weight[:2].mean(dim=0))
    torch.testing.assert_close(half.with_label(2).decode(z), generator.with_label(2).decode(z))
    assert generator.mix is None and half.label is None  # the old one is as it was


def test_a_mixture_can_be_descended(rng):
    generator, mix = small(rng), torch.full((1, 3), 1 / 3, requires_grad=True)
    generator.with_mix(mix).decode(generator.sample_latent(2, rng=rng)).square().sum().backward()
    assert mix.grad.abs().min() > 0


def test_codes_are_normal_and_cut_off_at_two_deviations(rng):
    z = small(rng).sample_latent(20_000, rng=rng)
    assert z.abs().max() <= 2
    x = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    weight = (-x.square() / 2).exp()
    variance = (weight * x.square()).sum() / weight.sum()
    assert float(z.var()) == pytest.approx(float(variance), rel=0.02)
    half = small(rng).sample_latent(5, rng=torch.Generator().manual_seed(1), truncation_psi=0.5)
    whole = small(rng).sample_latent(5, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(half, whole / 2)


@pytest.mark.parametrize("call, sentence", [
    (lambda g, z: g.decode(z), "draws 3 classes, and which one is open: .* of hat, sock, coat"),
    (lambda g, z: g.with_label("shoe"), "label is 'shoe'"),
    (lambda g, z: g.with_label(3), "at most 2"),
    (lambda g, z: g.with_mix(torch.ones(2, 4)), "mix has shape .2, 4., but biggan draws 3 classes"),
    (lambda g, z: g.with_mix(torch.ones(3, 3)).decode(z), "3 mixtures of classes for 2 codes"),
    (lambda g, z: g.with_truncation(0.5), "one set of statistics"),
    (lambda g, z: g.with_truncation(0.0), "truncation"),
    (lambda g, z: g.with_label(0).decode(z, noise="const"), "has no noise maps"),
    (lambda g, z: g.with_label(0).decode(z[:, :2]), "codes of biggan in z are"),
    (lambda g, z: g.with_label(0).features(z, "b64"), "layer is 'b64'"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(call, sentence, rng):
    generator = small(rng)
    with pytest.raises(ValueError, match=sentence):
        call(generator, generator.sample_latent(2, rng=rng))


def test_a_broken_file_says_what_it_lacks(rng):
    weights = stored(small(rng))
    del weights.tensors["G_ema.shared.weight"]
    with pytest.raises(ValueError, match="lacks 1 weights"):
        BigGAN.from_weights(weights, "mine")
    with pytest.raises(ValueError, match="without their BigGANConfig"):
        BigGAN.from_weights(StoredWeights(stored(small(rng)).tensors, {}), "mine")
    plain = {"blocks.0.0.bn1.gain.weight": torch.zeros(3, 3)}
    with pytest.raises(ValueError, match="no whole BigGAN"):
        BigGAN.from_weights(StoredWeights(plain, {}), "theirs")


def test_a_deep_config_counts_two_blocks_for_each_doubling():
    assert BigGANDeepConfig(("a",), (64, 64, 64, 64, 32, 32, 16, 16, 8, 8, 4)).resolution == 128
