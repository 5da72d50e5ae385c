"""L0 smoothing against a direct transcription of the paper, its laws, and its errors."""

import io
import re
import warnings

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import smoothing
from course_lib.gradients import gradient
from course_lib.images import load_image
from course_lib.smoothing import enhance_detail, extract_edges, remove_clip_art_artifacts, smooth_l0

METHODS = [smooth_l0, extract_edges, remove_clip_art_artifacts, enhance_detail]


def transcribed(image, smoothness, growth=2.0, beta_max=1e5):
    """Algorithm 1 in float64 numpy, with whole-picture FFTs: S, and the energy's two terms."""
    height, width = image.shape[-2:]
    fx = np.fft.fft2(_delta(height, width, 0, 0) * -1 + _delta(height, width, 0, -1))
    fy = np.fft.fft2(_delta(height, width, 0, 0) * -1 + _delta(height, width, -1, 0))
    s, beta, terms = image, 2 * smoothness, []
    while beta < beta_max:
        h, v = np.roll(s, -1, -1) - s, np.roll(s, -1, -2) - s
        drop = (h**2 + v**2).sum(-3, keepdims=True) < smoothness / beta
        h, v = np.where(drop, 0, h), np.where(drop, 0, v)
        numerator = np.fft.fft2(image) + beta * (
            np.conj(fx) * np.fft.fft2(h) + np.conj(fy) * np.fft.fft2(v)
        )
        s = np.fft.ifft2(numerator / (1 + beta * (abs(fx) ** 2 + abs(fy) ** 2))).real
        terms.append((((s - image) ** 2).sum(), smoothness * (~drop).sum()))
        beta *= growth
    return s, np.array(terms)


def _delta(height, width, y, x):
    kernel = np.zeros((height, width))
    kernel[y, x] += 1
    return kernel


def gradients(image):
    """Periodic forward differences, (2, channels, height, width)."""
    return torch.stack([image.roll(-1, -1) - image, image.roll(-1, -2) - image])


def patchwork(rng, noise=0.0):
    """Flat rectangles, 4 x 4 of them, each 10 x 12 pixels, with noise on top."""
    colors = torch.rand(3, 4, 4, generator=rng, dtype=torch.float64)
    flat = colors.repeat_interleave(10, dim=1).repeat_interleave(12, dim=2)
    return flat, flat + noise * torch.randn(flat.shape, generator=rng, dtype=torch.float64)


def drawing():
    art = PIL.Image.new("RGB", (512, 512), "#fdf3dc")
    pen = PIL.ImageDraw.Draw(art)
    pen.ellipse((250, 40, 420, 210), fill="#E69F00")
    pen.polygon((40, 380, 200, 120, 360, 380), fill="#0072B2")
    pen.rectangle((0, 380, 512, 512), fill="#009E73")
    return art.resize((128, 128), PIL.Image.Resampling.BOX)


# Known answers


@given(
    seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 4),
    height=st.integers(1, 17), width=st.integers(1, 17),
    smoothness=st.floats(1e-3, 0.3), growth=st.floats(1.7, 9),
)
@settings(max_examples=25)
def test_it_is_the_paper_s_algorithm(seed, channels, height, width, smoothness, growth):
    rng = torch.Generator().manual_seed(seed)
    image = torch.rand(channels, height, width, generator=rng, dtype=torch.float64)
    solution = smooth_l0(image, smoothness=smoothness, beta_growth=growth)
    expected, terms = transcribed(image.numpy(), smoothness, growth)
    np.testing.assert_allclose(solution.value.numpy(), expected, atol=1e-8, rtol=0)
    np.testing.assert_allclose(
        np.stack(list(solution.energies.values()), axis=1), terms, atol=1e-7, rtol=1e-7
    )


@pytest.mark.parametrize("name, smoothness", [
    ("coffee", 0.02), ("astronaut", 0.005), ("chelsea", 0.02), ("fresh noise", 0.02),
])
def test_float32_agrees_with_the_paper_in_float64(name, smoothness):
    # A gradient at the threshold may flip, so the largest difference is not bounded.
    image = torch.rand(3, 120, 150) if name == "fresh noise" else load_image(
        name, size=200, device="cpu"
    )
    solution = smooth_l0(image, smoothness=smoothness)
    expected, terms = transcribed(image.double().numpy(), smoothness)
    assert np.abs(solution.value.numpy() - expected).mean() < 1e-4
    found = sum(term.double().numpy() for term in solution.energies.values())
    np.testing.assert_allclose(found, terms.sum(axis=1), rtol=2e-3)
    assert solution.converged


def test_two_pixels_follow_the_scalar_recursion():
    # Their periodic gradient is ±d, and ∇ᵀ∇ has eigenvalue 4 on their difference.
    start, smoothness = 0.3, 0.02
    solution = smooth_l0(
        torch.tensor([[[0.2, 0.2 + start]]], dtype=torch.float64), smoothness=smoothness
    )
    d, beta = start, 2 * smoothness
    while beta < 1e5:
        kept = 0 if d * d < smoothness / beta else d
        d, beta = (start + 4 * beta * kept) / (1 + 4 * beta), 2 * beta
    expected = torch.tensor([[[0.2 + (start - d) / 2, 0.2 + (start + d) / 2]]], dtype=torch.float64)
    torch.testing.assert_close(solution.value, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("growth, steps", [(2.0, 22), (8.0, 8), (1.05, 302)])
def test_the_schedule_has_the_published_number_of_steps(growth, steps):
    solution = smooth_l0(torch.rand(1, 4, 4), beta_growth=growth)
    assert len(solution.residuals) == steps
    assert {len(term) for term in solution.energies.values()} == {steps}


# Laws


def test_smoothness_zero_returns_the_picture_as_a_copy(rng):
    image = torch.rand(3, 9, 7, generator=rng)
    solution = smooth_l0(image, smoothness=0.0)
    assert torch.equal(solution.value, image) and solution.converged
    assert solution.value.data_ptr() != image.data_ptr()
    assert all(len(term) == 0 for term in solution.energies.values())


def test_a_constant_picture_stays():
    image = torch.full((3, 12, 17), 0.37)
    solution = smooth_l0(image)
    torch.testing.assert_close(solution.value, image, atol=1e-6, rtol=0)
    assert solution.converged and not solution.energies["gradients"].any()


def test_the_mean_of_each_channel_stays(rng):
    image = torch.rand(3, 20, 31, generator=rng)
    smooth = smooth_l0(image, smoothness=0.1).value
    torch.testing.assert_close(smooth.mean((-2, -1)), image.mean((-2, -1)), atol=1e-6, rtol=0)


def test_rolling_the_picture_rolls_the_answer():
    image = load_image("coffee", size=96, device="cpu").double()
    rolled = smooth_l0(image.roll((7, -31), (-2, -1))).value
    torch.testing.assert_close(
        rolled, smooth_l0(image).value.roll((7, -31), (-2, -1)), atol=1e-9, rtol=0
    )


def test_x_and_y_are_treated_alike_and_so_are_the_channels():
    image = load_image("astronaut", size=64, device="cpu").double()[:, :50]
    smooth = smooth_l0(image).value
    turned = smooth_l0(image.flip(0).mT).value
    torch.testing.assert_close(turned.mT.flip(0), smooth, atol=1e-9, rtol=0)


def test_a_strong_edge_in_one_channel_keeps_the_weak_ones_of_the_others():
    image = torch.full((3, 8, 12), 0.5, dtype=torch.float64)
    image[0, :, 6:] = 1.5
    image[2, :, 6:] = 0.51
    torch.testing.assert_close(smooth_l0(image).value, image, atol=1e-9, rtol=0)
    alone = smooth_l0(image[2:]).value
    assert float(alone.max() - alone.min()) < 1e-4  # without the others' help it is gone


def test_a_picture_in_a_batch_gets_the_answer_it_gets_alone():
    photos = [load_image(name, size=80, device="cpu")[:, :50] for name in ("coffee", "chelsea")]
    batch = torch.stack([photos[0], photos[1], photos[1] * 0.5]).reshape(3, 1, *photos[0].shape)
    together = smooth_l0(batch)
    alone = [smooth_l0(picture) for picture in batch]
    assert together.value.shape == batch.shape
    difference = (together.value - torch.stack([one.value for one in alone])).abs()
    assert difference.mean() < 1e-5
    for name, term in together.energies.items():
        torch.testing.assert_close(term, sum(one.energies[name] for one in alone), rtol=2e-3,
                                   atol=1e-3)


@pytest.mark.parametrize("tile_bytes", [1, 1000, 8000])
def test_tiles_of_any_size_give_one_answer(monkeypatch, tile_bytes):
    batch = torch.rand(2, 3, 13, 18, dtype=torch.float64)
    whole = smooth_l0(batch)
    monkeypatch.setattr(smoothing, "TILE_BYTES", tile_bytes)
    tiled = smooth_l0(batch)
    torch.testing.assert_close(tiled.value, whole.value, atol=1e-9, rtol=0)
    torch.testing.assert_close(dict(tiled.energies), dict(whole.energies))
    torch.testing.assert_close(tiled.residuals, whole.residuals)


def test_a_larger_smoothness_leaves_fewer_gradients():
    image = load_image("chelsea", size=128, device="cpu")
    counts = []
    for smoothness in (0.002, 0.01, 0.05, 0.25):
        smooth = smooth_l0(image, smoothness=smoothness).value
        counts.append(int((gradients(smooth).square().sum((0, 1)) > 0.01**2).sum()))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0] / 4


def test_every_half_step_lowers_the_split_energy():
    image, smoothness = load_image("coffee", size=64, device="cpu").double(), 0.02
    pictures = [image]
    smooth_l0(image, smoothness=smoothness, callback=lambda step, now: pictures.append(now))
    for step in range(len(pictures) - 1):
        beta = 2 * smoothness * 2**step

        def energy(picture, field, beta=beta):
            count = (field.abs().sum((0, 1)) > 0).sum()
            coupling = (gradients(picture) - field).square().sum()
            return (picture - image).square().sum() + smoothness * count + beta * coupling

        before, after = pictures[step], pictures[step + 1]
        free = gradients(before)
        small = free.square().sum((0, 1)) < smoothness / beta
        field = free.masked_fill(small, 0)
        assert energy(before, field) <= energy(before, free)
        assert energy(after, field) <= energy(before, field)


def test_the_answer_has_less_energy_than_the_input(rng):
    photo = load_image("coffee", size=128, device="cpu")
    for image, at_most in ((photo, 1.0), (patchwork(rng, noise=0.02)[1], 0.5)):
        solution = smooth_l0(image)
        count = int((gradients(image).square().sum((0, 1)) > 0).sum())
        energy = sum(float(term[-1]) for term in solution.energies.values())
        assert energy < at_most * 0.02 * count


def test_noise_on_flat_pieces_goes_and_their_edges_stay(rng):
    flat, noisy = patchwork(rng, noise=0.02)
    smooth = smooth_l0(noisy, smoothness=0.01).value
    inside = gradients(flat).square().sum((0, 1)) == 0
    assert gradients(smooth)[..., inside].std() < gradients(noisy)[..., inside].std() / 10
    assert gradients(smooth)[..., ~inside].std() > 0.95 * gradients(flat)[..., ~inside].std()


def test_the_callback_sees_each_step_and_may_keep_what_it_sees():
    image, seen = load_image("coffee", size=48, device="cpu").double(), []
    solution = smooth_l0(image, callback=lambda step, picture: seen.append((step, picture)))
    assert [step for step, _ in seen] == list(range(22))
    torch.testing.assert_close(seen[-1][1], solution.value)
    closeness = torch.stack([(picture - image).square().sum() for _, picture in seen])
    torch.testing.assert_close(solution.energies["close to the input"], closeness)


def test_a_picture_that_is_flattened_wholly_has_converged(rng):
    image = 0.5 + 0.1 * torch.rand(3, 20, 20, generator=rng)
    solution = smooth_l0(image)
    assert solution.value.std((-2, -1)).max() < 1e-3
    assert solution.converged and solution.residuals[-1] < 1e-3


def test_converged_tells_whether_picture_and_gradients_agree():
    image = load_image("coffee", size=64, device="cpu")
    early, late = smooth_l0(image, beta_max=1.0), smooth_l0(image)
    assert late.converged and not early.converged
    assert early.residuals[-1] > 10 * late.residuals[-1]
    assert early.residuals[0] == late.residuals[0]  # both zeroed the same gradients of the input
    free = gradients(image).square().sum((0, 1))
    expected = (free[free < 0.5].sum() / free.sum()).sqrt()
    torch.testing.assert_close(late.residuals[0], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_dtype_and_device_are_kept_and_the_input_is_untouched(method, dtype, rng):
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    for device in devices:
        image = torch.rand(2, 11, 14, 3, generator=rng).to(device, dtype).movedim(-1, -3)
        image.requires_grad_()
        before = image.detach().clone()
        result = method(image)
        value = getattr(result, "value", result)
        assert (value.dtype, value.device, value.requires_grad) == (dtype, image.device, False)
        assert torch.equal(image, before)


def test_edges_outline_a_shape_and_ignore_the_noise(rng):
    flat, noisy = patchwork(rng, noise=0.02)
    edges = extract_edges(noisy, smoothness=0.01)
    assert edges.shape == (1, 40, 48)
    outline = gradient(flat).square().sum((0, 1)).sqrt()  # without a periodic border
    torch.testing.assert_close(edges[0][outline > 0], outline[outline > 0], atol=0.06, rtol=0.1)
    raw = gradient(noisy).square().sum((0, 1)).sqrt()
    assert edges[0][outline == 0].mean() < raw[outline == 0].mean() / 15


@pytest.mark.parametrize("quality", [10, 20, 35])
def test_clip_art_comes_closer_to_the_drawing_than_its_jpeg(quality):
    art, buffer = drawing(), io.BytesIO()
    art.save(buffer, format="jpeg", quality=quality)
    clean, damaged = (
        load_image(picture, device="cpu") for picture in (art, PIL.Image.open(buffer))
    )
    restored = remove_clip_art_artifacts(damaged)
    assert (restored.value - clean).square().sum() < 0.9 * (damaged - clean).square().sum()
    assert len(restored.residuals) == 22 + 1  # a smaller λ starts at a smaller β


def test_detail_is_what_smoothing_removed():
    image = load_image("chelsea", size=64, device="cpu").double()
    smooth = smooth_l0(image, smoothness=0.03).value
    for boost in (0.0, 1.0, 2.5):
        enhanced = enhance_detail(image, boost=boost, smoothness=0.03)
        torch.testing.assert_close(enhanced.value, smooth + boost * (image - smooth))
        assert enhanced.converged


# Errors

good = st.just(torch.rand(3, 6, 8))
shapes = st.lists(st.integers(1, 6), min_size=3, max_size=4)
dtypes = st.sampled_from([
    torch.uint8, torch.int16, torch.int64, torch.bool, torch.complex64, torch.float16,
    torch.bfloat16,
])


def broken(shape, place, value):
    image = torch.rand(shape)
    image.view(-1)[place % image.numel()] = value
    return image


bad_pictures = st.one_of(
    st.sampled_from([None, "coffee", 0.5, [[[0.1, 0.2]]], np.zeros((3, 4, 4)), object()]),
    st.lists(st.integers(0, 6), max_size=2).map(torch.rand),
    st.builds(lambda shape, dtype: torch.zeros(shape, dtype=dtype), shapes, dtypes),
    st.builds(broken, shapes, st.integers(0), st.sampled_from([np.nan, np.inf, -np.inf])),
    st.builds(
        lambda shape, axis: torch.rand([*shape[:axis % 3], 0, *shape[axis % 3 + 1:]]),
        shapes, st.integers(0),
    ),
    st.builds(lambda h, w, c: torch.rand(h, w, c), st.integers(5, 9), st.integers(5, 9),
              st.sampled_from([3, 4])),
)
not_numbers = st.one_of(
    st.sampled_from([None, True, np.nan, np.inf, -np.inf, 1j, torch.tensor(0.5), [2.0]]),
    st.text(max_size=5),
)
negative = st.floats(max_value=0, exclude_max=True)
bad_options = {
    "smoothness": st.one_of(not_numbers, negative, st.integers(max_value=-1)),
    "beta_growth": st.one_of(not_numbers, st.floats(max_value=1)),
    "beta_max": st.one_of(not_numbers, st.floats(max_value=0), st.floats(0, 0.04)),
    "callback": st.one_of(st.integers(), st.text(max_size=5), st.just(torch.zeros(2))),
    "boost": st.one_of(not_numbers, negative),
}
accepted = {
    smooth_l0: ["smoothness", "beta_growth", "beta_max", "callback"],
    extract_edges: ["smoothness", "beta_growth"],
    remove_clip_art_artifacts: ["smoothness", "beta_growth"],
    enhance_detail: ["smoothness", "beta_growth", "boost"],
}


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_bad_input_gets_one_sentence(as_users_run_it, method, data):
    blamed = data.draw(st.sampled_from(["image", *accepted[method]]))
    if blamed == "image":
        image, options = data.draw(bad_pictures), {}
    else:
        image, options = data.draw(good), {blamed: data.draw(bad_options[blamed])}
    with pytest.raises(ValueError) as caught:
        method(image, **options)
    message = str(caught.value)
    assert message.startswith(blamed)
    assert re.fullmatch(r"(?s).{40,}[a-z0-9)\]]\.", message), message
    assert ". " not in message, message


def test_a_picture_in_bytes_is_warned_of(as_users_run_it, rng):
    image = torch.rand(3, 8, 9, generator=rng)
    with pytest.warns(UserWarning, match=r"meant for \[0, 1\].*: divide"):
        smooth_l0(255 * image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smooth_l0(4 * image - 2)


def test_a_beta_max_below_the_first_beta_is_explained(as_users_run_it):
    with pytest.raises(ValueError, match="no step would be taken: raise beta_max"):
        smooth_l0(torch.rand(1, 4, 4), smoothness=5.0, beta_max=10.0)
