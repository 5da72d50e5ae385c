"""Glow and RealNVP: determinants, inverses, likelihoods, and that nothing becomes infinite."""

import math

import pytest
import torch
from torch import nn

from course_lib.generators import list_generators, load_generator
from course_lib.generators.flow import Flow, FlowConfig, Level, dequantize, run
from course_lib.generators.flow_steps import LIMIT, ActNorm, CouplingNet, GlowStep, Mix, RealNVPStep
from course_lib.images import load_image
from course_lib.weights import save_weights

KINDS = pytest.mark.parametrize("kind", ["glow", "realnvp"])
SHIPPED = [card.name for card in list_generators() if card.family in ("glow", "realnvp")]


def random_flow(kind: str, resolution: int = 8, *, scale: float = 0.1, seed: int = 0) -> Flow:
    """With random weights throughout; its mixes stay rotations, and its pictures about [0, 1]."""
    torch.manual_seed(seed)
    flow = Flow(FlowConfig(kind, resolution, 2, 2, 8))
    for name, parameter in flow.named_parameters():
        if not name.endswith("mix.weight"):
            nn.init.normal_(parameter, std=scale)
    first = (*flow.levels[0].whole, *flow.levels[0].squeezed)[0]
    first.norm.log_scale.data += 2.5
    return flow.eval().requires_grad_(False)


def randomize(module: nn.Module, scale: float = 0.3) -> nn.Module:
    for parameter in module.parameters():
        parameter.data += scale * torch.randn(parameter.shape)
    return module.eval().requires_grad_(False)


# ---- known answers

@KINDS
def test_the_log_determinant_is_that_of_the_full_jacobian(kind, rng):
    flow = random_flow(kind, 4, scale=0.3).double()
    x = torch.rand(1, 3, 4, 4, generator=rng, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: flow(x)[0].flatten(), x)
    expected = torch.linalg.slogdet(jacobian.reshape(48, 48)).logabsdet
    assert float(flow(x)[1]) == pytest.approx(float(expected), abs=1e-8)
    z = flow(x)[0]
    normal = -(z.square().sum() + 48 * math.log(2 * math.pi)) / 2
    assert float(flow.log_likelihood(x)) == pytest.approx(float(normal + expected), abs=1e-8)


def test_a_glow_is_that_of_normflows_with_the_same_weights(rng):
    normflows = pytest.importorskip("normflows", reason="the peer is not installed")
    flow = random_flow("glow", 8, scale=0.2)
    levels, merges, bases = [], [], []
    for level, shape in zip(reversed(flow.levels), flow.shapes, strict=True):
        levels.append([_peer(normflows, step) for step in reversed(level.squeezed)]
                      + [normflows.flows.Squeeze()])
        bases.append(normflows.distributions.DiagGaussian(shape, trainable=False))
    bases[1] = _Predicted(flow.levels[0])
    merges.append(normflows.flows.Merge("channel_inv"))
    peer = normflows.MultiscaleFlow(bases, levels, merges, class_cond=False)
    x = torch.rand(4, 3, 8, 8, generator=rng)
    bases[1].read = lambda: flow.levels[0](x - 0.5)[0]
    with torch.no_grad():
        expected = peer.log_prob(x - 0.5, None)
    torch.testing.assert_close(flow.log_likelihood(x), expected, atol=1e-4, rtol=1e-6)


def _peer(normflows, step: GlowStep) -> nn.Module:
    """One Glow step in the peer's parts, from code to picture, as it orders them."""
    channels = len(step.mix.weight)
    norm = normflows.flows.ActNorm((channels, 1, 1))
    norm.data_dep_init_done = torch.tensor(1.0)
    norm.s.data = -step.norm.log_scale.data[None]
    norm.t.data = -step.norm.bias.data[None]
    mix = normflows.flows.Invertible1x1Conv(channels)
    mix.W.data = step.mix.weight.data
    coupling = normflows.flows.AffineCouplingBlock(_Interleaved(step.net), scale_map="exp")
    block = normflows.flows.GlowBlock(channels, 1)
    block.flows = nn.ModuleList([coupling, mix, norm])
    return block


class _Interleaved(nn.Module):
    """Our net as the peer reads it: x = y · exp(scale) + shift, the two in turn."""

    def __init__(self, net: CouplingNet):
        super().__init__()
        self.net = net

    def forward(self, a):
        log_scale, shift = self.net(a)
        return torch.stack([-shift, -log_scale], dim=2).flatten(1, 2)


class _Predicted(nn.Module):
    """The density of what leaves the first level, whose mean and deviation the rest predicts."""

    def __init__(self, level: Level):
        super().__init__()
        self.level = level

    def log_prob(self, leaving):
        mean, log_deviation = self.level.prior(self.read()).chunk(2, dim=1)
        deviation = (LIMIT * torch.tanh(log_deviation / LIMIT)).exp()
        return torch.distributions.Normal(mean, deviation).log_prob(leaving).flatten(1).sum(dim=1)


class _Negative(nn.Module):
    """-ln s or -t of our net, as the peer reads them."""

    def __init__(self, net: CouplingNet, index: int):
        super().__init__()
        self.net, self.index = net, index

    def forward(self, read):
        return -self.net(read)[self.index]


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("checkered", [False, True])
def test_a_masked_coupling_is_that_of_normflows(checkered, odd, rng):
    normflows = pytest.importorskip("normflows", reason="the peer is not installed")
    step = randomize(RealNVPStep(4, 6, checkered=checkered, odd=odd))
    x = torch.randn(2, 4, 6, 6, generator=rng)
    normed, norm_det = step.norm(x)
    mask = step._mask(normed)
    assert mask.mean() == 0.5
    peer = normflows.flows.MaskedAffineFlow(
        mask.expand(4, 6, 6), t=_Negative(step.net, 1), s=_Negative(step.net, 0))
    with torch.no_grad():
        y, log_det = step(x)
        expected, peer_det = peer.inverse(normed)  # (x - t) · exp(-s)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(log_det, norm_det + peer_det)


def test_act_norm_begins_with_mean_0_and_deviation_1_and_only_once(rng):
    norm = ActNorm(3).train()
    x = torch.randn(50, 3, 8, 8, generator=rng) * torch.tensor([1, 5, 0.2])[:, None, None] + 3
    y, _ = norm(x)
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std(dim=(0, 2, 3)), torch.ones(3), atol=6e-3, rtol=0)
    again = ActNorm(3).train()
    again.load_state_dict(norm.state_dict())
    torch.testing.assert_close(again(2 * x)[0], norm(2 * x)[0])


def test_a_constant_channel_does_not_blow_act_norm_up():
    norm = ActNorm(1).train()
    y, _ = norm(torch.ones(4, 1, 8, 8))
    assert y.abs().max() < 1 and norm.log_scale.exp() <= 1001


# ---- laws

@KINDS
def test_steps_integrate_to_one(kind, rng):
    torch.manual_seed(0)
    make = GlowStep if kind == "glow" else lambda c, w: RealNVPStep(c, w, checkered=False, odd=True)
    steps = nn.ModuleList(randomize(make(2, 6)) for _ in range(2)).double()
    axis = torch.linspace(-20, 20, 501, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)[:, :, None, None]
    with torch.no_grad():
        z, log_det = run(steps, grid)
    density = (log_det - (z.square() + math.log(2 * math.pi)).sum(dim=(1, 2, 3)) / 2).exp()
    assert float(density.sum()) * 0.08**2 == pytest.approx(1, abs=1e-3)


@KINDS
def test_codes_and_pictures_lead_to_each_other(kind, rng):
    flow = random_flow(kind, 16)
    photos = torch.rand(4, 3, 16, 16, generator=rng)
    z = flow.invert(photos, space="z")
    assert z.shape == (4, 768)
    torch.testing.assert_close(flow.decode(z), photos, atol=1e-4, rtol=0)
    drawn = flow.sample_latent(4, rng=rng)
    torch.testing.assert_close(flow(flow.decode(drawn))[0], drawn, atol=1e-3, rtol=0)


@KINDS
def test_no_code_and_no_picture_becomes_infinite_even_with_wild_weights(kind, rng):
    flow = random_flow(kind, 8, scale=3)
    z = 30 * torch.randn(8, flow.z_dim, generator=rng)
    assert flow.decode(z).isfinite().all()
    assert flow.log_likelihood(torch.rand(8, 3, 8, 8, generator=rng)).isfinite().all()


def test_what_a_net_says_is_bounded_whatever_it_reads(rng):
    torch.manual_seed(0)
    net = randomize(CouplingNet(3, 8, 3), 1)
    far, farther = (net(scale * torch.ones(1, 3, 4, 4)) for scale in (1e6, 1e9))
    assert far[0].abs().max() <= LIMIT
    torch.testing.assert_close(far[1], farther[1], rtol=1e-3, atol=1e-4)
    near = net(torch.full((1, 3, 4, 4), 0.01))
    assert not torch.allclose(near[1], far[1], atol=0.1)


def test_the_mix_is_undone_in_float32_although_badly_conditioned(rng):
    mix = Mix(8).requires_grad_(False)
    mix.weight.copy_(mix.weight @ torch.diag(torch.logspace(-2, 2, 8)))
    x = torch.randn(1, 8, 4, 4, generator=rng)
    torch.testing.assert_close(mix.inverse(mix(x)[0]), x, atol=1e-3, rtol=0)


def test_psi_is_the_temperature(rng):
    flow = random_flow("glow")
    state = rng.get_state()
    hot = flow.sample_latent(3, rng=rng)
    cool = flow.sample_latent(3, rng=rng.set_state(state), truncation_psi=0.5)
    torch.testing.assert_close(cool, 0.5 * hot)


def test_features_are_what_the_levels_make_on_the_way(rng):
    flow = random_flow("glow", 16)
    z = flow.sample_latent(2, rng=rng)
    assert flow.layers == ("b8",) and flow.features(z, "b8").shape == (2, 6, 8, 8)
    late = z.clone()
    late[:, -6 * 8 * 8 :] = 0  # what the last level adds comes after
    assert torch.equal(flow.features(late, "b8"), flow.features(z, "b8"))
    with pytest.raises(ValueError, match="'b8'"):
        flow.features(z, "b16")


def test_bits_count_a_uniform_guess_as_all_of_them(rng):
    flow = Flow(FlowConfig("glow", 8, 1, 1, 4)).eval()
    flow.log_density = lambda images: torch.zeros(len(images))  # p = 1 on [0, 1]
    image = torch.rand(2, 3, 8, 8, generator=rng)
    torch.testing.assert_close(flow.bits_per_dimension(image, rng=rng), torch.full((2,), 5.0))


def test_dequantised_values_stay_in_their_step(rng):
    x = torch.rand(1000, generator=rng)
    noisy = dequantize(x, 3, rng=rng)
    assert torch.equal((noisy * 8).floor(), (x * 8).floor())
    ones = dequantize(torch.ones(1000), 3, rng=rng)
    assert ones.min() >= 7 / 8 and ones.max() < 1
    assert float((noisy * 8 % 1).std()) == pytest.approx(1 / 12**0.5, abs=0.02)


@KINDS
def test_a_file_brings_back_what_was_stored(kind, tmp_path, rng):
    flow = random_flow(kind)
    path = tmp_path / "some.safetensors"
    config = {"kind": kind, "resolution": 8, "levels": 2, "steps": 2, "width": 8, "bits": 5}
    tensors = {f"G_ema.{key}": value for key, value in flow.state_dict().items()}
    save_weights(path, tensors, settings={"config": config}, half=False)
    again = load_generator(path, device="cpu")
    z = flow.sample_latent(1, rng=rng)
    assert isinstance(again, Flow) and torch.equal(again.decode(z), flow.decode(z))


# ---- errors

@pytest.mark.parametrize("images, fault", [
    (torch.zeros(1, 3, 16, 16), r"flow reads \(batch, 3, 8, 8\)"),
    (torch.full((1, 3, 8, 8), 200.0), "divide by 255"),
    (torch.full((1, 3, 8, 8), -0.5), r"in \[0, 1\] here"),
    (torch.full((1, 3, 8, 8), math.inf), "NaN or infinity"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_pictures_that_it_cannot_read_are_refused(images, fault, rng):
    flow = random_flow("glow")
    for call in (lambda: flow.invert(images, space="z"), lambda: flow.log_likelihood(images),
                 lambda: flow.bits_per_dimension(images, rng=rng)):
        with pytest.raises(ValueError, match=fault):
            call()


def test_noise_maps_are_refused(rng):
    flow = random_flow("glow")
    with pytest.raises(ValueError, match="no noise maps"):
        flow.decode(flow.sample_latent(1, rng=rng), noise="none")


# ---- what ships

@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_flow_inverts_any_picture_and_stays_finite(name, rng):
    flow = load_generator(name, device="cpu")
    r = flow.resolution
    ramp = torch.linspace(0, 1, r).expand(3, r, r)
    odd = torch.stack([torch.rand(3, r, r, generator=rng), torch.ones(3, r, r),
                       torch.zeros(3, r, r), torch.full((3, r, r), 0.5), ramp,
                       *(load_image(name, size=r, device="cpu") for name in ("tabby", "ginger"))])
    torch.testing.assert_close(flow.decode(flow.invert(odd)), odd, atol=1e-4, rtol=0)
    stark = torch.randint(2, (1, 3, r, r), generator=rng).float()  # its z are tens of deviations
    torch.testing.assert_close(flow.decode(flow.invert(stark)), stark, atol=1e-3, rtol=0)
    for seed in range(4):
        z = flow.sample_latent(50, rng=torch.Generator().manual_seed(seed))
        assert flow.decode(z).isfinite().all()
