"""Diffusion: schedules and steps by closed forms, inversion, guidance, the protocol."""

import math
from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F

from course_lib.denoising import (
    LATEST,
    Prediction,
    alpha,
    ddim_step,
    ddpm_step,
    sigma,
    way_back,
)
from course_lib.generators import load_generator
from course_lib.generators.diffusion import Diffusion
from course_lib.generators.diffusion_networks import DiffusionConfig, PatchAxes, waves
from course_lib.images import load_image
from course_lib.metrics import psnr
from course_lib.weights import StoredWeights

SMALL = DiffusionConfig(16, 4, (16, 24), 1, 16, ("hat", "sock", "coat"), ("red", "blue"))


def small(rng: torch.Generator, config: DiffusionConfig = SMALL) -> Diffusion:
    """Untrained, but with every weight at work."""
    model = Diffusion(config, "small")
    for name, value in model.named_parameters():
        if name.endswith(("conv2.weight", "write.weight", "last.weight")):
            value.data.copy_(torch.randn(value.shape, generator=rng) * 0.05)
    return model.eval().requires_grad_(False)


class Gaussian(Diffusion):
    """Knows the score of one normal distribution, N(mean, variance), in every pixel."""

    def __init__(self, mean: float, variance: float):
        super().__init__(DiffusionConfig(8, 4, (16,), 1, 16), "gaussian")
        self.known = mean, variance

    def estimate(self, x_t, t, labels=None, seen=None):
        a, b = alpha(t)[:, None, None, None], sigma(t)[:, None, None, None]
        mean, variance = self.known
        return mean + a * variance / (a * a * variance + b * b) * (x_t - a * mean)


class Mixture(Gaussian):
    """Knows that of two normal distributions of equal weight, at ± mean, for all pixels as one."""

    def estimate(self, x_t, t, labels=None, seen=None):
        a, b = alpha(t)[:, None, None, None], sigma(t)[:, None, None, None]
        mean, variance = self.known
        whole = a * a * variance + b * b
        ends = [sign * mean + a * variance / whole * (x_t - sign * a * mean) for sign in (1, -1)]
        logits = torch.stack([-((x_t - sign * a * mean).square() / (2 * whole)).sum(
            dim=(1, 2, 3), keepdim=True) for sign in (1, -1)])
        return (logits.softmax(dim=0) * torch.stack(ends)).sum(dim=0)


# ---- schedule and steps

def test_picture_and_noise_share_one_unit_of_variance():
    t = torch.linspace(0, 1, 11)
    torch.testing.assert_close(alpha(t).square() + sigma(t).square(), torch.ones(11))
    times = way_back(7)
    assert len(times) == 8 and times[0] == pytest.approx(LATEST) and times[-1] == 0


def test_the_three_views_are_of_one_guess(rng):
    t = torch.tensor([0.1, 0.5, 0.9])[:, None, None, None]
    x0, noise = (torch.randn(3, 3, 8, 8, generator=rng) for _ in "ab")
    x_t = alpha(t) * x0 + sigma(t) * noise
    views = [Prediction.of_x0(x0, x_t, t), Prediction.of_noise(noise, x_t, t)]
    views.append(Prediction.of_v(views[0].v, x_t, t))
    for found in views:
        for name, expected in (("x0", x0), ("noise", noise),
                               ("v", alpha(t) * noise - sigma(t) * x0)):
            torch.testing.assert_close(getattr(found, name), expected, atol=1e-4, rtol=1e-4)


def test_ddims_step_keeps_the_picture_and_its_noise(rng):
    x0, noise = (torch.randn(2, 3, 8, 8, generator=rng) for _ in "ab")
    t, s = torch.tensor(0.7), torch.tensor(0.3)
    found = Prediction.of_x0(x0, alpha(t) * x0 + sigma(t) * noise, t)
    torch.testing.assert_close(ddim_step(found, s), alpha(s) * x0 + sigma(s) * noise,
                               atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ddim_step(found, torch.tensor(0.0)), x0)


def test_ddpms_step_is_the_posterior_by_bayes():
    # Of one number: x_s ~ N(α_s x0, σ_s²), x_t ~ N(α_ts x_s, σ_t² − α_ts² σ_s²).
    x0, x_t = torch.tensor(0.8), torch.tensor(-0.4)
    t, s = torch.tensor(0.6), torch.tensor(0.35)
    kept = alpha(t) / alpha(s)
    before, after = sigma(s) ** 2, sigma(t) ** 2 - kept**2 * sigma(s) ** 2
    variance = 1 / (1 / before + kept**2 / after)
    mean = variance * (alpha(s) * x0 / before + kept * x_t / after)
    shape = (1, 3, 8, 8)
    found = Prediction.of_x0(x0.expand(shape), x_t.expand(shape), t)
    zero, one = torch.zeros(shape), torch.ones(shape)
    middle = ddpm_step(x_t.expand(shape), found, t, s, zero)
    torch.testing.assert_close(middle, mean.expand(shape))
    spread = ddpm_step(x_t.expand(shape), found, t, s, one) - middle
    torch.testing.assert_close(spread, variance.sqrt().expand(shape))


def test_by_ddim_a_gaussian_is_drawn_exactly(rng):
    model = Gaussian(0.3, 0.04).with_steps(400)
    z = model.sample_latent(500, rng=rng)
    x = model.decode(z) * 2 - 1
    assert float(x.mean()) == pytest.approx(0.3, abs=0.01)
    assert float(x.std()) == pytest.approx(0.2, rel=0.03)
    exact = 0.3 + 0.2 * z.unflatten(1, (3, 8, 8))  # each z keeps its place in the distribution
    torch.testing.assert_close(x, exact, atol=0.03, rtol=0)


@pytest.mark.parametrize("way, steps", [("ddim", 500), ("ddpm", 500)])
def test_a_mixture_is_drawn_with_its_mean_and_covariance(way, steps, rng):
    model = Mixture(0.5, 0.01).with_steps(steps)
    drawn = (model.decode(model.sample_latent(600, rng=rng)) if way == "ddim"
             else model.sample_ddpm(600, rng=rng))
    x = (drawn * 2 - 1).flatten(1)
    center = x.mean(dim=1)
    upper = float((center > 0).float().mean())
    assert upper == pytest.approx(0.5, abs=0.07)
    assert float(center.abs().mean()) == pytest.approx(0.5, abs=0.02)
    assert float((x - center[:, None]).std()) == pytest.approx(0.1, rel=0.05)


def test_the_schedulers_of_diffusers_take_the_same_steps(rng):
    diffusers = pytest.importorskip("diffusers")
    count = 1000
    grid = torch.linspace(LATEST / count, LATEST, count, dtype=torch.float64)
    kept = alpha(grid).square()
    betas = 1 - kept / torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    peer = diffusers.DDIMScheduler(trained_betas=betas.tolist(), clip_sample=False,
                                   prediction_type="v_prediction", timestep_spacing="trailing")
    peer.set_timesteps(10)
    model, x = small(rng), torch.randn(2, 3, 16, 16, generator=rng)
    theirs = ours = x
    for index in peer.timesteps.tolist():
        t, s = grid[index], grid[index - 100] if index >= 100 else torch.tensor(0.0)
        theirs = peer.step(model.predict(theirs, float(t)).v, index, theirs).prev_sample
        ours = ddim_step(model.predict(ours, float(t)), s.float())
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


# ---- the network

def test_patches_on_their_axes_are_the_pictures_turned(rng):
    axes = PatchAxes(4)
    images = torch.randn(40, 3, 16, 16, generator=rng).cumsum(dim=3) * 0.1 + 0.3
    axes.fit(images)
    torch.testing.assert_close(axes.axes @ axes.axes.T, torch.eye(48), atol=1e-5, rtol=0)
    turned = axes(images)
    torch.testing.assert_close(axes.back(turned), images, atol=1e-5, rtol=1e-5)
    numbers = turned.permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(torch.cov(numbers), axes.variance.diag(), atol=1e-3, rtol=1e-3)
    noise = torch.randn(2, 3, 16, 16, generator=rng)
    torch.testing.assert_close(axes(noise, 0.0).norm(), noise.norm())


def test_an_untrained_network_gives_the_best_linear_guess(rng):
    model = Diffusion(SMALL).requires_grad_(False)
    images = torch.randn(200, 3, 16, 16, generator=rng).cumsum(dim=3) * 0.2
    model.patches.fit(images)
    t = torch.full((200,), 0.6)
    a, b = alpha(t[0]), sigma(t[0])
    noise = torch.randn(images.shape, generator=rng)
    found = model.patches(model.estimate(a * images + b * noise, t))
    y, x = model.patches(a * images + b * noise, a), model.patches(images)
    slopes = (x * y).sum(dim=(0, 2, 3)) / y.square().sum(dim=(0, 2, 3))
    torch.testing.assert_close(found, slopes[:, None, None] * y, atol=0.05, rtol=0.05)


def test_fine_blocks_add_nothing_at_first_and_then_look_across_the_patches_seams(rng):
    model = Diffusion(replace(SMALL, fine=8)).eval().requires_grad_(False)
    plain = Diffusion(SMALL).eval().requires_grad_(False)
    plain.load_state_dict({name: value for name, value in model.state_dict().items()
                           if not name.startswith(("fine", "network.hints"))})
    x, t = torch.randn(2, 3, 16, 16, generator=rng), torch.tensor([0.3, 0.7])
    torch.testing.assert_close(model.estimate(x, t), plain.estimate(x, t))
    shown, rest = torch.zeros(1, 3, 16, 16), (torch.zeros(1, 64, 4, 4), torch.zeros(1, 16))
    for name, value in model.fine.named_parameters():
        if name.endswith(("conv2.weight", "last.weight")):
            value.data.copy_(torch.randn(value.shape, generator=rng))
    dot = shown.clone()
    dot[..., 7, 7] = 1.0  # the corner of a patch
    moved = model.fine(dot, shown, *rest) - model.fine(shown, shown, *rest)
    assert moved[..., 8:10, 8:10].abs().min() > 0  # in the next one


def test_at_the_end_no_noise_is_left_on_axes_that_hardly_vary(rng):
    model = small(rng)
    model.patches.variance[6:] = 1e-6
    x = model.decode(model.sample_latent(2, rng=rng)) * 2 - 1
    assert model.patches(x)[:, 6:].abs().max() < 0.02


def test_times_are_told_apart():
    told = waves(torch.linspace(0, 1, 101), 16)
    gaps = torch.cdist(told, told) + 9 * torch.eye(101)
    assert gaps.min() > 0.01 and told.abs().max() <= 1


def test_the_words_change_what_is_drawn_and_nothing_said_is_a_word_of_its_own(rng):
    model = small(rng)
    z = model.sample_latent(1, rng=rng)
    said = [model, model.with_label("sock"), model.with_label("sock", color="red"),
            model.with_label(None, color=0)]
    drawn = [one.decode(z) for one in said]
    for index, one in enumerate(drawn):
        for other in drawn[index + 1 :]:
            assert not torch.allclose(one, other)
    both = model.decode_said(z.expand(2, -1), torch.tensor([[0, 0], [2, 1]]))
    torch.testing.assert_close(both, torch.cat([drawn[0], drawn[2]]), atol=1e-5, rtol=1e-5)


def test_guidance_of_one_changes_nothing_and_of_none_forgets_the_label(rng):
    model = small(rng)
    z = model.sample_latent(2, rng=rng)
    said = model.with_label("coat")
    torch.testing.assert_close(said.with_guidance(1).decode(z), said.decode(z))
    torch.testing.assert_close(said.with_guidance(0).decode(z), model.decode(z))
    x, t = torch.randn(1, 3, 16, 16, generator=rng), 0.5
    free, there = model.predict(x, t).x0, said.predict(x, t).x0
    torch.testing.assert_close(said.with_guidance(3).predict(x, t).x0, free + 3 * (there - free))


# ---- the protocol

@pytest.mark.parametrize("steps", [10, 25])
def test_decoding_what_was_inverted_is_the_picture(steps, rng):
    model = small(rng).with_steps(steps)
    photo = F.interpolate(torch.rand(1, 3, 4, 4, generator=rng), size=(16, 16), mode="bilinear")
    again = model.decode(model.invert(photo))
    assert -10 * math.log10(float((again - photo).square().mean())) > 34
    model.rounds = 0
    rough = model.decode(model.invert(photo))
    assert (rough - photo).square().mean() > (again - photo).square().mean()


def test_gradients_reach_the_noise(rng):
    model = small(rng).with_steps(3)
    z = model.sample_latent(1, rng=rng).requires_grad_()
    model.decode(z)[0, 0, 3, 3].backward()
    with torch.no_grad():
        step = torch.zeros_like(z)
        step[0, 51] = 1e-2
        slope = (model.decode(z + step) - model.decode(z - step))[0, 0, 3, 3] / 2e-2
    assert float(z.grad[0, 51]) == pytest.approx(float(slope), rel=0.05, abs=1e-4)


def test_the_middle_is_seen_at_its_time(rng):
    model = small(rng)
    z = model.sample_latent(1, rng=rng)
    image, seen = model.decode_with_features(z, model.layers)
    torch.testing.assert_close(image, model.decode(z))
    assert list(seen) == list(model.layers) and seen["mid@0.5"].shape == (1, 24, 2, 2)
    steps = list(model.walk(z.unflatten(1, (3, 16, 16)), way_back(model.steps)))
    last = max(index for index, step in enumerate(steps) if step.t >= 0.5)
    middle: list[torch.Tensor] = []
    model.predict(steps[last - 1].end, steps[last].t, middle)
    torch.testing.assert_close(seen["mid@0.5"], middle[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fine", [0, 8])
def test_files_are_read_back(fine, rng):
    config = replace(SMALL, fine=fine)
    model = small(rng, config)
    stored = {f"G_ema.{name}": value for name, value in model.state_dict().items()}
    found = Diffusion.from_weights(StoredWeights(stored, {"config": asdict(config)}), "mine")
    z = model.sample_latent(1, rng=rng)
    torch.testing.assert_close(found.with_label("hat").decode(z), model.with_label(0).decode(z))


@pytest.mark.parametrize("call, sentence", [
    (lambda g, z: g.with_label("shoe"), "label is 'shoe'"),
    (lambda g, z: g.with_label(None, color="green"), "color is 'green'"),
    (lambda g, z: g.with_label(3), "at most 2"),
    (lambda g, z: g.with_steps(0), "steps"),
    (lambda g, z: g.sample_ddpm(1, rng=torch.Generator(), steps=0), "steps"),
    (lambda g, z: g.predict(torch.zeros(1, 3, 16, 16), 2.0), "t is 2"),
    (lambda g, z: g.decode_said(z, torch.zeros(1, 2, dtype=torch.long)), r"pass \(2, 2\)"),
    (lambda g, z: g.decode_said(z, torch.full((2, 2), 9)), "labels hold 9"),
    (lambda g, z: g.with_guidance(-1.0), "guidance"),
    (lambda g, z: g.decode(z, noise="const"), "has no noise maps"),
    (lambda g, z: g.decode(z[:, :5]), "codes of small in z are"),
    (lambda g, z: g.features(z, "mid@0.9"), "layer is 'mid@0.9'"),
    (lambda g, z: g.invert(torch.rand(1, 3, 16, 16) * 255), r"\[0, 1\]"),
    (lambda g, z: g.invert(torch.rand(1, 3, 32, 32)), "reads"),
    (lambda g, z: g.invert(torch.rand(1, 3, 16, 16).double()), "images holds float64 values"),
    (lambda g, z: g.with_guidance(2).decode(z), "none is said: choose one by with_label"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(call, sentence, rng):
    model = small(rng)
    with pytest.raises(ValueError, match=sentence):
        call(model, model.sample_latent(2, rng=rng))


def test_a_model_without_words_says_so(rng):
    model = small(rng, DiffusionConfig(16, 4, (16,), 1, 16))
    with pytest.raises(ValueError, match="trained without labels"):
        model.with_label(0)


# ---- what ships

@pytest.fixture(scope="module")
def cats():
    return load_generator("cats-diffusion", device="cpu")


@pytest.fixture(scope="module")
def photographs():
    return torch.cat([F.interpolate(load_image(name)[None], size=[64, 64], mode="area")
                      for name in ("british", "tabby")])


@pytest.fixture(scope="module")
def noise(cats, photographs):
    return cats.invert(photographs)


def brightness(images: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    return images[:, :, rows, columns].mean(dim=(1, 2, 3))


def detail(images: torch.Tensor) -> torch.Tensor:
    """Eyes, whiskers, outlines: what differs from its surroundings of 9 x 9; (batch, pixels)."""
    gray = images.mean(dim=1, keepdim=True)
    return (gray - F.avg_pool2d(gray, 9, stride=1, padding=4)).flatten(1)


def test_photographs_are_given_back(cats, photographs, noise):
    assert (psnr(cats.decode(noise), photographs) > 34).all()


@pytest.mark.parametrize("word, darker", [("black", True), ("white", False)])
def test_a_word_changes_the_forehead_and_the_cat_stays(word, darker, cats, photographs, noise):
    said = cats.with_label(None, color=word).with_guidance(2).decode(noise).clamp(0, 1)
    forehead = slice(18, 29), slice(22, 42)
    change = brightness(said, *forehead) - brightness(photographs, *forehead)
    assert (change < -0.05).all() if darker else (change > 0.05).all()
    for before, after in zip(detail(photographs), detail(said), strict=True):
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.6


def test_a_white_muzzle_is_lighter_beside_the_forehead_than_it_was(cats, photographs, noise):
    said = cats.with_label("white muzzle").with_guidance(3).decode(noise).clamp(0, 1)
    gained = []
    for images in (photographs, said):
        gained.append(brightness(images, slice(43, 55), slice(24, 40))
                      - brightness(images, slice(16, 27), slice(22, 42)))
    assert (gained[1] - gained[0] > 0.08).all()


def test_a_garment_is_dyed_by_a_word():
    clothes = load_generator("clothes-diffusion", device="cpu").with_label("t-shirt", color="blue")
    z = clothes.sample_latent(1, rng=torch.Generator().manual_seed(20))
    blue = clothes.decode(z).clamp(0, 1)
    again = clothes.with_label(None).invert(blue)
    red = clothes.with_label("t-shirt", color="red").with_guidance(2).decode(again)
    middle = slice(24, 44), slice(24, 44)
    for image, channel in ((blue, 2), (red, 0)):
        color = image[0, :, *middle].mean(dim=(1, 2))
        assert int(color.argmax()) == channel
