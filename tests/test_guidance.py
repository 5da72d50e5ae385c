"""Brush edits: each stroke gets what it asks for, as far as the manifold and λ allow."""

import pytest
import torch

from course_lib.guidance import (
    Anything,
    ColorStroke,
    Drag,
    SketchStroke,
    edit,
    orientation_histograms,
)
from tests.test_projection import tame


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def start(generator, rng):
    return generator.sample_latent(2, space="w", rng=rng)


@pytest.fixture
def patch() -> torch.Tensor:
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:9, 5:10] = True
    return mask


def test_a_colour_stroke_pulls_the_colour_under_it(generator, start, patch):
    color = (0.9, 0.1, 0.2)
    found = edit(generator, start, [ColorStroke(patch, color)], smoothness=0, steps=100)
    wanted = torch.tensor(color)[:, None]
    before, after = (
        (images[:, :, patch] - wanted).square().mean(dim=(1, 2)).sort().values
        for images in (generator.decode(start, space="w"), found.image)
    )
    assert (after < 0.75 * before).all()
    term = found.energies["ColorStroke 1"]
    assert term.shape == (100, 2) and (term[-1] < term[0]).all()


def test_the_stroke_term_is_the_mean_over_its_area(generator, start, patch):
    energy = ColorStroke(patch, (1, 0, 0)).bind(generator, start, "w")
    image = torch.zeros(1, 3, 16, 16)
    torch.testing.assert_close(energy(start, image), torch.tensor([1 / 3]))
    image[:, 0, patch] = 1
    assert energy(start, image) == 0


def test_large_smoothness_keeps_the_input_and_none_lets_it_go(generator, start, patch):
    def moved(smoothness):
        found = edit(generator, start[:1], [ColorStroke(patch, (1, 0, 0))], smoothness=smoothness)
        return (found.latent - start[:1]).square().mean()

    assert moved(1000) < 0.01 * moved(0)


def test_the_smoothness_term_is_as_the_formula_says(generator, start, patch):
    found = edit(generator, start[:1], [ColorStroke(patch, (1, 0, 0))], smoothness=2, steps=400)
    change = (found.latent - start[:1]) / generator.latent_std("w")
    expected = 2 * change.square().mean(dim=1)  # the last step is a very small one
    torch.testing.assert_close(
        found.energies["close to the input"][-1], expected, rtol=1e-2, atol=1e-5)


def test_starts_are_ordered_by_their_energy(generator, patch, rng):
    starts = generator.sample_latent(6, space="w", rng=rng)
    found = edit(generator, starts, [ColorStroke(patch, (1, 0, 0))], steps=10)
    final = sum(term[-1] for term in found.energies.values())
    assert (final.diff() >= 0).all()


def test_going_on_starts_where_the_last_edit_ended(generator, start, patch):
    stroke = ColorStroke(patch, (1, 0, 0))
    first = edit(generator, start[:1], [stroke], steps=30, smoothness=0)
    more = edit(generator, first.latent, [stroke], steps=5, smoothness=0)
    assert more.energies["ColorStroke 1"][0] <= first.energies["ColorStroke 1"][-1] * 1.05


def test_the_morph_leads_from_the_input_to_the_answer(generator, start, patch):
    found = edit(generator, start[:1], [ColorStroke(patch, (0, 1, 0))], steps=10, frames=5)
    assert found.frames.shape == (5, 3, 16, 16)
    torch.testing.assert_close(found.frames[:1], generator.decode(start[:1], space="w"))
    torch.testing.assert_close(found.frames[-1:], found.image)


def test_any_function_is_a_constraint_and_terms_add_up_by_weight(generator, start):
    bright = Anything(lambda image: (image.mean(dim=(1, 2, 3)) - 1).square(), weight=3)
    energy = edit(generator, start, [bright], steps=1).energies["Anything 1"]
    image = generator.decode(start, space="w")
    expected = 3 * (image.mean(dim=(1, 2, 3)) - 1).square()
    torch.testing.assert_close(energy[0].sort().values, expected.sort().values)


def test_histograms_tell_the_direction_of_an_edge_and_not_its_sign():
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    across, down = orientation_histograms(ramp), orientation_histograms(ramp.mT)
    assert across.shape == (1, 8, 2, 2)
    assert (across.argmax(dim=1) == 0).all() and (down.argmax(dim=1) == 4).all()
    torch.testing.assert_close(orientation_histograms(1 - ramp), across, atol=1e-3, rtol=0)


def test_a_sketch_pulls_the_edges_of_the_cells_it_touches(generator, start):
    line = torch.zeros(16, 16, dtype=torch.bool)
    line[:, 7] = True
    stroke = SketchStroke(line, cell=4)
    found = edit(generator, start, [stroke], steps=60, smoothness=0)
    term = found.energies["SketchStroke 1"]
    assert (term[-1] < 0.8 * term[0]).all()


def test_gradients_of_the_histograms():
    gray = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(
        lambda x: orientation_histograms(x, cell=4), gray.requires_grad_(), atol=1e-4)


def test_dragging_an_edge_moves_it(rng):
    """A generator whose one code number is where a soft disc lies."""
    from course_lib.generators.base import Generator

    class Disc(Generator):
        name, resolution, z_dim, layers = "disc", 32, 2, ("picture",)

        def __init__(self):
            super().__init__()
            self.unit = torch.nn.Parameter(torch.ones(1), requires_grad=False)

        def decode(self, latent, *, space="z", noise=None):
            axis = torch.arange(32.0)
            centre = 16 + 6 * latent[:, :, None, None]
            square = (axis - centre[:, :1]) ** 2 + (axis[:, None] - centre[:, 1:]) ** 2
            return torch.exp(-square / 40).expand(-1, 3, -1, -1) * self.unit

        def features(self, latent, layer, *, space="z"):
            grey = self.decode(latent)[:, :1]
            return torch.cat([grey, grey**2], dim=1)

    drag = Drag(torch.tensor([[16.0, 16.0]]), torch.tensor([[24.0, 13.0]]))
    found = edit(Disc(), torch.zeros(1, 2), [drag], space="z", steps=120, smoothness=0)
    centre = 16 + 6 * found.latent[0]
    assert (centre - torch.tensor([24.0, 13.0])).norm() < 1.5
    assert (found.handles[0][0, 0] - torch.tensor([24.0, 13.0])).norm() < 1.5


def test_what_is_fixed_stays_more_than_without(generator, start):
    ends = torch.tensor([[4.0, 8.0]]), torch.tensor([[12.0, 8.0]])
    fixed = torch.zeros(16, 16, dtype=torch.bool)
    fixed[12:] = True
    before = generator.decode(start[:1], space="w")
    changes = []
    for mask in (None, fixed):
        found = edit(generator, start[:1], [Drag(*ends, fixed=mask, keep=50)], steps=40,
                     smoothness=0)
        changes.append((found.image - before)[..., fixed].square().mean())
    assert changes[1] < 0.5 * changes[0]


def drag(start, end, fixed=None) -> Drag:
    return Drag(torch.tensor([start]), torch.tensor([end]), fixed=fixed)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda g, w, m: edit(g, w, []), "add a stroke"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m[:4], (1, 0, 0))]), "do not lie on each other"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, (1, 0, 0))], space="w_plus"), "in w_plus are"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, (1, 0, 0))], smoothness=-1), "at least 0"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, (1, 0, 0))], frames=1), "at least 2"),
    (lambda g, w, m: edit(g, w, [ColorStroke(~m & m, (1, 0, 0))]), "mask is empty"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, (255, 0, 0))]), "at most 1"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, (1, 0, 0), weight=-1)]), "at least 0"),
    (lambda g, w, m: edit(g, w, [drag([torch.nan, 3.0], [4.0, 4.0])]), "NaN"),
    (lambda g, w, m: edit(g, w, [drag([3.0, 3.0], [20.0, 4.0])]), "outside the picture"),
    (lambda g, w, m: edit(g, w, [drag([3.0], [4.0])]), "equally many"),
    (lambda g, w, m: edit(g, w, [drag([3.0, 3.0], [4.0, 4.0], m[:4])]), "do not lie on each other"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, generator, start, patch):
    with pytest.raises(ValueError, match=sentence):
        call(generator, start, patch)
