"""The variational autoencoder: its bound, its inverse, its files."""

import math

import pytest
import torch
from torch import nn

from course_lib.generators import load_generator
from course_lib.generators.vae import VAE, VAEConfig, divergence_from_prior, log_normal
from course_lib.weights import StoredWeights, save_weights

CONFIG = VAEConfig(16, 4, 6)


def random_vae(seed: int = 0) -> VAE:
    """With random statistics, and weights as large as training leaves them."""
    torch.manual_seed(seed)
    vae = VAE(CONFIG)
    for name, tensor in vae.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.startswith("decoder") and name.endswith("weight") and tensor.ndim == 4:
            tensor.mul_(10)
    return vae.eval().requires_grad_(False)


class LinearEncoder(nn.Module):
    """q of the linear model below, whose columns are orthogonal: the posterior itself."""

    def __init__(self, weight, variance, off=0.0):
        super().__init__()
        squares = weight.square().sum(dim=0)
        self.gain = weight.T / (squares + variance)[:, None]
        self.logvar, self.off = (variance / (squares + variance)).log(), off

    def forward(self, x):
        mu = ((x + 1) / 2).flatten(1) @ self.gain.T + self.off
        return mu, self.logvar.expand_as(mu)


class LinearDecoder(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, z):
        return (z @ self.weight.T).unflatten(1, (3, 16, 16)) * 2 - 1


def linear_vae(rng, off=0.0) -> VAE:
    """p(x|z) = N(W z, s²), which makes ln p(x) = ln N(x; 0, W Wᵀ + s²)."""
    vae = random_vae()
    directions = torch.linalg.qr(torch.randn(768, 6, generator=rng)).Q
    weight = directions * torch.linspace(1, 3, 6)
    vae.variance = torch.tensor(0.04)
    vae.encoder, vae.decoder = LinearEncoder(weight, vae.variance, off), LinearDecoder(weight)
    return vae


def test_of_a_linear_model_the_bound_is_the_likelihood_itself(rng):
    vae = linear_vae(rng)
    weight, z = vae.decoder.weight.double(), torch.randn(1, 6, generator=rng)
    x = (z @ weight.float().T + 0.2 * torch.randn(1, 768, generator=rng)).unflatten(1, (3, 16, 16))
    covariance = weight @ weight.T + 0.04 * torch.eye(768, dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(768, dtype=torch.float64), covariance)
    exact = normal.log_prob(x.flatten(1).double())
    bounds = vae.lower_bound(x.expand(4000, -1, -1, -1), rng=rng)
    assert bounds.mean() == pytest.approx(float(exact), abs=4 * float(bounds.std()) / 4000**0.5)


def test_another_q_loses_its_divergence_from_the_posterior(rng):
    state = rng.get_state()
    exact, off = linear_vae(rng), linear_vae(rng.set_state(state), off=0.1)
    x = torch.rand(1, 3, 16, 16, generator=rng).expand(20_000, -1, -1, -1)
    lost = exact.lower_bound(x, rng=rng).mean() - off.lower_bound(x, rng=rng).mean()
    expected = (0.1**2 / exact.encoder.logvar.exp() / 2).sum()
    assert float(lost) == pytest.approx(float(expected), rel=0.1)


def test_the_divergence_and_the_density_are_torchs(rng):
    mu, logvar = torch.randn(2, 5, 6, generator=rng)
    normal, prior = (torch.distributions.Normal(*p) for p in ((mu, (logvar / 2).exp()), (0., 1.)))
    expected = torch.distributions.kl_divergence(normal, prior).sum(dim=1)
    torch.testing.assert_close(divergence_from_prior(mu, logvar), expected)
    density = torch.distributions.Normal(0.0, 0.3).log_prob(mu).sum(dim=1)
    torch.testing.assert_close(log_normal(mu, torch.tensor(0.09)), density)


def test_a_draw_from_q_has_its_mean_and_deviation(rng):
    vae, drawn = random_vae(), []
    vae.decoder.register_forward_pre_hook(lambda module, z: drawn.append(z[0]))
    image = torch.rand(1, 3, 16, 16, generator=rng)
    with torch.no_grad():
        _, mu, logvar = vae(image.expand(20_000, -1, -1, -1), rng=rng)
    torch.testing.assert_close(drawn[0].mean(dim=0), mu[0], atol=0.05, rtol=0)
    torch.testing.assert_close(drawn[0].std(dim=0), (logvar[0] / 2).exp(), rtol=0.05, atol=0)


def test_its_inverse_is_the_mean_of_q_whoever_else_is_in_the_batch(rng):
    vae, images = random_vae(), torch.rand(3, 3, 16, 16, generator=rng)
    mu, _ = vae.encode(images)
    assert torch.equal(vae.invert(images, space="z"), mu)
    torch.testing.assert_close(vae.invert(images[:1], space="z"), mu[:1])


def test_a_file_brings_back_what_was_stored(tmp_path, rng):
    vae = random_vae()
    tensors = {f"G_ema.{key}": value for key, value in vae.state_dict().items()}
    path = tmp_path / "some-vae.safetensors"
    settings = {"config": {"resolution": 16, "width": 4, "z_dim": 6}}
    save_weights(path, tensors, settings=settings, half=False)
    again = load_generator(path, device="cpu")
    z = vae.sample_latent(2, rng=rng)
    assert isinstance(again, VAE) and again.config == CONFIG
    assert torch.equal(again.decode(z), vae.decode(z))
    save_weights(path, tensors, settings={})
    with pytest.raises(ValueError, match=r"some-vae holds weights without their VAEConfig.*whole"
                                         r"|complete"):
        load_generator(path, device="cpu")
    del tensors["G_ema.encoder.logvar.bias"]
    with pytest.raises(ValueError, match=r"lacks 1 weights \(encoder.logvar.bias first\)"):
        VAE.from_weights(StoredWeights(tensors, settings), "some-vae")


@pytest.mark.parametrize("images, fault", [
    (torch.zeros(1, 3, 8, 8), r"vae reads \(batch, 3, 16, 16\)"),
    (torch.zeros(3, 16, 16), r"add the batch"),
    (torch.full((1, 3, 16, 16), 100.0), r"divide by 255"),
    (torch.full((1, 3, 16, 16), math.nan), r"NaN"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_pictures_that_it_cannot_read_are_refused(images, fault, rng):
    vae = random_vae()
    for call in (lambda: vae.invert(images, space="z"), lambda: vae.lower_bound(images, rng=rng)):
        with pytest.raises(ValueError, match=fault):
            call()
    with pytest.raises(ValueError, match="rng is 0, but"):
        vae.lower_bound(torch.rand(1, 3, 16, 16, generator=rng), rng=0)
