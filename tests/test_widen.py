"""Enlarged networks begin as the functions they were, and every new weight can learn."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.generators.dcgan import DCGANConfig, Discriminator
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config, official_channels, upsample
from course_lib.training.widen import deepen_discriminator, widen_generator


def stylegan2(resolution: int, base: int, maximum: int, w_dim: int = 8) -> StyleGAN2:
    channels = official_channels(resolution, base, maximum)
    return StyleGAN2(StyleGAN2Config(channels, w_dim, w_dim, mapping_layers=2))


@pytest.mark.parametrize("resolution", [16, 32])
@pytest.mark.parametrize("base, maximum", [(64, 8), (160, 8), (160, 12)])
def test_a_widened_generator_paints_the_same_pictures(rng, resolution, base, maximum):
    small, large = stylegan2(16, 64, 8), stylegan2(resolution, base, maximum)
    for parameter in small.parameters():  # biases and noise, too, are no longer what they began as
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=rng)
    large.load_state_dict(widen_generator(small.state_dict(), large))
    z = torch.randn(3, 8, generator=rng)
    before, after = (g.synthesis(
        g.mapping(z)[:, None].expand(-1, g.config.num_ws, -1), noise="none")
        for g in (small, large))
    if resolution == 32:
        before = upsample(before)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_every_new_weight_of_the_generator_can_learn(rng):
    small, large = stylegan2(16, 64, 8), stylegan2(32, 160, 12)
    large.load_state_dict(widen_generator(small.state_dict(), large))
    optimizer = torch.optim.Adam(large.parameters(), 0.01)
    for _ in range(3):  # the first step opens the zeros, the next ones reach behind them
        w = large.mapping(torch.randn(3, 8, generator=rng))[:, None].expand(-1, 8, -1)
        optimizer.zero_grad()
        (large.synthesis(w, noise="none") - 1).square().mean().backward()
        optimizer.step()
    for name, parameter in large.named_parameters():
        if "noise_strength" not in name:
            assert parameter.grad.abs().amax() > 0, name
            if "conv" in name and name.endswith(".weight") and "affine" not in name:
                assert (parameter.grad.abs().amax(dim=(1, 2, 3)) > 0).all(), name


@pytest.mark.parametrize("large", [
    pytest.param(lambda: stylegan2(16, 64, 4), id="fewer channels"),
    pytest.param(lambda: stylegan2(8, 64, 8), id="fewer resolutions"),
    pytest.param(lambda: stylegan2(16, 64, 8, w_dim=16), id="other codes"),
])
def test_what_has_no_room_is_refused(large):
    with pytest.raises(ValueError, match="no room in"):
        widen_generator(stylegan2(16, 64, 8).state_dict(), large())


def test_a_deepened_critic_says_the_same_of_a_picture_at_half_the_size(rng):
    small, large = Discriminator(DCGANConfig(16, 16, 8)), Discriminator(DCGANConfig(32, 8, 8))
    large.load_state_dict(deepen_discriminator(small.state_dict(), large))
    images = torch.rand(3, 3, 32, 32, generator=rng) * 2 - 1
    torch.testing.assert_close(large(images), small(F.avg_pool2d(images, 2)))
    large(images).sum().backward()
    assert (large.convs["b8"].weight.grad.abs().amax(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("learnt, width", [
    pytest.param(16, 16, id="other widths"), pytest.param(8, 4, id="thin"),
])
def test_a_critic_that_does_not_fit_is_refused(learnt, width):
    small = Discriminator(DCGANConfig(16, learnt, 8))
    with pytest.raises(ValueError, match="deepened"):
        deepen_discriminator(small.state_dict(), Discriminator(DCGANConfig(32, width, 8)))
