"""The lessons' own checks: the solution passes, and answers that are nearly right do not.

Also the README's code, which people paste.
"""

import copy
import json
import re
from functools import partial
from pathlib import Path

import pytest
import torch

from course_lib.gradients import gradient
from course_lib.losses import perceptual_loss, pixel_loss, weighted_sum
from tests.toys import tame

ROOT = Path(__file__).parents[1]


def run_cells(lesson: str, *ids: str, **names) -> dict:
    """What these cells of a lesson define, run with `names` at hand."""
    path = next((ROOT / "notebooks").glob(f"{lesson}*.ipynb"))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names |= {"torch": torch, "rng": torch.Generator().manual_seed(0), "device": "cpu"}
    for cell in ids:
        exec(sources[cell], names)
    return names


def drop_weak_in_place(dx, dy, threshold):
    weak = (dx**2 + dy**2).sum(0) < threshold
    dx[:, weak], dy[:, weak] = 0, 0
    return dx, dy


def drop_up_to_ten_in_place(dx, dy, threshold):
    return drop_weak_in_place(dx, dy, 10)


def drop_all(dx, dy, threshold):
    return 0 * dx, 0 * dy


def drop_none(dx, dy, threshold):
    return dx, dy


def drop_by_channel(dx, dy, threshold):
    strong = dx**2 + dy**2 >= threshold
    return dx * strong, dy * strong


def drop_strong(dx, dy, threshold):
    weak = (dx**2 + dy**2).sum(0) < threshold
    return dx * weak, dy * weak


@pytest.mark.parametrize("wrong, law", [
    (drop_up_to_ten_in_place, "weak go"), (drop_all, "some stay"), (drop_none, "some gradients go"),
    (drop_by_channel, "channels decide together"), (drop_strong, "weak go"),
])
def test_kept_gradients_are_checked(wrong, law):
    check = run_cells("02", "l0-check", "l0-solution")["check"]
    check(drop_weak_in_place)  # a right answer that changes what it is given
    with pytest.raises(AssertionError, match=law):
        check(wrong)


def similarity(v, p, q):
    """The rigid map without the division by |m|."""
    weights = 1 / ((p - v) ** 2).sum(dim=1, keepdim=True)
    p_star, q_star = ((weights * ends).sum(dim=0) / weights.sum() for ends in (p, q))
    p_hat, q_hat = torch.view_as_complex(p - p_star), torch.view_as_complex(q - q_star)
    m = (weights[:, 0] * p_hat.conj() * q_hat).sum() / (weights[:, 0] * p_hat.abs() ** 2).sum()
    return torch.view_as_real(torch.view_as_complex(v - p_star) * m) + q_star


def affine(v, p, q):
    def with_one(places):
        return torch.cat([places, torch.ones_like(places[:, :1])], dim=1)

    root = ((p - v) ** 2).sum(dim=1, keepdim=True) ** -0.5
    fit = torch.linalg.lstsq(root * with_one(p), root * q).solution
    return v @ fit[:2] + fit[2]


@pytest.mark.parametrize("wrong", [similarity, affine])
def test_only_a_rigid_map_passes_for_one(wrong):
    cells = run_cells("03", "mls-check", "mls-solution", points=lambda *rows: torch.tensor(rows))
    check = cells["check"]
    with pytest.raises(AssertionError, match="stretch"):
        check(wrong)


def summed(code, start, picture, mask, color, smoothness):
    error = picture[:, :, mask] - color[:, None]
    return (error**2).sum() + smoothness * ((code - start) ** 2).mean()


def over_the_whole_picture(code, start, picture, mask, color, smoothness):
    error = (picture - color[:, None, None]) * mask
    return (error**2).mean() + smoothness * ((code - start) ** 2).mean()


def without_the_mask(code, start, picture, mask, color, smoothness):
    error = picture - color[:, None, None]
    return (error**2).mean() + smoothness * ((code - start) ** 2).mean()


def without_smoothness(code, start, picture, mask, color, smoothness):
    return ((picture[:, :, mask] - color[:, None]) ** 2).mean()


def unsquared(code, start, picture, mask, color, smoothness):
    error = picture[:, :, mask] - color[:, None]
    return error.abs().mean() + smoothness * ((code - start) ** 2).mean()


@pytest.mark.parametrize("wrong, law", [
    (summed, "costs 0.01"), (over_the_whole_picture, "costs 0.01"), (unsquared, "costs 0.01"),
    (without_the_mask, "all is met|must not count"), (without_smoothness, "mean of 2²"),
])
def test_the_energy_of_an_edit_is_checked(wrong, law):
    check = run_cells("08", "ge-check", "ge-solution")["check"]
    with pytest.raises(AssertionError, match=law):
        check(wrong)


@pytest.mark.parametrize("wrong, law", [
    (lambda x: (x - x.mean(dim=1, keepdim=True)).square().mean(), "one number a picture"),
    (lambda x: x.square().mean(dim=(1, 2, 3)), "grey has no colour"),
    (lambda x: (x[:, 0] - x[:, 1]).square().mean(dim=(1, 2)), "no channel is special"),
    (lambda x: (x / x.mean(dim=1, keepdim=True) - 1).square().mean(dim=(1, 2, 3)), "brighter"),
])
def test_the_wish_for_grey_is_checked(wrong, law):
    check = run_cells("08", "ge-own-check", "ge-own-solution")["check_gray"]
    with pytest.raises(AssertionError, match=law):
        check(wrong)


def spectrum(x):
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    return x.mean(dim=0), vectors, values


def ascending(x, k):
    mean, vectors, values = spectrum(x)
    return mean, vectors[:, :k].T, values[:k].clamp(min=0).sqrt()


def variances(x, k):
    mean, vectors, values = spectrum(x)
    return mean, vectors.flip(1)[:, :k].T, values.flip(0)[:k]


def columns(x, k):
    mean, vectors, values = spectrum(x)
    return mean, vectors.flip(1)[:, :k], values.flip(0)[:k].sqrt()


def not_centred(x, k):
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return x.mean(dim=0), vectors.flip(1)[:, :k].T, values.flip(0)[:k].sqrt()


@pytest.mark.parametrize("wrong, law", [
    (ascending, "largest come first"), (variances, "mind the root"), (columns, "a row"),
    (not_centred, "σ is the deviation"),
])
def test_principal_components_are_checked(wrong, law):
    check = run_cells("10", "di-check", "di-solution")["check"]
    with pytest.raises(AssertionError, match=law):
        check(wrong)


def one_by_one(n, others):
    for other in others:
        n = n - (n @ other) * other
    return n / n.norm()


def not_unit(n, others):
    basis = torch.linalg.qr(torch.stack(others, dim=1)).Q
    return n - basis @ (basis.T @ n)


def unchanged(n, others):
    return n


@pytest.mark.parametrize("wrong, law", [
    (one_by_one, "lean on each other"), (not_unit, "unit length"), (unchanged, "for one"),
])
def test_what_should_stay_is_checked(wrong, law):
    cells = run_cells("10", "di-stay-check", "di-stay-solution", F=torch.nn.functional)
    with pytest.raises(AssertionError, match=law):
        cells["check_stay"](wrong)


def rms(off):
    return off.square().flatten(1).mean(dim=1).sqrt()


def not_undone(draw, invert, x, change, sigma):
    first = invert(x)
    return rms((invert(draw(first + change).clamp(0, 1)) - first) / sigma)


def in_no_unit(draw, invert, x, change, sigma):
    first = invert(x)
    return rms(invert(draw(first + change).clamp(0, 1)) - change - first)


def without_the_root(draw, invert, x, change, sigma):
    first = invert(x)
    return rms((invert(draw(first + change).clamp(0, 1)) - change - first) / sigma) ** 2


def not_clamped(draw, invert, x, change, sigma):
    first = invert(x)
    return rms((invert(draw(first + change)) - change - first) / sigma)


def against_the_photo(draw, invert, x, change, sigma):
    return rms((draw(invert(x) + change).clamp(0, 1) - x) / sigma)


def one_number_a_row(draw, invert, x, change, sigma):
    off = (invert(draw(invert(x) + change).clamp(0, 1)) - change - invert(x)) / sigma
    return off.square().mean(dim=-1).sqrt()


def in_the_mean_unit(draw, invert, x, change, sigma):
    off = invert(draw(invert(x) + change).clamp(0, 1)) - change - invert(x)
    return rms(off) / torch.as_tensor(sigma).float().mean()


@pytest.mark.parametrize("wrong, law", [
    (not_undone, "brings every code back"), (in_no_unit, "σ is 2"), (without_the_root, "undo|√8"),
    (not_clamped, "clamp it"), (against_the_photo, "brings every code back"),
    (one_number_a_row, "one 0 a photo"), (in_the_mean_unit, "σ is 2"),
])
def test_whether_an_edit_survives_is_checked(wrong, law):
    check = run_cells("07", "ls-check", "ls-solution")["check"]
    with pytest.raises(AssertionError, match=law):
        check(wrong)


@pytest.fixture
def tuning_cells(rng):
    """Lesson 07's second exercise, on a generator so small that it takes no time."""
    generator = tame(rng)

    def drawn(codes, space, generator=generator):
        with torch.no_grad():
            return generator.decode(codes, space=space).clamp(0, 1)

    return run_cells(
        "07", "ls-tune-check", "ls-tune-solution", G=generator, copy=copy, drawn=drawn,
        face=torch.rand(3, generator.resolution, generator.resolution, generator=rng),
        error=pixel_loss, pixel_loss=pixel_loss, perceptual_loss=perceptual_loss,
        weighted_sum=weighted_sum,
    )


@pytest.mark.parametrize("wrong, law", [
    ("in place", "tune a copy"), ("no λ", "hold the weights back"), ("no descent", "comes closer"),
    ("gradients on", "switch gradients off"),
])
def test_a_tuning_loop_with_a_mistake_is_caught(wrong, law, tuning_cells):
    right, generator = tuning_cells["teach"], tuning_cells["G"]

    def tune(x, w, lam, steps):
        if wrong == "in place":
            generator.load_state_dict(right(x, w, lam, steps).state_dict())
            return generator
        if wrong == "no descent":
            return right(x, w, lam, 0)
        new = right(x, w, 0 if wrong == "no λ" else lam, steps)
        return new.requires_grad_(wrong == "gradients on")

    with pytest.raises(AssertionError, match=law):
        tuning_cells["check_tune"](tune)


@pytest.fixture(scope="module")
def wheels():
    """Lesson 04's exercise, on a generator that takes no time: a linear one."""
    rng = torch.Generator().manual_seed(0)
    matrix = torch.randn(5, 12, generator=rng) / 4

    class Linear:
        def decode(self, w, space):
            return (w @ matrix).reshape(-1, 3, 2, 2)

        def latent_std(self, space):
            return torch.full((5,), 0.2)

    w0 = torch.randn(1, 5, generator=rng)
    wish = Linear().decode(w0 + torch.randn(1, 5, generator=rng), "w")[0]
    return run_cells("04", "wheels-check", "wheels-solution", G=Linear(), w0=w0,
                     edits={"ginger": [wish] * 4})


@pytest.mark.parametrize("wrong, law", [
    ("no λ", "huge λ"), ("uphill", "come closer"), ("in place", "clone it first"),
    ("gradients on", "detached"), ("a step too many", "no steps"), ("no wish", "come closer"),
    ("the sum of the wish", "are means"), ("all or nothing", "are means"),
])
def test_wheels_with_a_mistake_are_caught(wheels, wrong, law):
    right, scale = wheels["on_wheels"], {"no λ": 0, "the sum of the wish": 1 / 12,
                                         "all or nothing": 1e5}

    def ride(wish, start, lam, steps):
        if wrong == "in place":
            start += 0.1
        w = right(2 * wheels["G"].decode(start, "w")[0] - wish if wrong == "uphill" else
                  wheels["G"].decode(start, "w")[0] if wrong == "no wish" else wish, start,
                  scale.get(wrong, 1) * lam, steps + (wrong == "a step too many"))
        return w.requires_grad_(wrong == "gradients on")

    wheels["check"](right)
    with pytest.raises(AssertionError, match=law):
        wheels["check"](ride)


FLOW_CELLS = ("et-flow-helpers", "et-flow-check", "et-flow-solution")


def flow_variant(cells, wrong):
    """The iteration of lesson 09, with one mistake."""
    def flow(before, after, lam, steps):
        ix, iy = cells["slopes"](after)
        found = torch.zeros(2, *after.shape)
        for _ in range(steps):
            u, v = mean = found if wrong == "no neighbours" else cells["neighbor_mean"](found)
            change = before - after if wrong == "sign" else after - before
            size = 1.0 if wrong == "no λ" else lam + ix**2 + iy**2
            along = [iy, ix] if wrong == "axes" else [ix, iy]
            found = mean - (ix * u + iy * v + change) / size * torch.stack(along)
        return found

    return flow


@pytest.mark.parametrize("wrong", ["no neighbours", "sign", "no λ", "axes"])
def test_a_flow_with_a_mistake_is_caught(wrong):
    cells = run_cells("09", *FLOW_CELLS, F=torch.nn.functional, gradient=gradient)
    cells["check_flow"](flow_variant(cells, None))
    with pytest.raises(AssertionError):
        cells["check_flow"](flow_variant(cells, wrong))


def without_ones(before, after):
    fit = torch.linalg.lstsq(after.flatten(1).T, before.flatten(1).T).solution.T
    return torch.cat([fit, torch.zeros(3, 1)], dim=1)


def only_means(before, after):
    offset = (before - after).mean(dim=(1, 2))
    return torch.cat([torch.eye(3), offset[:, None]], dim=1)


@pytest.mark.parametrize("wrong", [without_ones, only_means, "swapped"])
def test_a_colour_fit_with_a_mistake_is_caught(wrong):
    cells = run_cells("09", "et-color-check", "et-color-solution")
    right = cells["color_of"]
    with pytest.raises(AssertionError):
        cells["check_color"](wrong if callable(wrong) else lambda a, b: right(b, a))


def test_the_readmes_code_runs_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    exec(code.group(1), {})
    assert (tmp_path / "cat_in_a_cup.png").stat().st_size > 10_000


def poisson(source, target, mask, differences=1, inner=1, rim=1):
    """Eq. 7, its terms with these factors."""
    number = {tuple(place): row for row, place in enumerate(mask.nonzero().tolist())}
    A, b = source.new_zeros(len(number), len(number)), source.new_zeros(len(number), len(source))
    for (y, x), p in number.items():
        for q in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
            if 0 <= q[0] < mask.shape[0] and 0 <= q[1] < mask.shape[1]:
                A[p, p] += 1
                b[p] += differences * (source[:, y, x] - source[:, *q])
                if mask[q]:
                    A[p, number[q]] -= inner
                else:
                    b[p] += rim * target[:, *q]
    return A, b


def never_filled(source, target, mask):
    A, b = poisson(source, target, mask)
    return 0 * A, b


@pytest.mark.parametrize("wrong, law", [
    (partial(poisson, differences=-1), "must come back"), (partial(poisson, rim=-1), "come back"),
    (partial(poisson, inner=-1), "must come back"), (never_filled, "A is singular"),
])
def test_a_poisson_system_is_checked_in_a_sentence_of_our_own(wrong, law):
    check = run_cells("01", "pb-check")["check"]
    check(poisson)
    with pytest.raises(AssertionError, match=law) as failure:
        check(wrong)
    assert not any("torch" in str(entry.path) for entry in failure.traceback)
