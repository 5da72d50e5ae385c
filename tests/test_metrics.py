"""Numbers for how well a generator or an edit did."""

import pytest
import torch

from course_lib import metrics
from course_lib.generators import load_generator
from course_lib.images import load_image
from course_lib.metrics import (
    detail_energy,
    edit_consistency,
    nearest_sample,
    psnr,
    sliced_wasserstein,
    ssim,
)
from tests.toys import tame


def blobs(n: int, rng: torch.Generator, width: float = 6) -> torch.Tensor:
    """Random soft discs, (n, 3, 32, 32)."""
    centre = torch.rand(n, 2, 1, 1, generator=rng) * 16 + 8
    axis = torch.arange(32.0)
    square = (axis - centre[:, :1]) ** 2 + (axis[:, None] - centre[:, 1:]) ** 2
    color = torch.rand(n, 3, 1, 1, generator=rng)
    return color * torch.exp(-square / width**2)


def test_a_set_is_at_no_distance_from_itself_with_the_same_patches(rng):
    images = blobs(20, rng)
    pyramid = sliced_wasserstein(images, images, rng=rng, patches=500)
    assert pyramid.shape == (2,)
    assert (pyramid < 20).all()


def test_two_draws_of_one_set_are_nearer_than_two_kinds(rng):
    floor = sliced_wasserstein(blobs(100, rng), blobs(100, rng), rng=rng)
    other = sliced_wasserstein(blobs(100, rng), blobs(100, rng, width=3), rng=rng)
    noise = sliced_wasserstein(blobs(100, rng), torch.rand(100, 3, 32, 32, generator=rng), rng=rng)
    assert (other > 1.5 * floor).all()
    assert (noise > other).all()


def test_distance_is_symmetric_in_its_sets(rng):
    a, b = blobs(100, rng), blobs(100, rng, width=3)
    there = sliced_wasserstein(a, b, rng=rng, patches=100)
    back = sliced_wasserstein(b, a, rng=rng, patches=100)
    torch.testing.assert_close(there, back, rtol=0.2, atol=5)


def test_along_one_direction_it_is_the_distance_of_sorted_values(rng):
    # Pictures of one grey each differ only in the coarsest level, whose normalised patches are
    # constant: half black and white against a quarter and three quarters.
    values = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 1, 1, 1])
    a, b = (v[:, None, None, None].expand(4, 1, 16, 16) for v in values)
    found = sliced_wasserstein(a, b, rng=rng, patches=500, projections=2000)
    normal = [(v - v.mean()) / v.repeat(500).repeat_interleave(49).std() for v in values]
    gap = (normal[0].sort().values - normal[1].sort().values).abs().mean()
    # A constant patch c projects to c * Σ direction, and E|Σ direction| = √(2 / π) for unit length.
    expected = 1000 * gap * (2 / torch.pi) ** 0.5
    torch.testing.assert_close(found[0], expected, rtol=0.1, atol=0)


@pytest.mark.parametrize("shapes", [((4, 3, 8, 8),) * 2, ((4, 3, 32, 32), (5, 3, 32, 32))])
@pytest.mark.usefixtures("as_users_run_it")
def test_sets_that_cannot_be_compared_are_refused(shapes, rng):
    with pytest.raises(ValueError, match="compared"):
        sliced_wasserstein(*(torch.rand(shape, generator=rng) for shape in shapes), rng=rng)
    with pytest.raises(ValueError, match="rng is 0, but"):
        sliced_wasserstein(*torch.rand(2, 4, 3, 16, 16, generator=rng), rng=0)


def test_psnr_counts_decibels_below_the_peak():
    image = torch.full((2, 3, 16, 16), 0.5)
    target = image + torch.tensor([0.1, 0.01])[:, None, None, None]
    torch.testing.assert_close(psnr(image, target), torch.tensor([20.0, 40.0]), atol=1e-3, rtol=0)


def test_ssim_is_one_for_equals_and_falls_with_lost_structure(rng):
    image = blobs(2, rng)
    brighter, noisy = image + 0.05, image + 0.1 * torch.randn(image.shape, generator=rng)
    torch.testing.assert_close(ssim(image, image), torch.ones(2))
    assert (ssim(image, brighter) > ssim(image, noisy)).all()


def test_ssim_is_the_papers_formula_on_constant_pictures():
    # Without variance only the luminance term is left: (2ab + C1) / (a² + b² + C1).
    a, b, c1 = 0.3, 0.6, 0.01**2
    found = ssim(torch.full((1, 1, 16, 16), a), torch.full((1, 1, 16, 16), b))
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_samples_lie_nearer_to_samples_than_what_the_generator_never_draws(rng):
    generator = load_generator("cats")
    codes = generator.sample_latent(110, rng=rng)
    samples, fresh = generator.decode(codes).clamp(0, 1).split([100, 10])
    there = nearest_sample(generator, torch.cat([samples[:10], fresh, fresh.flip(2)]), samples)
    known, new, upside_down = there.split(10)
    assert known.max() < 1e-4 * new.mean()
    assert upside_down.mean() > 1.2 * new.mean()


def test_an_exact_inverse_is_consistent_and_a_forgetful_one_is_not(rng):
    generator = tame(rng)
    codes = generator.sample_latent(4, space="w", rng=rng)
    images, change = generator.decode(codes, space="w"), torch.full((8,), 0.3)
    answers = iter([codes, codes + change])
    exact = edit_consistency(generator, lambda _: next(answers), images, change, space="w")
    torch.testing.assert_close(exact, torch.zeros(4))
    forgetful = edit_consistency(generator, lambda _: codes, images, change, space="w")
    expected = (change / generator.latent_std("w")).square().mean().sqrt().expand(4)
    torch.testing.assert_close(forgetful, expected)


def test_detail_is_what_half_the_size_cannot_hold(rng):
    image = torch.rand(2, 3, 40, 48, generator=rng)
    half = torch.nn.functional.interpolate(image, (20, 24), mode="area")
    large = torch.nn.functional.interpolate(half, (40, 48), mode="bicubic")
    noise, soft = detail_energy(image), detail_energy(large)
    assert noise.shape == (2,) and (soft < 0.1 * noise).all()
    torch.testing.assert_close(detail_energy(2 * image[0]), 4 * noise[0])


def test_the_frechet_distance_of_gaussians_is_its_closed_form(rng):
    first = torch.randn(4000, 6, generator=rng, dtype=torch.float64) * torch.arange(1, 7)
    second = first * 2 + 3  # covariances 4 times as large, along the same axes
    spread = (first.var(dim=0)).sum()
    assert metrics._frechet(first, first) == pytest.approx(0, abs=1e-6)
    expected = float((first.mean(dim=0) + 3).square().sum() + spread)
    assert metrics._frechet(first, second) == pytest.approx(expected, rel=1e-6)


def test_the_frechet_distance_agrees_with_a_matrix_root(rng):
    from scipy.linalg import sqrtm

    mix = torch.randn(5, 5, generator=rng, dtype=torch.float64)
    first, second = (torch.randn(50, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    second = second @ mix + 1
    a, b = torch.cov(first.T).numpy(), torch.cov(second.T).numpy()
    expected = float((first.mean(dim=0) - second.mean(dim=0)).square().sum()) + (
        a + b - 2 * sqrtm(a @ b)).real.trace()
    assert metrics._frechet(first, second) == pytest.approx(expected, rel=1e-6)


def test_the_frechet_distance_grows_with_noise(rng):
    photo = load_image("chelsea")
    corners = torch.randint(64, (40, 2), generator=rng)
    crops = torch.stack([photo[:, 2 * y:2 * y + 32, 4 * x:4 * x + 32] for y, x in corners])
    noise = torch.randn(crops.shape, generator=rng)
    found = [metrics.frechet_distance(crops, (crops + level * noise).clamp(0, 1), seen_at=32)
             for level in (0, 0.02, 0.1, 0.3)]
    assert found[0] == pytest.approx(0, abs=1e-3) and found == sorted(found)
    assert metrics.frechet_distance(crops.flip(0), crops, seen_at=32) == pytest.approx(0, abs=1e-3)
    with pytest.raises(ValueError, match="at least two colour pictures"):
        metrics.frechet_distance(crops[:1], crops)
