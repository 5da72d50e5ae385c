"""Poisson blending against sparse direct solves in float64, its laws, and its errors."""

import numpy as np
import pytest
import scipy.sparse as sparse
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from course_lib.blending import (
    blend_poisson,
    change_illumination,
    color_to_gray,
    flatten_texture,
    guidance_energy,
    recolor,
    seamless_clone,
    tile_seamlessly,
)
from course_lib.gradients import divergence, gradient
from course_lib.images import load_image
from course_lib.results import Solution

QUANTUM = 1 / 512  # half a step of an 8-bit picture


def solve_directly(target, field, mask):
    """The minimum of Σ |∇u - v|² with u = target outside Ω, by a sparse float64 factorisation."""
    target, field, mask = target.double().numpy(), field.double().numpy(), mask.numpy()
    height, width = mask.shape
    pixel = np.arange(height * width).reshape(height, width)
    first = np.concatenate([pixel[:, :-1].ravel(), pixel[:-1].ravel()])
    second = np.concatenate([pixel[:, 1:].ravel(), pixel[1:].ravel()])
    pairs = np.arange(len(first))
    ones = np.ones(len(first))
    difference = sparse.coo_matrix(
        (np.concatenate([-ones, ones]), (np.tile(pairs, 2), np.concatenate([first, second]))),
        shape=(len(first), height * width),
    ).tocsc()
    wanted = np.concatenate([
        field[0, :, :, :-1].reshape(len(target), -1), field[1, :, :-1].reshape(len(target), -1)
    ], axis=1)
    inside = mask.ravel()
    known = np.where(inside, 0, target.reshape(len(target), -1))
    inner = difference[:, inside]
    right = inner.T @ (wanted.T - difference @ known.T)
    known[:, inside] = scipy.sparse.linalg.splu((inner.T @ inner).tocsc()).solve(right).T
    return torch.from_numpy(known.reshape(target.shape))


def blobs(rng, height, width, scale, part):
    coarse = torch.rand(1, 1, max(2, height // scale), max(2, width // scale), generator=rng)
    smooth = interpolate(coarse, size=(height, width), mode="bicubic")[0, 0]
    return smooth < smooth.quantile(part)


def fresh_mask(rng, kind, height, width):
    if kind == "blobs":  # several pieces, ragged, with holes, some at the border
        return blobs(rng, height, width, 12, 0.5)
    if kind == "noise":
        return torch.rand(height, width, generator=rng) < 0.6
    mask = torch.zeros(height, width, dtype=torch.bool)
    if kind == "pixel":
        mask[height // 3, width // 2] = True
    elif kind == "border":
        mask[:, : width // 2] = True
    elif kind == "all but one":
        mask[:] = True
        mask[height // 2, width // 3] = False
    return mask


@pytest.fixture(scope="module")
def photos():
    return [load_image(name, size=170, device="cpu") for name in ("coffee", "rocket")]


# --- known answers ---------------------------------------------------------------------------


def test_a_line_between_two_known_ends_follows_its_gradients():
    target = torch.tensor([[[0.0, 9, 9, 9, 1.0]]])
    field = torch.zeros(2, 1, 1, 5)
    inside = torch.tensor([[False, True, True, True, False]])
    straight = blend_poisson(target, field, inside, tol=1e-6).value
    torch.testing.assert_close(straight, torch.tensor([[[0.0, 0.25, 0.5, 0.75, 1.0]]]))


def test_blend_poisson_restores_an_image_from_its_own_gradient_and_one_pixel(rng):
    image = torch.rand(3, 40, 31, generator=rng)
    inside = torch.ones(40, 31, dtype=torch.bool)
    inside[20, 7] = False
    solution = blend_poisson(image.masked_fill(inside, 0.0), gradient(image), inside)
    assert solution.converged
    assert (solution.value - image).abs().max() <= QUANTUM


@pytest.mark.parametrize("kind", ["blobs", "noise", "pixel", "border", "all but one"])
@pytest.mark.parametrize("mode", ["source", "mixed", "average"])
def test_seamless_clone_is_the_direct_solution(kind, mode):
    rng = torch.Generator().manual_seed(torch.seed() % 2**31)  # drawn anew in each run
    height, width = (int(torch.randint(20, 257, (), generator=rng)) for _ in range(2))
    source, target = torch.rand(2, 2, height, width, generator=rng)
    mask = fresh_mask(rng, kind, height, width)
    solution = seamless_clone(source, target, mask, gradients=mode)
    field, other = gradient(source), gradient(target)
    if mode == "mixed":
        field = torch.where(other.abs() > field.abs() + 1e-6, other, field)
    elif mode == "average":
        field = (field + other) / 2
    assert solution.converged
    error = (solution.value - solve_directly(target, field, mask)).abs().max()
    assert error <= QUANTUM, (rng.initial_seed(), height, width)


@pytest.mark.parametrize("size", [(2, 1000), (3000, 2), (8, 3000), (100, 4990)])
def test_a_strip_that_is_fixed_at_one_end_is_filled_exactly(size, rng):
    source = torch.rand(3, *size, generator=rng)
    mask = torch.ones(size, dtype=torch.bool)
    mask[0 if size[0] > size[1] else slice(None), 0 if size[1] > size[0] else slice(None)] = False
    found = blend_poisson(torch.where(mask, 0.5, source + 0.3), gradient(source), mask)
    assert found.converged and found.value.dtype == torch.float32
    assert (found.value - source - 0.3).abs().max() <= QUANTUM


def test_of_equal_gradients_the_source_s_are_taken_whatever_rounding_says(rng):
    # Bytes of few levels, so that many differences are equal: decided in whole numbers.
    source, target = torch.randint(0, 8, (2, 3, 40, 50), generator=rng) * 30
    mask = blobs(rng, 40, 50, 8, 0.5)
    field, other = gradient(source.double()), gradient(target.double())
    exact = torch.where(field.abs() >= other.abs(), field, other) / 255
    expected = solve_directly(target / 255, exact, mask)
    for dtype in (torch.float32, torch.float64):
        pictures = (picture.to(torch.float32).div(255).to(dtype) for picture in (source, target))
        found = seamless_clone(*pictures, mask, gradients="mixed").value
        assert (found - expected).abs().max() <= QUANTUM


def test_photos_are_blended_within_half_a_grey_level_of_the_direct_solution(photos):
    coffee, rocket = (interpolate(p[None], size=(256, 256))[0] for p in photos)
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    ellipse = ((x - 120) / 90) ** 2 + ((y - 130) / 70) ** 2 < 1
    solution = seamless_clone(coffee, rocket, ellipse)
    exact = solve_directly(rocket, gradient(coffee), ellipse)
    assert (solution.value - exact).abs().max() <= QUANTUM


# --- laws ------------------------------------------------------------------------------------


def test_pixels_outside_the_mask_are_the_targets_bit_for_bit(rng, photos):
    coffee = photos[0].clone()
    coffee[0, 0, 0] = -0.0
    mask = blobs(rng, *coffee.shape[-2:], 20, 0.4)
    mask[0, 0] = False
    before = coffee.clone()
    value = seamless_clone(coffee.flip(-1), coffee, mask).value
    assert torch.equal(value.view(torch.int32)[:, ~mask], before.view(torch.int32)[:, ~mask])
    assert torch.equal(coffee, before)
    assert not torch.equal(value, before)


def test_a_source_that_is_brighter_everywhere_is_blended_alike(rng):
    source, target = torch.rand(2, 3, 30, 30, generator=rng)
    mask = blobs(rng, 30, 30, 6, 0.5)
    one, two = (seamless_clone(s, target, mask, tol=1e-6).value for s in (source, source + 0.3))
    torch.testing.assert_close(one, two, atol=1e-4, rtol=0)


def test_a_target_is_its_own_blend(rng):
    target = torch.rand(3, 30, 30, generator=rng)
    mask = blobs(rng, 30, 30, 6, 0.5)
    for mode in ("source", "mixed", "average"):
        value = seamless_clone(target, target, mask, gradients=mode).value
        torch.testing.assert_close(value, target, atol=1e-6, rtol=0)


def test_mixed_gradients_keep_the_targets_texture_where_the_source_is_flat(rng):
    target = torch.rand(3, 30, 30, generator=rng)
    mask = blobs(rng, 30, 30, 6, 0.5)
    value = seamless_clone(torch.zeros_like(target), target, mask, gradients="mixed").value
    torch.testing.assert_close(value, target, atol=1e-6, rtol=0)


@pytest.mark.parametrize("offset", [(0, 0), (7, 3), (-9, -4), (12, -6), (25, 20)])
def test_offset_moves_the_source_which_may_hang_over_the_edge(rng, offset):
    source, target = torch.rand(3, 20, 26, generator=rng), torch.rand(3, 24, 30, generator=rng)
    mask = blobs(rng, 20, 26, 5, 0.7)
    mask[0, 0] = mask[-1, -1] = True
    canvas, placed = target.clone(), torch.zeros(24, 30, dtype=torch.bool)
    for y in range(-2, 26):  # the source's border pixels go on around it
        for x in range(-2, 32):
            row, column = y - offset[1], x - offset[0]
            if 0 <= y < 24 and 0 <= x < 30:
                canvas[:, y, x] = source[:, max(0, min(19, row)), max(0, min(25, column))]
                if 0 <= row < 20 and 0 <= column < 26:
                    placed[y, x] = mask[row, column]
    moved = seamless_clone(source, target, mask, offset=offset, tol=1e-6).value
    by_hand = blend_poisson(target, gradient(canvas), placed, tol=1e-6).value
    torch.testing.assert_close(moved, by_hand, atol=1e-5, rtol=0)


def test_a_batch_is_blended_as_each_of_its_pictures(rng):
    source, target = torch.rand(2, 4, 3, 25, 21, generator=rng)
    mask = blobs(rng, 25, 21, 6, 0.5)
    together = seamless_clone(source, target, mask, tol=1e-6).value
    for index in range(4):
        alone = seamless_clone(source[index], target[index], mask, tol=1e-6).value
        torch.testing.assert_close(together[index], alone, atol=1e-4, rtol=0)


def test_values_are_not_clamped():
    target, source = torch.ones(1, 9, 9), torch.zeros(1, 9, 9)
    source[0, 4, 4] = 1
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[2:7, 2:7] = True
    assert seamless_clone(source, target, mask).value.max() > 1.2


@pytest.mark.parametrize("side", [416, 576, 640, 960])
def test_a_square_of_any_side_takes_a_few_steps(side, rng):
    source = torch.rand(1, side + 64, side + 64, generator=rng)  # noise, the hardest to fit
    mask = torch.zeros(source.shape[1:], dtype=torch.bool)
    mask[60 : 60 + side, 60 : 60 + side] = True
    found = seamless_clone(source, torch.zeros_like(source), mask, max_steps=20)
    assert found.converged and len(found.residuals) <= 8


def test_the_number_of_steps_hardly_grows_with_the_picture(photos):
    steps = []
    for size in (256, 1024):
        coffee, rocket = (interpolate(p[None], size=(size, size), mode="bilinear")[0]
                          for p in photos)
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        ellipse = (x / size - 0.5) ** 2 + (y / size - 0.5) ** 2 < 0.5 / torch.pi
        steps.append(len(seamless_clone(coffee, rocket, ellipse).residuals))
    assert steps[1] - steps[0] <= 2


@pytest.mark.parametrize("kind", ["ellipse", "square", "ragged"])
def test_four_steps_are_enough_for_masks_of_any_outline(kind, photos, rng):
    size = 512
    coffee, rocket = (interpolate(p[None], size=(size, size), mode="bilinear")[0] for p in photos)
    axis = (torch.arange(size) - size / 2) / size
    mask = {"ellipse": axis[:, None] ** 2 + axis**2 < 0.5 / torch.pi,
            "square": (axis[:, None].abs() < 0.25) & (axis.abs() < 0.25),
            "ragged": blobs(rng, size, size, 32, 0.5)}[kind]
    solution = seamless_clone(coffee, rocket, mask)
    assert solution.converged and len(solution.residuals) <= 4
    exact = seamless_clone(coffee.double(), rocket.double(), mask, tol=1e-8).value
    assert (solution.value - exact).abs().max() <= QUANTUM


def test_the_solution_minimises_the_guidance_energy(rng):
    target, mask = torch.rand(1, 20, 20, generator=rng), blobs(rng, 20, 20, 5, 0.5)
    field = torch.randn(2, 1, 20, 20, generator=rng)
    value = blend_poisson(target, field, mask, tol=1e-7).value
    least = guidance_energy(value, field, mask)
    for _ in range(10):
        nudge = 0.01 * torch.randn(1, 20, 20, generator=rng) * mask
        assert guidance_energy(value + nudge, field, mask) > least


def test_flatten_texture_without_edges_is_the_membrane_and_with_all_of_them_the_picture(photos):
    coffee = photos[0]
    mask = torch.zeros(coffee.shape[-2:], dtype=torch.bool)
    mask[30:90, 40:120] = True
    flat = flatten_texture(coffee, mask, low=10.0, high=10.0, tol=1e-6).value
    membrane = blend_poisson(coffee, torch.zeros_like(gradient(coffee)), mask, tol=1e-6).value
    torch.testing.assert_close(flat, membrane, atol=1e-5, rtol=0)
    usual = flatten_texture(coffee, mask).value
    size = [gradient(p)[..., mask].abs().mean() for p in (flat, usual, coffee)]
    assert size[0] < size[1] < 0.9 * size[2]


def test_change_illumination_opens_shadows_and_beta_zero_is_the_identity(photos):
    rocket = photos[1]
    mask = torch.zeros(rocket.shape[-2:], dtype=torch.bool)
    mask[20:90, 30:130] = True
    same = change_illumination(rocket, mask, beta=0.0).value
    torch.testing.assert_close(same, rocket, atol=1e-2, rtol=0)
    log = rocket.clamp_min(1 / 255).log()
    changed = change_illumination(rocket, mask).value.clamp_min(1 / 255).log()
    spread = [gradient(p)[..., mask].square().sum(0).sqrt().std() for p in (log, changed)]
    assert spread[1] < spread[0]  # gradients come closer to each other
    assert torch.equal(changed[:, ~mask], log[:, ~mask])


def test_recolor_multiplies_the_gradients_inside(rng):
    image = torch.rand(3, 24, 24, generator=rng)
    mask = torch.zeros(24, 24, dtype=torch.bool)
    mask[5:19, 5:19] = True
    value = recolor(image, mask, gains=(2.0, 1.0, 0.0), tol=1e-6).value
    flat = blend_poisson(image, torch.zeros_like(gradient(image)), mask, tol=1e-6).value
    torch.testing.assert_close(value[1], image[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(value[0] - image[0], image[0] - flat[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(value[2], flat[2], atol=1e-5, rtol=0)


def test_tile_seamlessly_makes_opposite_borders_equal_and_keeps_the_gradients_inside(photos):
    tile = tile_seamlessly(photos[0]).value
    assert torch.equal(tile[..., 0], tile[..., -1]) and torch.equal(tile[:, 0], tile[:, -1])
    inner = divergence(gradient(tile) - gradient(photos[0]))[..., 1:-1, 1:-1]
    assert inner.abs().max() < 1e-2


def test_color_to_gray_keeps_a_contrast_that_the_mean_loses():
    image = torch.zeros(3, 16, 16)
    image[0, :, :8], image[1, :, 8:] = 0.6, 0.6  # red beside green, as bright
    gray = color_to_gray(image).value
    mean = image.mean(0)
    assert (mean[:, 7] - mean[:, 8]).abs().max() < 1e-6
    assert (gray[0, :, 7] - gray[0, :, 8]).abs().min() > 0.3


def test_color_to_gray_minimises_its_energy_and_far_from_it_is_the_mean(rng):
    image = torch.rand(3, 12, 15, generator=rng, dtype=torch.float64)
    solution = color_to_gray(image, closeness=0.05)
    field = gradient(image)
    field = field.gather(-3, field.abs().argmax(-3, keepdim=True))
    mean = image.mean(0, keepdim=True)

    def energy(gray):
        return (gradient(gray) - field).square().sum() + 0.05 * (gray - mean).square().sum()

    least = energy(solution.value)
    torch.testing.assert_close(sum(e[-1] for e in solution.energies.values()), least)
    for _ in range(10):
        nudge = 0.01 * torch.randn(solution.value.shape, generator=rng, dtype=torch.float64)
        assert energy(solution.value + nudge) > least
    close = color_to_gray(image, closeness=1e6).value
    torch.testing.assert_close(close, mean, atol=1e-4, rtol=0)


@pytest.mark.parametrize("closeness", [1e-6, 1e-3, 1e6])
def test_grey_is_as_bright_on_the_whole_as_its_colours(closeness, rng):
    image = torch.rand(2, 3, 40, 50, generator=rng)
    gray = color_to_gray(image, closeness=closeness).value
    same = torch.testing.assert_close
    same(gray.mean((-3, -2, -1)), image.mean((-3, -2, -1)), atol=1e-6, rtol=0)
    double = color_to_gray(image.double(), closeness=closeness).value
    same(gray.double(), double, atol=1e-4, rtol=0)


def test_no_mode_hands_on_half_a_derivative(rng):
    image = torch.rand(3, 9, 9, generator=rng).requires_grad_()
    for name, method in METHODS.items():
        if name != "gray":
            assert not method(image, hole()).value.requires_grad, name
    assert not color_to_gray(image).value.requires_grad


def test_the_offset_may_come_from_numpy(as_users_run_it, rng):
    source, target = torch.rand(2, 3, 20, 20, generator=rng)
    mask = blobs(rng, 20, 20, 4, 0.5)
    moved = seamless_clone(source, target, mask, offset=(np.int64(3), np.int64(-2))).value
    assert torch.equal(moved, seamless_clone(source, target, mask, offset=(3, -2)).value)


def test_callback_sees_each_step(rng):
    source, target = torch.rand(2, 3, 30, 30, generator=rng)
    seen = []
    solution = seamless_clone(
        source, target, blobs(rng, 30, 30, 6, 0.5), callback=lambda k, u: seen.append(u)
    )
    assert len(seen) == len(solution.residuals)
    assert torch.equal(seen[-1], solution.value) and seen[0].shape == target.shape


# --- errors ----------------------------------------------------------------------------------


def hole():
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[3:6, 3:6] = True
    return mask


IMAGE = torch.linspace(0, 1, 243).reshape(3, 9, 9)
METHODS = {
    "blend": lambda image, mask, **k: blend_poisson(image, gradient(IMAGE), mask, **k),
    "clone": lambda image, mask, **k: seamless_clone(IMAGE, image, mask, **k),
    "clone from": lambda image, mask, **k: seamless_clone(image, IMAGE, mask, **k),
    "flatten": flatten_texture,
    "illumination": change_illumination,
    "recolor": recolor,
    "tile": lambda image, mask, **k: tile_seamlessly(image, **k),
    "gray": lambda image, mask: color_to_gray(image),
}


def bad_images():
    shapes = st.sampled_from([(), (9,), (9, 9), (0, 9, 9), (3, 0, 9), (3, 9, 0), (9, 9, 3)])
    number = torch.arange(IMAGE.numel()).reshape(IMAGE.shape)
    spoiled = st.tuples(
        st.sampled_from([float("nan"), float("inf"), -float("inf")]),
        st.integers(0, IMAGE.numel() - 1),
    ).map(lambda spoil: torch.where(number == spoil[1], spoil[0], IMAGE))
    return st.one_of(
        shapes.map(torch.zeros),
        spoiled,
        st.sampled_from([
            torch.uint8, torch.int64, torch.bool, torch.float16, torch.bfloat16
        ]).map(lambda d: (IMAGE * 255).to(d)),
        st.just(Solution(IMAGE, torch.zeros(1), True)),
        st.sampled_from([None, "chelsea", 3, [[1.0]], np.zeros((3, 9, 9))]),
    )


def bad_masks():
    return st.one_of(
        st.sampled_from([None, "all", np.ones((9, 9), bool), hole().float(), hole().long()]),
        st.tuples(st.integers(1, 12), st.integers(1, 12)).filter(lambda s: s != (9, 9)).map(
            lambda size: torch.ones(size, dtype=torch.bool)
        ),
        st.sampled_from([torch.zeros(9, 9), torch.ones(9, 9)]).map(torch.Tensor.bool),
        st.just(hole()[None]),
    )


def assert_explains(call):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert message.endswith(".") and ":" in message and 40 < len(message) < 400, message




@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_bad_input_is_explained(as_users_run_it, method, data):
    kinds = ["image"] if method in ("tile", "gray") else ["image", "mask", "option"]
    kind = data.draw(st.sampled_from(kinds))
    image, mask, options = IMAGE, hole(), {}
    if kind == "image":
        image = data.draw(bad_images())
    elif kind == "mask":
        mask = data.draw(bad_masks())
    else:
        options = data.draw(st.sampled_from([
            {"tol": 0.0}, {"tol": -1.0}, {"tol": float("nan")}, {"tol": "fine"},
            {"max_steps": 0}, {"max_steps": 2.5}, {"max_steps": True}, {"callback": 3},
        ]))
    assert_explains(lambda: METHODS[method](image, mask, **options))


@pytest.mark.parametrize(
    "call",
    [
        lambda: blend_poisson(IMAGE, gradient(IMAGE)[:, :2], hole()),
        lambda: blend_poisson(IMAGE, gradient(IMAGE)[..., :-1], hole()),
        lambda: blend_poisson(IMAGE, gradient(IMAGE) * float("nan"), hole()),
        lambda: seamless_clone(IMAGE[:2], IMAGE, hole()),
        lambda: seamless_clone(IMAGE[None], IMAGE, hole()),
        lambda: seamless_clone(IMAGE, IMAGE, hole(), gradients="both"),
        lambda: seamless_clone(IMAGE, IMAGE, hole(), offset=(40, 0)),
        lambda: seamless_clone(IMAGE, IMAGE, hole(), offset=(0.5, 0)),
        lambda: seamless_clone(IMAGE, IMAGE, hole(), offset=3),
        lambda: seamless_clone(IMAGE, IMAGE[:, 3:6, 3:6], hole(), offset=(-3, -3)),
        lambda: flatten_texture(IMAGE, hole(), low=0.5, high=0.1),
        lambda: flatten_texture(IMAGE[None], hole()),
        lambda: change_illumination(IMAGE, hole(), alpha=0.0),
        lambda: change_illumination(IMAGE, hole(), beta=2.0),
        lambda: recolor(IMAGE, hole(), gains=(1.0, 1.0)),
        lambda: recolor(IMAGE, hole(), gains=(1.0, 1.0, -1.0)),
        lambda: tile_seamlessly(IMAGE[:, :2]),
        lambda: color_to_gray(IMAGE[:1]),
        lambda: color_to_gray(IMAGE, closeness=0.0),
        lambda: color_to_gray(IMAGE, closeness=1e-12),
        lambda: color_to_gray(IMAGE, closeness=1e39),
        lambda: guidance_energy(IMAGE, gradient(IMAGE)[..., :-1], hole()),
        lambda: guidance_energy(IMAGE, gradient(IMAGE), hole().float()),
        lambda: guidance_energy(None, gradient(IMAGE), hole()),
    ],
)
def test_what_does_not_fit_together_is_explained(as_users_run_it, call):
    assert_explains(call)
