"""Families that no GAN resembles: what every method of the course does with them, or refuses.

One is exactly invertible, the decode of the other is a chain of steps (see `toys`).
"""

import math

import pytest
import torch

from course_lib.directions import Directions, ganspace, move, principal_components, sefa
from course_lib.encoders import has_inverse, invert
from course_lib.generators import interpolate
from course_lib.generators.capabilities import MISSING
from course_lib.guidance import ColorStroke, Drag, WarpStroke, edit, scatter
from course_lib.losses import perceptual_loss, pixel_loss
from course_lib.projection import project
from course_lib.tuning import tune_generator
from course_lib.widgets import sweep
from course_lib.widgets.canvas import Stroke
from course_lib.widgets.directions import DirectionTool
from course_lib.widgets.labels import LabelTool
from course_lib.widgets.latent import LatentTool
from course_lib.widgets.paint import PaintTool
from course_lib.widgets.project import ProjectTool
from tests.benchmarks.timing import peak_megabytes
from tests.toys import Chain, Disc, Flow, tame

FAMILIES = pytest.mark.parametrize("generator", [Flow(), Chain()], ids=["flow", "chain"])
RED = Stroke(((2.0, 4.0), (5.0, 4.0)), "#ff0000", 3)
DRAG = Drag(torch.tensor([[3.0, 3.0]]), torch.tensor([[5.0, 4.0]]))


def sample(generator, rng):
    """A code, and its picture."""
    z = generator.sample_latent(1, rng=rng)
    return z, generator.decode(z)


# ---- capabilities

@pytest.mark.parametrize("make, offered", [
    (tame, {"features", "discriminator_features", "reading_weights", "mix_styles", "style_slices"}),
    (lambda rng: Flow(), {"features", "invert", "log_likelihood"}),
    (lambda rng: Chain(), {"invert"}), (lambda rng: Disc(), {"features"}),
], ids=["stylegan2", "flow", "chain", "disc"])
def test_a_family_offers_what_it_has_and_refuses_the_rest_in_a_sentence(make, offered, rng):
    generator = make(rng)
    assert {name for name in MISSING if generator.offers(name)} == offered
    for name in MISSING.keys() - offered:
        with pytest.raises(ValueError, match=rf"^{generator.name} [^.]*: [^.]*(\.\w[^.]*)*\.$"):
            generator.require_capability(name)


def test_what_is_missing_refuses_when_called(rng):
    generator, (z, image) = Chain(), sample(Chain(), rng)
    for call in (
        lambda: generator.features(z, "b8"), lambda: generator.log_likelihood(image),
        lambda: generator.reading_weights(), lambda: generator.mix_styles(z, z, 1),
        lambda: Disc().invert(image, space="z"),
    ):
        with pytest.raises(ValueError, match=r"^(chain|disc) has no|^chain does not know"):
            call()
    assert generator.discriminator_features(image) is None and not generator.has_discriminator


def test_an_unknown_capability_is_met_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'features', .*'invert'"):
        Flow().offers("inverse")


@FAMILIES
def test_a_space_is_its_shape_mean_and_deviation(generator, rng):
    space = generator.space(generator.default_space)
    assert (space.name, space.shape) == ("z", (192,))
    z = generator.sample_latent(3, rng=rng)
    torch.testing.assert_close(space.from_deviations(space.to_deviations(z)), z)


def test_deviations_count_from_the_mean_in_every_space(rng):
    generator = tame(rng)
    generator.mapping.w_avg.fill_(2.0)
    for name in ("w", "w_plus"):
        space = generator.space(name)
        assert space.shape == generator.latent_shape(name)
        assert torch.equal(space.mean, generator.latent_mean(name))
        assert torch.equal(space.std, generator.latent_std(name))
        code = space.mean + 2 * space.std
        torch.testing.assert_close(space.to_deviations(code), torch.full(space.shape, 2.0))


# ---- the toys themselves

@FAMILIES
def test_decoding_what_was_inverted_is_the_picture(generator, rng):
    z, image = sample(generator, rng)
    torch.testing.assert_close(generator.invert(image, space="z"), z, atol=1e-4, rtol=0)
    photo = torch.rand(1, 3, 8, 8, generator=rng)
    again = generator.decode(generator.invert(photo, space="z"))
    torch.testing.assert_close(again, photo, atol=1e-4, rtol=0)


def test_the_flows_likelihood_is_that_of_the_change_of_variables(rng):
    flow = Flow(4)
    z, image = sample(flow, rng)
    jacobian = torch.autograd.functional.jacobian(lambda z: flow.decode(z).flatten(), z)[:, 0]
    normal = -z.square().sum() / 2 - 48 / 2 * math.log(2 * math.pi)
    expected = normal - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(flow.log_likelihood(image), expected[None], rtol=1e-4, atol=1e-2)


# ---- projection

@FAMILIES
def test_no_steps_from_the_inverse_are_the_inverse_alone(generator, rng):
    photo = torch.rand(2, 3, 8, 8, generator=rng)
    assert has_inverse(generator) and has_inverse(generator, "z")
    found = project(generator, photo, init="encoder", steps=0)
    assert torch.equal(found.latent, invert(generator, photo, space="z"))
    torch.testing.assert_close(found.image, photo, atol=1e-4, rtol=0)
    assert found.space == "z" and found.losses.shape == (0, 2)


@FAMILIES
def test_a_search_from_the_mean_comes_closer_and_from_the_inverse_stays(generator, rng):
    _, photo = sample(generator, rng)
    options = {"loss": pixel_loss, "steps": 60}
    searched = project(generator, photo, **options)
    assert searched.losses[-1] < 0.1 * searched.losses[0]
    hybrid = project(generator, photo, init="encoder", latent_noise=0, learning_rate=1e-3,
                     **options)
    assert hybrid.losses.max() < 0.01 * searched.losses[0].min()


@FAMILIES
def test_without_a_discriminator_projection_compares_with_lite0(generator, rng):
    _, photo = sample(generator, rng)
    found = project(generator, photo, steps=5)
    assert found.losses[-1] < found.losses[0]
    with pytest.raises(ValueError, match=r"without its discriminator.*pixel_loss"):
        perceptual_loss(generator)


def test_without_any_inverse_the_way_out_is_named(rng):
    with pytest.raises(FileNotFoundError, match=r'no inverting network for disc.*init="mean"'):
        project(Disc(), torch.rand(3, 32, 32, generator=rng), init="encoder")


@FAMILIES
def test_tuning_keeps_weights_or_the_neighbourhood_and_features_where_there_are_any(
    generator, rng
):
    z, image = sample(generator, rng)
    options = {"space": "z", "steps": 5, "loss": pixel_loss}
    for regularizer in ("weight", "locality"):
        tuned = tune_generator(generator, image * 0.9, z, regularizer=regularizer, **options)
        close = tuned.energies["close to the photo"]
        assert close[-1] < close[0]
    if generator.offers("features"):
        tune_generator(generator, image, z, regularizer="feature", **options)
    else:
        with pytest.raises(ValueError, match=r"chain has no layers to look into.*\.$"):
            tune_generator(generator, image, z, regularizer="feature", **options)


# ---- edits

@FAMILIES
def test_a_walk_round_the_sphere_stays_among_typical_codes(generator, rng):
    start, end = generator.sample_latent(2, rng=rng)
    walk = interpolate(start, end, 5, kind="spherical")
    pictures = generator.decode(walk)
    torch.testing.assert_close(pictures[[0, -1]], generator.decode(torch.stack([start, end])))
    assert walk.norm(dim=1).min() > 0.95 * min(start.norm(), end.norm())


@FAMILIES
def test_a_stroke_is_obeyed_as_far_as_lambda_allows(generator, rng):
    z, before = sample(generator, rng)
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:5, 2:5] = True
    stroke = ColorStroke(mask, (0.9, 0.1, 0.1))
    found = edit(generator, z, [stroke], smoothness=0.01)
    assert found.energies["ColorStroke 1"][-1] < 0.2 * found.energies["ColorStroke 1"][0]
    outside = (found.image - before)[..., ~mask].square().mean()
    assert outside < 0.5 * (found.image - before)[..., mask].square().mean()
    starts = scatter(generator, z, 3, spread=0.1, rng=rng)
    several = edit(generator, z, [stroke], init=starts, steps=10)
    assert several.image.shape == (3, 3, 8, 8)


@FAMILIES
def test_a_warp_asks_for_pictures_alone_and_a_drag_for_features(generator, rng):
    z, _ = sample(generator, rng)
    warp = WarpStroke(DRAG.start, DRAG.end, radius=2)
    assert edit(generator, z, [warp], steps=10).image.shape == (1, 3, 8, 8)
    if generator.offers("features"):
        found = edit(generator, z, [DRAG], steps=10)
        assert len(found.handles) == 1
    else:
        with pytest.raises(ValueError, match=r"chain has no layers to look into.*\.$"):
            edit(generator, z, [DRAG], steps=10)


# ---- directions

def test_ganspace_reads_a_flows_layer(rng):
    found = ganspace(Flow(), n_samples=4000, n_components=3, rng=rng)
    assert found.space == "z" and found.components.shape == (3, 192)
    assert (found.r2 > 0.5).all() and (found.r2 <= 1 + 1e-5).all()
    z, image = sample(Flow(), rng)
    there = move(z, found.components[0], 3)
    assert not torch.allclose(Flow().decode(there), image)
    torch.testing.assert_close(move(there, found.components[0], -3), z)


def test_ganspace_of_codes_that_vary_alike_in_all_directions_is_refused(rng):
    with pytest.raises(ValueError, match=r"chain has no layers to look into.*\.$"):
        ganspace(Chain(), rng=rng)


@FAMILIES
def test_sefa_is_refused_where_no_layer_reads_the_code_linearly(generator):
    with pytest.raises(ValueError, match=r"no layer that reads its code linearly.*use ganspace"):
        sefa(generator)


# ---- tools

@FAMILIES
def test_two_codes_are_blended_with_a_slider(generator):
    tool = LatentTool(generator, height=64)
    assert set(tool.live.controls) == {"seed", "second_seed", "blend"}
    pictures = tool.pictures(tool.state)
    assert pictures.shape == (3, 3, 8, 8) and not torch.equal(pictures[0], pictures[2])


@FAMILIES
def test_the_projection_tool_begins_at_the_inverse(generator, rng):
    photo = torch.rand(3, 12, 16, generator=rng)
    tool = ProjectTool(generator, photo, alt="noise", height=32, steps=20, loss="pixels")
    assert "G(z) after 0 steps from encoder" in tool.canvas.note
    assert tool.state.space == generator.default_space == "z"
    tool.start()
    found = tool.wait()
    assert pixel_loss(found.image, tool.target[None]) < 1e-2


@FAMILIES
def test_a_photo_is_painted_on(generator, rng):
    photo = torch.rand(3, 8, 8, generator=rng)
    tool = PaintTool(generator, alt="noise", photo=photo, steps=5, projection_steps=0,
                     candidates=2)
    torch.testing.assert_close(tool.session.before, photo, atol=1e-3, rtol=0)
    tool.set(strokes=(RED,))
    tool.wait()
    assert tool.editing.age == 5 and tool.state.space == "z"


@FAMILIES
def test_directions_and_labels_have_their_tools(generator, rng):
    components = torch.linalg.qr(torch.randn(192, 2, generator=rng)).Q.T
    found = Directions(components, torch.ones(2), torch.zeros(192), "z")
    z = generator.sample_latent(1, rng=rng)
    tool = DirectionTool(generator, found, alt="noise, moved", latent=z)
    tool.set(strengths=(2.0, 0.0))
    sweep(tool)
    labels = LabelTool(generator, "Is it bright?", n=8)
    labels.answer(*["yes", "no"] * 4)
    assert labels.space == "z" and labels.done


# ---- codes of 12,288 numbers

def test_large_codes_are_edited_without_a_matrix_of_their_square(rng):
    generator = Flow(64)
    square = 4 * generator.z_dim**2 / 1e6  # of float32: 604 MB
    z, _ = sample(generator, rng)
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[20:30, 20:30] = True

    def work():
        starts = scatter(generator, z, 4, rng=rng)
        edit(generator, z, [ColorStroke(mask, (1, 0, 0))], init=starts, steps=3, frames=2)

    used = peak_megabytes(work)
    if used is None:
        pytest.skip("this system does not tell how much memory is used")
    assert used < square / 3


def test_large_samples_have_components_without_a_matrix_of_their_square(rng):
    dim, batch, n = 12_288, 200, 5
    square = 4 * dim**2 / 1e6
    directions = torch.linalg.qr(torch.randn(dim, n, generator=rng)).Q.T
    spread = 10 * 0.7 ** torch.arange(n)

    def batches():
        again = torch.Generator().manual_seed(1)
        for _ in range(5):
            x = torch.randn(batch, n, generator=again) * spread
            yield x @ directions + 0.01 * torch.randn(batch, dim, generator=again) + 3

    found = []
    used = peak_megabytes(lambda: found.extend(principal_components(batches(), n)))
    assert used is None or used < square / 3
    x = torch.cat(list(batches())) - found[0]
    squares, left = torch.linalg.eigh(x @ x.T)  # of 1,000 numbers, where an SVD has 12,288
    sizes = squares.flip(0)[:n].sqrt()
    torch.testing.assert_close(found[2], sizes / 1000**0.5, rtol=1e-3, atol=0)
    exact = left.flip(1)[:, :n].T @ x / sizes[:, None]
    overlap = (found[1] * exact).sum(dim=1).abs()
    torch.testing.assert_close(overlap, torch.ones(n), atol=1e-3, rtol=0)


def test_ganspace_of_a_large_flow_needs_no_matrix_of_its_square(rng):
    generator = Flow(64)
    square = 4 * generator.z_dim**2 / 1e6
    found = []
    used = peak_megabytes(lambda: found.append(
        ganspace(generator, n_samples=600, n_components=3, batch=100, rng=rng)))
    assert used is None or used < square / 3
    assert found[0].components.shape == (3, generator.z_dim) and (found[0].r2 <= 1 + 1e-5).all()
