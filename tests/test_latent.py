"""The tool for two codes, driven without a mouse."""

import base64
import dataclasses
import io

import numpy as np
import PIL.Image
import pytest
import torch

from course_lib.generators import interpolate
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config
from course_lib.widgets import sweep
from course_lib.widgets.latent import LatentState, LatentTool
from tests.toys import Plain

SMALL = StyleGAN2Config((8, 8, 4), z_dim=6, w_dim=6, mapping_layers=2)  # 16², 6 rows
STATE = LatentState(crossover=3)


@pytest.fixture
def styled() -> StyleGAN2:
    torch.manual_seed(0)
    generator = StyleGAN2(SMALL, "tiny").eval()
    for name, parameter in generator.named_parameters():
        if "bias" in name and "affine" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return generator


def shown(tool: LatentTool) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(tool.live.view.value)) as picture:
        return np.asarray(picture)


def code(generator, seed, space, **truncation):
    rng = torch.Generator().manual_seed(seed)
    return generator.sample_latent(1, space=space, rng=rng, **truncation)


def test_three_pictures_stand_side_by_side_and_each_pixel_is_a_square(styled):
    tool = LatentTool(styled, state=STATE, height=70)
    assert shown(tool).shape == (64, 3 * 64 + 2 * 8, 3)
    first = shown(tool)[:, :64].astype(int)
    pixels = first.reshape(16, 4, 16, 4, 3)
    assert np.abs(pixels - pixels.mean(axis=(1, 3), keepdims=True)).mean() < 6  # but for JPEG
    assert first.std() > 10


def test_the_mixed_picture_is_the_first_with_the_later_rows_of_the_second(styled):
    tool = LatentTool(styled, state=STATE)
    state = LatentState(3, 7, truncation_psi=0.5, crossover=2)
    first, second = (code(styled, seed, "w_plus", truncation_psi=0.5) for seed in (3, 7))
    mixed = torch.cat([first[:, :2], second[:, 2:]], dim=1)
    expected = torch.cat([styled.decode(c, space="w_plus") for c in (first, second, mixed)])
    torch.testing.assert_close(tool.pictures(state), expected)


def test_at_the_ends_the_mixed_picture_is_one_of_the_two(styled):
    tool = LatentTool(styled, state=STATE)
    for crossover, same in ((0, 1), (6, 0)):
        pictures = tool.pictures(dataclasses.replace(STATE, crossover=crossover))
        torch.testing.assert_close(pictures[2], pictures[same])
        assert not torch.allclose(pictures[2], pictures[1 - same])


def test_a_family_without_styles_blends_round_the_sphere():
    generator = Plain()
    tool = LatentTool(generator, height=8)
    assert set(tool.live.controls) == {"seed", "second_seed", "blend"}
    first, second = code(generator, 0, "z"), code(generator, 1, "z")
    quarter = interpolate(first, second, 5, kind="spherical")[1]
    expected = generator.decode(torch.cat([first, second, quarter]))
    torch.testing.assert_close(tool.pictures(LatentState(blend=25)), expected)
    tool.set(blend=25)
    assert "25 %" in tool.live.caption.value


def test_the_state_is_what_the_controls_say(styled):
    tool = LatentTool(styled, state=STATE)
    assert tool.state == STATE
    before = shown(tool)
    tool.set(seed=5, second_seed=6, truncation_psi=1.0, crossover=1)
    assert tool.state == LatentState(5, 6, 1.0, 1)
    assert not np.array_equal(shown(tool), before)
    assert "1 coarse rows of the first, 5 fine" in tool.live.caption.value
    with pytest.raises(dataclasses.FrozenInstanceError):
        tool.state.seed = 1


def test_reset_returns_to_the_first_state(styled):
    tool = LatentTool(styled, state=dataclasses.replace(STATE, seed=9))
    before = shown(tool)
    tool.set(seed=5, truncation_psi=1.5)
    tool.reset()
    assert tool.state == dataclasses.replace(STATE, seed=9)
    assert np.array_equal(shown(tool), before)


def test_the_first_crossover_fits_the_generator(styled):
    tool = LatentTool(styled, state=LatentState(crossover=14))
    assert tool.state.crossover == tool.live.controls["crossover"].max == 6


@pytest.mark.parametrize("family", ["styled", "plain"])
def test_no_position_of_a_slider_fails(family, styled):
    tool = LatentTool({"styled": styled, "plain": Plain()}[family], height=16)
    before = tool.state
    assert sweep(tool.live) >= 15
    assert tool.state == before


def test_a_failure_is_shown_under_the_pictures_and_the_next_picture_clears_it(styled, monkeypatch):
    tool, sample = LatentTool(styled, state=STATE), styled.sample_latent

    def fails_at_seed_5(n, *, rng, **rest):
        if rng.initial_seed() == 5:
            raise ValueError("five is <no> seed: take another")
        return sample(n, rng=rng, **rest)

    monkeypatch.setattr(styled, "sample_latent", fails_at_seed_5)
    with pytest.raises(ValueError, match="five"):
        tool.live.controls["seed"].value = 5
    assert "five is &lt;no&gt; seed" in tool.live.error.value
    tool.live.controls["seed"].value = 4
    assert tool.live.error.value == ""


def test_no_gradient_is_recorded(styled):
    assert all(parameter.requires_grad for parameter in styled.parameters())
    assert not LatentTool(styled, state=STATE).pictures(STATE).requires_grad


def test_a_reader_without_a_kernel_sees_the_pictures_and_their_alt_text(styled):
    tool = LatentTool(styled, state=STATE)
    data, metadata = tool._repr_mimebundle_()
    assert base64.b64decode(data["image/jpeg"]) == tool.live.view.value
    assert "tiny" in metadata["image/jpeg"]["alt"]
