"""Moving least squares against the paper's formulas, its laws, bad input, and gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.images import load_image
from course_lib.warping import KINDS, deform_points, warp_mls

AFFINE = torch.tensor([[1.2, 0.5], [-0.1, 0.8]], dtype=torch.float64)
TURN = torch.tensor([[0.8, 0.6], [-0.6, 0.8]], dtype=torch.float64)
MAPS = {"affine": AFFINE, "similarity": 1.3 * TURN, "rigid": TURN}
SEGMENT_FALLOFFS = (1.0, 0.5, 2.0)  # the closed form, and the quadrature on both sides of it


def draw(rng, *shape, size=100.0, dtype=torch.float64):
    return torch.rand(*shape, generator=rng, dtype=dtype) * size


def reference(v, p, q, kind, falloff):
    """f(v) for one v in float64 numpy, as the paper writes it; equation 7 for the rigid map."""
    w = 1 / ((p - v) ** 2).sum(axis=1) ** falloff
    p_star, q_star = w @ p / w.sum(), w @ q / w.sum()
    p_hat, q_hat = p - p_star, q - q_star

    def rows(a):
        return np.array([a, [a[1], -a[0]]])  # a above -a⊥, with a⊥ = (-y, x)

    if kind == "affine":
        spread = sum(w[i] * np.outer(p_hat[i], p_hat[i]) for i in range(len(p)))
        cross = sum(w[i] * np.outer(p_hat[i], q_hat[i]) for i in range(len(p)))
        return (v - p_star) @ np.linalg.inv(spread) @ cross + q_star
    arm = rows(v - p_star).T
    f = sum(w[i] * q_hat[i] @ rows(p_hat[i]) @ arm for i in range(len(p)))
    if kind == "similarity":
        return f / sum(w[i] * p_hat[i] @ p_hat[i] for i in range(len(p))) + q_star
    return np.linalg.norm(v - p_star) * f / np.linalg.norm(f) + q_star


# ---- known answers


@pytest.mark.parametrize("falloff", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_deform_points_equals_the_papers_formulas(kind, falloff, rng):
    v, p, q = draw(rng, 40, 2), draw(rng, 9, 2), draw(rng, 9, 2)
    expected = np.stack(
        [reference(place, p.numpy(), q.numpy(), kind, falloff) for place in v.numpy()]
    )
    found = deform_points(v, p, q, kind=kind, falloff=falloff)
    torch.testing.assert_close(found, torch.from_numpy(expected), atol=1e-9, rtol=0)


@pytest.mark.parametrize("falloff", SEGMENT_FALLOFFS)
@pytest.mark.parametrize("kind", KINDS)
def test_segments_equal_the_limit_of_many_points_along_them(kind, falloff, rng):
    v, p, q = draw(rng, 12, 2), draw(rng, 4, 2, 2), draw(rng, 4, 2, 2)
    v[0] = p[0, 0] + 0.3 * (p[0, 1] - p[0, 0]) + 0.5  # half a pixel beside a segment
    t = ((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None, None]
    dense_p, dense_q = (((1 - t) * ends[:, 0] + t * ends[:, 1]).reshape(-1, 2) for ends in (p, q))
    length = (p[:, 1] - p[:, 0]).norm(dim=1).expand(4000, -1).reshape(-1)
    found = deform_points(v, p, q, kind=kind, falloff=falloff)
    for place, answer in zip(v, found, strict=True):
        weights = length / ((dense_p - place) ** 2).sum(1) ** falloff
        expected = weighted_fit(place, dense_p, dense_q, weights, kind)
        torch.testing.assert_close(answer, expected, atol=1e-3, rtol=0)


def weighted_fit(v, p, q, w, kind):
    """`reference` with complex numbers instead of loops: M is a factor m, or solved for."""
    p_star, q_star = (w @ ends / w.sum() for ends in (p, q))
    p_hat, q_hat = p - p_star, q - q_star
    if kind == "affine":
        root = w.sqrt()[:, None]
        return (v - p_star) @ torch.linalg.lstsq(root * p_hat, root * q_hat).solution + q_star
    p_hat, q_hat = (torch.view_as_complex(ends.contiguous()) for ends in (p_hat, q_hat))
    m = (w * p_hat.conj() * q_hat).sum() / (w * p_hat.abs() ** 2).sum()
    m = m / m.abs() if kind == "rigid" else m
    return torch.view_as_real(torch.view_as_complex(v - p_star) * m) + q_star


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid_step", [None, 1, 7, 8, 500])
def test_warp_mls_moves_the_picture_with_a_single_handle(kind, grid_step, rng):
    image = draw(rng, 3, 20, 30, size=1.0, dtype=torch.float32)
    handle = torch.tensor([[11.0, 4.0]])
    moved = warp_mls(
        image, handle, handle + torch.tensor([5.0, -2.0]), kind=kind, grid_step=grid_step
    )
    torch.testing.assert_close(moved[:, :-2, 5:], image[:, 2:, :-5], atol=2e-4, rtol=0)
    torch.testing.assert_close(  # what comes from outside repeats the border
        moved[:, :-2, :5], image[:, 2:, :1].expand(-1, -1, 5), atol=2e-4, rtol=0
    )


def test_warp_mls_lays_what_is_at_a_handle_onto_its_target():
    image = torch.zeros(1, 61, 81)
    image[0, 20, 30] = 1.0
    handles = torch.tensor([[30.0, 20.0], [70.0, 10.0], [10.0, 50.0], [60.0, 50.0]])
    moved = handles + torch.tensor([[12.0, 5.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    for kind in KINDS:
        warped = warp_mls(image, handles, moved, kind=kind, grid_step=None)
        assert warped[0, 25, 42] == pytest.approx(1.0, abs=1e-3)
        assert warped[0, 20, 30] < 0.1


# ---- laws


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-3), (torch.float64, 1e-9)])
@pytest.mark.parametrize("falloff", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_reproduces_its_own_maps(kind, falloff, dtype, tolerance, rng):
    for count in (3, 5, 20):
        p, v = draw(rng, count, 2, size=500.0), draw(rng, 200, 2, size=700.0) - 100
        p[:3] = torch.tensor([[20.0, 40.0], [400.0, 90.0], [150.0, 450.0]])  # never in a line
        q, expected = (x @ MAPS[kind] + torch.tensor([30.0, -70.0]).double() for x in (p, v))
        found = deform_points(v.to(dtype), p.to(dtype), q.to(dtype), kind=kind, falloff=falloff)
        close = (found.double() - expected).abs().amax(dim=1) < tolerance
        # An affine fit of three handles, one of which has all the weight, falls back.
        assert close.all() if falloff <= 1 or kind != "affine" else close.double().mean() > 0.85


@pytest.mark.parametrize("falloff", SEGMENT_FALLOFFS)
@pytest.mark.parametrize("kind", KINDS)
def test_segments_reproduce_the_kinds_own_maps_far_away_too(kind, falloff, rng):
    p = draw(rng, 3, 2, 2, size=30.0) + 400
    v = torch.cat([draw(rng, 100, 2, size=1000.0), p.mean(dim=1)])
    q = p @ MAPS[kind] + 5
    found = deform_points(v.float(), p.float(), q.float(), kind=kind, falloff=falloff)
    torch.testing.assert_close(found.double(), v @ MAPS[kind] + 5, atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("falloff", [0.75, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_handles_land_on_their_targets_and_so_do_points_beside_them(kind, falloff, dtype, rng):
    p = draw(rng, 64, 2, size=1000.0, dtype=dtype)
    q = p + 15 * torch.randn(64, 2, generator=rng, dtype=dtype)
    on = deform_points(p, p, q, kind=kind, falloff=falloff)
    assert (on - q).abs().max() < 0.01
    for distance in (1e-4, 1e-3, 1e-2):  # where a weight is huge and float32 could cancel
        step = torch.tensor([distance, 0.0], dtype=dtype)
        beside = deform_points(p + step, p, q, kind=kind, falloff=falloff)
        slack = 0.01 if falloff >= 1 else 0.3  # below 1 the map comes to its targets steeply
        assert (beside - q).abs().max() < slack + 5 * distance


def test_float32_stays_close_to_float64(rng):
    p, v = draw(rng, 64, 2, size=1000.0), draw(rng, 3000, 2, size=1000.0)
    v[:64] = p + 0.03
    q = p + 15 * torch.randn(64, 2, generator=rng, dtype=torch.float64)
    v, p, q = v.float(), p.float(), q.float()
    for kind in KINDS:
        exact = deform_points(v.double(), p.double(), q.double(), kind=kind)
        assert (deform_points(v, p, q, kind=kind) - exact).abs().max() < 2e-3


def test_an_affine_drag_of_many_handles_is_exact_at_every_falloff(rng):
    points, handles = (torch.rand(n, 2, generator=rng) * 300 for n in (4000, 64))
    stretch, shift = torch.tensor([[1, 0.1], [0.15, 1.05]]), torch.tensor([-20.0, -15])
    for falloff in (1.0, 2.0, 3.0, 4.0):
        moved = deform_points(points, handles, handles @ stretch + shift, kind="affine",
                              falloff=falloff)
        assert (moved - (points @ stretch + shift)).norm(dim=1).max() < 0.01


@pytest.mark.parametrize("falloff", SEGMENT_FALLOFFS[::2])
@pytest.mark.parametrize("kind", KINDS)
def test_points_on_a_segment_stay_on_it(kind, falloff, rng):
    p, q = draw(rng, 3, 2, 2, size=30.0), draw(rng, 3, 2, 2, size=30.0)
    p, q = (x + 100 * torch.arange(3)[:, None, None] for x in (p, q))  # apart from each other
    t = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)[:, None, None]
    on_p, on_q = (((1 - t) * x[:, 0] + t * x[:, 1]).reshape(-1, 2) for x in (p, q))
    found = deform_points(on_p, p, q, kind=kind, falloff=falloff)
    if kind != "rigid":  # which can't stretch a segment, but keeps it in its line
        torch.testing.assert_close(found, on_q, atol=0.05, rtol=0)
    q = torch.stack([q[:, 0], q[:, 0] + (p[:, 1] - p[:, 0]) @ TURN], dim=1)
    on_q = ((1 - t) * q[:, 0] + t * q[:, 1]).reshape(-1, 2)
    found = deform_points(on_p, p, q, kind=kind, falloff=falloff)
    torch.testing.assert_close(found, on_q, atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_without_handles_nothing_moves(kind, rng):
    points, image = draw(rng, 7, 2), draw(rng, 3, 9, 9, size=1.0)
    for none in (torch.zeros(0, 2), torch.zeros(0, 2, 2)):
        assert torch.equal(deform_points(points, none, none, kind=kind), points)
        torch.testing.assert_close(warp_mls(image, none, none, kind=kind), image)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_handles_in_one_place_translate_to_their_mean_target(kind, dtype, rng):
    v = draw(rng, 30, 2, dtype=dtype)
    p = torch.tensor([[33.3, 57.1]], dtype=dtype).expand(3, -1)
    q = draw(rng, 3, 2, dtype=dtype)
    expected = v - p[0] + q.mean(dim=0)
    torch.testing.assert_close(deform_points(v, p, q, kind=kind), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_two_handles_in_one_place_count_as_one_with_the_mean_target(kind, rng):
    v, p, q = draw(rng, 30, 2), draw(rng, 6, 2), draw(rng, 6, 2)
    p[1] = p[0]
    v[0] = p[0]
    merged = q.clone()
    merged[:2] = q[:2].mean(dim=0)
    found = deform_points(v, p, q, kind=kind)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[0], merged[0], atol=1e-6, rtol=0)
    if kind != "rigid":  # linear in q: the two targets act through their mean alone
        torch.testing.assert_close(found, deform_points(v, p, merged, kind=kind))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [2, 5])
def test_in_a_line_the_affine_map_is_the_similarity(count, dtype, rng):
    t = torch.linspace(0, 1, count, dtype=dtype)[:, None]
    p = torch.tensor([[10.0, 20.0]], dtype=dtype) + t * torch.tensor([[61.0, 33.0]], dtype=dtype)
    q = p + draw(rng, count, 2, size=9.0, dtype=dtype)
    v = torch.cat([draw(rng, 200, 2, size=120.0, dtype=dtype), p])
    found, expected = (deform_points(v, p, q, kind=kind) for kind in ("affine", "similarity"))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_in_one_place_leave_a_defined_map(kind, rng):
    v, p = draw(rng, 50, 2), draw(rng, 5, 2)
    q = torch.full_like(p, 40.0)
    found = deform_points(v, p, q, kind=kind)
    if kind != "rigid":
        torch.testing.assert_close(found, torch.full_like(v, 40.0))
    assert torch.isfinite(found).all()
    assert torch.isfinite(warp_mls(torch.rand(1, 20, 20), p, q, kind=kind)).all()


@pytest.mark.parametrize("falloff", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 2), (5, 2, 2)])
def test_handles_outside_and_folding_maps_give_finite_pictures(shape, kind, falloff, rng):
    image = draw(rng, 3, 40, 50, size=1.0, dtype=torch.float32)
    p = draw(rng, *shape, size=300.0, dtype=torch.float32) - 150
    q = p.flip(0)  # left goes right: the plane folds
    for grid_step in (None, 8):
        warped = warp_mls(image, p, q, kind=kind, falloff=falloff, grid_step=grid_step)
        assert torch.isfinite(warped).all()
        assert warped.min() >= 0 and warped.max() <= image.max() + 1e-6  # bilinear mixes only


def test_a_segment_without_length_next_to_others_weighs_nothing(rng):
    v, p, q = draw(rng, 30, 2), draw(rng, 3, 2, 2), draw(rng, 3, 2, 2)
    p[0, 1] = p[0, 0]
    torch.testing.assert_close(
        deform_points(v, p, q), deform_points(v, p[1:], q[1:]), atol=0.05, rtol=0
    )
    alone = deform_points(v, p[:1], p[:1] + 4)
    torch.testing.assert_close(alone, v + 4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_grid_stays_within_half_a_pixel_of_the_exact_map(kind, rng):
    y, x = torch.meshgrid(torch.arange(320.0), torch.arange(400.0), indexing="ij")
    ramp = torch.stack([x, y]) / 400  # warping it shows where each pixel comes from
    gentle = []
    for place in (torch.rand(1000, 2, generator=rng) * torch.tensor([399.0, 319.0])).tolist():
        if all(math.dist(place, other) >= 60 for other in gentle):
            gentle.append(place)
    gentle = torch.tensor(gentle)
    angle = torch.rand(len(gentle), generator=rng) * 2 * math.pi
    drawn = torch.rand(25, 2, generator=rng) * 320
    cases = {
        1.0: (gentle, gentle + 10 * torch.stack([angle.cos(), angle.sin()], dim=1)),
        0.99: (drawn, drawn + 10 * torch.randn(25, 2, generator=rng)),
    }
    for share, (p, q) in cases.items():
        exact = warp_mls(ramp, p, q, kind=kind, grid_step=None)
        coarse = warp_mls(ramp, p, q, kind=kind)
        error = 400 * (exact - coarse).norm(dim=0)
        assert (error < 0.5).float().mean() >= share


@pytest.mark.parametrize("kind", KINDS)
def test_warping_forth_and_back_restores_a_gently_warped_photo(kind):
    image = load_image("chelsea", size=200, device="cpu")
    p = torch.tensor([[40.0, 30.0], [150.0, 40.0], [100.0, 100.0], [60.0, 110.0]])
    q = p + torch.tensor([[3.0, -2.0], [-2.0, 3.0], [0.0, 2.0], [-3.0, 0.0]])
    back = warp_mls(warp_mls(image, p, q, kind=kind), q, p, kind=kind)
    inner = (slice(None), slice(15, -15), slice(15, -15))
    assert (back - image)[inner].abs().mean() < 0.6 * (warp_mls(image, p, q) - image)[
        inner
    ].abs().mean()


def test_a_batch_shares_its_warp_and_keeps_its_type(rng):
    batch = draw(rng, 2, 3, 3, 24, 31, size=1.0)
    p = draw(rng, 5, 2, size=24.0)
    q = p + 3
    warped = warp_mls(batch, p, q)
    assert warped.dtype == torch.float64
    torch.testing.assert_close(warped[1, 2], warp_mls(batch[1, 2], p, q))
    half = warp_mls(batch.half(), p.float(), q.float())
    assert half.dtype == torch.float16
    mixed = warp_mls(batch, p.round().half(), q.double())  # computed in the finer type
    torch.testing.assert_close(mixed, warp_mls(batch, p.round(), q), atol=2e-5, rtol=0)
    assert deform_points(p[:0], p, q).shape == (0, 2)
    torch.testing.assert_close(half.double(), warped, atol=5e-3, rtol=0)


@pytest.mark.parametrize("shape", [(0, 2), (4, 2), (3, 2, 2)])
def test_no_points_go_nowhere(shape, rng):
    p, q = torch.rand(2, *shape, generator=rng)
    none = torch.zeros(0, 2, dtype=torch.float64)
    moved = deform_points(none, p, q)
    assert moved.shape == (0, 2) and moved.dtype == torch.float64


def test_the_answer_does_not_depend_on_how_points_are_chunked(rng, monkeypatch):
    v, p, q = draw(rng, 100, 2), draw(rng, 6, 2), draw(rng, 6, 2)
    expected = deform_points(v, p, q)
    monkeypatch.setattr("course_lib.warping.CHUNK", 42)
    torch.testing.assert_close(deform_points(v, p, q), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1)])
def test_the_smallest_pictures_can_be_warped(size):
    image = torch.rand(1, *size)
    p = torch.tensor([[0.0, 0.0], [3.0, 2.0]])
    for grid_step in (None, 1, 8):
        torch.testing.assert_close(warp_mls(image, p, p, grid_step=grid_step), image)


# ---- errors


@st.composite
def bad_handles(draw):
    """Two handle tensors that no method takes."""
    count = draw(st.integers(1, 6))
    good = torch.rand(count, 2) * 50
    spoilt = good.clone()
    spoilt[draw(st.integers(0, count - 1)), draw(st.integers(0, 1))] = draw(
        st.sampled_from([math.nan, math.inf, -math.inf, 1e30])
    )
    integers = draw(st.sampled_from([torch.uint8, torch.int64, torch.int32, torch.bool]))
    wrong_shape = torch.rand(
        draw(st.lists(st.integers(1, 5), max_size=4).filter(
            lambda s: tuple(s[1:]) not in ((2,), (2, 2)) or len(s) == 0
        ))
    )
    pair = draw(st.sampled_from([
        (spoilt, good), (good, spoilt), (good.to(integers), good), (good, good.to(integers)),
        (good, good[:-1]), (good, torch.cat([good, good])), (wrong_shape, wrong_shape),
        (good, torch.stack([good, good], dim=1)), (good.tolist(), good), (good, None),
        (good.numpy(), good.numpy()),
    ]))
    return pair


@st.composite
def bad_options(draw):
    return draw(st.sampled_from([
        {"kind": draw(st.text().filter(lambda text: text not in KINDS))},
        {"kind": draw(st.sampled_from([None, 1, [], {}]))},
        {"falloff": draw(st.floats(max_value=0))},
        {"falloff": draw(st.sampled_from([math.nan, None, "1", True, [1.0]]))},
    ]))


BAD_POINTS = st.sampled_from([
    torch.rand(2), torch.rand(3, 3), torch.rand(2, 2, 2), torch.tensor(1.0),
    torch.full((3, 2), math.nan), torch.full((3, 2), 1e20), torch.ones(3, 2, dtype=torch.int64),
    [[1.0, 2.0]], None, np.ones((3, 2)),
])
BAD_IMAGES = st.sampled_from([
    torch.rand(8, 8), torch.rand(0, 8, 8), torch.rand(8, 8, 3), torch.full((1, 4, 4), math.nan),
    torch.ones(3, 8, 8, dtype=torch.uint8), np.ones((3, 8, 8)), None, "chelsea",
])
BAD_STEPS = st.one_of(
    st.integers(max_value=0), st.floats(allow_nan=True), st.sampled_from(["8", True, [8]])
)
GOOD = torch.tensor([[1.0, 2.0], [6.0, 5.0], [3.0, 7.0]])


def refused(call, *args, **options):
    """The call raises a `ValueError` of one sentence: what, consequence: remedy."""
    with pytest.raises(ValueError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert message.endswith(".") and ": " in message and len(message) < 400, message


@given(st.data())
def test_deform_points_refuses_bad_input_with_a_sentence(as_users_run_it, data):
    points, pair, options = torch.rand(4, 2), (GOOD, GOOD + 1), {}
    spoil = data.draw(st.sampled_from(["points", "pair", "options"]))
    points = data.draw(BAD_POINTS) if spoil == "points" else points
    pair = data.draw(bad_handles()) if spoil == "pair" else pair
    options = data.draw(bad_options()) if spoil == "options" else options
    refused(deform_points, points, *pair, **options)


@given(st.data())
def test_warp_mls_refuses_bad_input_with_a_sentence(as_users_run_it, data):
    image, pair, options = torch.rand(3, 8, 9), (GOOD, GOOD + 1), {}
    spoil = data.draw(st.sampled_from(["image", "pair", "options", "step"]))
    image = data.draw(BAD_IMAGES) if spoil == "image" else image
    pair = data.draw(bad_handles()) if spoil == "pair" else pair
    options = data.draw(bad_options()) if spoil == "options" else options
    options = {"grid_step": data.draw(BAD_STEPS)} if spoil == "step" else options
    refused(warp_mls, image, *pair, **options)


# ---- gradcheck


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, falloff", [((4, 2), 1.0), ((4, 2), 1.7), ((3, 2, 2), 1.0),
                                            ((3, 2, 2), 1.7)])
def test_deform_points_is_differentiable(shape, falloff, kind, rng):
    inputs = [draw(rng, 3, 2, size=10.0), draw(rng, *shape, size=10.0),
              draw(rng, *shape, size=10.0)]
    inputs = [tensor.requires_grad_() for tensor in inputs]
    assert torch.autograd.gradcheck(
        lambda v, p, q: deform_points(v, p, q, kind=kind, falloff=falloff), inputs
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_stay_finite_where_the_map_is_degenerate(kind):
    p = torch.tensor([[1.0, 1.0], [5.0, 5.0], [5.0, 5.0]])
    for handles in (p, p[:1], torch.stack([p, p], dim=1)):
        v, q = p.clone().requires_grad_(), handles.clone().requires_grad_()
        deform_points(v, handles, q, kind=kind).sum().backward()
        assert torch.isfinite(v.grad).all() and torch.isfinite(q.grad).all()
