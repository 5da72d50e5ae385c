"""VAE, VQ-VAE-2, flows and diffusion: every method of the course works on each, or says why not."""

import pytest
import torch

from course_lib.directions import annotated, ganspace, move, principal_components, sefa
from course_lib.encoders import has_inverse, invert
from course_lib.generators import interpolate
from course_lib.generators.base import Generator
from course_lib.generators.capabilities import MISSING
from course_lib.guidance import ColorStroke, Drag, SketchStroke, WarpStroke, edit, scatter
from course_lib.losses import perceptual_loss, pixel_loss
from course_lib.projection import project
from course_lib.transfer import transfer_edit
from course_lib.tuning import tune_generator
from course_lib.widgets.canvas import Stroke
from course_lib.widgets.latent import LatentTool
from course_lib.widgets.paint import PaintTool
from course_lib.widgets.project import ProjectTool
from tests.test_diffusion import small
from tests.test_flow import random_flow
from tests.test_vae import random_vae
from tests.test_vqvae import random_vqvae

MAKERS = {"vae": random_vae, "vqvae": random_vqvae, "glow": lambda: random_flow("glow", 16),
          "realnvp": lambda: random_flow("realnvp", 16),
         "diffusion": lambda: small(torch.Generator().manual_seed(0)).with_steps(3)}
OFFERED = {"vae": {"features", "invert", "reading_weights"}, "vqvae": {"features", "invert"},
           "glow": {"features", "invert", "log_likelihood"},
           "realnvp": {"features", "invert", "log_likelihood"},
           "diffusion": {"features", "invert", "predict"}}
DRAG = Drag(torch.tensor([[6.0, 6.0]]), torch.tensor([[9.0, 7.0]]))
RED = Stroke(((4.0, 8.0), (10.0, 8.0)), "#ff0000", 4)


@pytest.fixture(params=MAKERS)
def family(request) -> str:
    return request.param


@pytest.fixture
def generator(family) -> Generator:
    return MAKERS[family]()


@pytest.fixture
def code(generator, rng) -> torch.Tensor:
    """One code, in the space in which the family is edited."""
    return generator.sample_latent(1, space=generator.default_space, rng=rng)


@pytest.fixture
def photo(rng) -> torch.Tensor:
    return torch.rand(3, 16, 16, generator=rng)


def picture(generator: Generator, code: torch.Tensor) -> torch.Tensor:
    return generator.decode(code, space=generator.default_space)


def test_a_family_offers_what_it_has_and_refuses_the_rest_in_a_sentence(family, generator):
    assert {name for name in MISSING if generator.offers(name)} == OFFERED[family]
    for name in MISSING.keys() - OFFERED[family]:
        with pytest.raises(ValueError, match=r"^\w+ [^.]*: [^.]*(\.\w[^.]*)*\.$"):
            generator.require_capability(name)


def test_codes_in_deviations_are_codes_again(generator, code):
    space = generator.space(generator.default_space)
    assert space.shape == generator.latent_shape(space.name) == code.shape[1:]
    torch.testing.assert_close(space.from_deviations(space.to_deviations(code)), code)


def test_decode_is_deterministic_and_has_the_slope_that_it_says(generator, code):
    assert torch.equal(picture(generator, code), picture(generator, code))
    picture(generator, code.requires_grad_()).sum().backward()
    assert code.grad.abs().sum() > 0 and code.grad.isfinite().all()


def test_no_steps_from_the_inverse_are_the_inverse_alone(generator, photo):
    assert has_inverse(generator)
    found = project(generator, photo, init="encoder", steps=0)
    assert torch.equal(found.latent, invert(generator, photo[None], space=found.space))
    if generator.offers("log_likelihood"):
        torch.testing.assert_close(found.image[0], photo, atol=1e-4, rtol=0)


@pytest.mark.parametrize("init", ["encoder", "mean", "random"])
def test_projection_descends_from_anywhere(init, generator, code, rng):
    target = picture(generator, code).detach().clamp(0, 1)
    found = project(generator, target, init=init, loss=pixel_loss, steps=60, rng=rng,
                    latent_noise=0.0 if init == "encoder" else 0.05)
    assert found.image.isfinite().all()
    assert found.losses[-1] < max(0.9 * float(found.losses[0]), 1e-5)


def test_without_a_discriminator_projection_compares_with_lite0(generator, photo):
    found = project(generator, photo, init="encoder", steps=2)
    assert found.losses.isfinite().all()
    with pytest.raises(ValueError, match=r"without its discriminator.*pixel_loss"):
        perceptual_loss(generator)


def test_tuning_brings_a_photo_closer(generator, code):
    target = 0.9 * picture(generator, code).clamp(0, 1)
    tuned = tune_generator(generator, target, code, space=generator.default_space, steps=5,
                           regularizer="weight", loss=pixel_loss)
    close = tuned.energies["close to the photo"]
    assert close[-1] < close[0]


def test_a_stroke_is_obeyed_as_far_as_lambda_allows(generator, code):
    before = picture(generator, code)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[5:9, 5:9] = True
    goal = before[0, :, mask].mean(dim=1) + torch.tensor([0.05, -0.05, 0.05])
    stroke = ColorStroke(mask, tuple(goal.clamp(0, 1).tolist()))
    found = edit(generator, code, [stroke], smoothness=1e-3, steps=120)
    term = found.energies["ColorStroke 1"]
    assert term[-1] < term[0]
    held = edit(generator, code, [stroke], smoothness=1e3, steps=120)
    assert (held.latent - code).norm() < (found.latent - code).norm()


def test_sketches_warps_drags_and_several_starts_find_pictures(generator, code, rng):
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:12, 8] = True
    starts = scatter(generator, code, 3, spread=0.1, rng=rng)
    for wish in (SketchStroke(mask), WarpStroke(DRAG.start, DRAG.end, radius=2), DRAG):
        found = edit(generator, code, [wish], init=starts, steps=4)
        assert found.image.shape == (3, 3, 16, 16) and found.image.isfinite().all()
        assert found.frames.shape[1:] == (3, 16, 16)


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_the_way_between_two_codes_begins_and_ends_with_them(kind, generator, rng):
    start, end = generator.sample_latent(2, space=generator.default_space, rng=rng)
    walk = picture(generator, interpolate(start, end, 5, kind=kind))
    ends = picture(generator, torch.stack([start, end]))
    torch.testing.assert_close(walk[[0, -1]], ends, atol=1e-3, rtol=0)
    assert walk.isfinite().all()


def test_a_labelled_direction_is_found_again_in_codes(generator, rng):
    space = generator.space(generator.default_space)
    codes = generator.sample_latent(200, space=space.name, rng=rng)
    wanted = torch.randn(codes.shape[1], generator=rng)
    scores = space.to_deviations(codes) @ wanted
    found = annotated(codes, scores > scores.median(), space=space.name)
    ahead = move(codes, found.components[0], float(found.stdev[0]))
    assert (space.to_deviations(ahead) @ wanted > scores).all()
    assert generator.decode(ahead, space=space.name).isfinite().all()


def test_principal_directions_of_codes_are_found(family, generator, rng):
    found = ganspace(generator, n_samples=60, n_components=3, rng=rng)
    assert found.components.shape == (3, found.mean.numel())
    assert found.space == generator.default_space
    gram = found.components @ found.components.T
    torch.testing.assert_close(gram.diagonal(), torch.ones(3), atol=1e-4, rtol=0)
    photos = torch.rand(20, 3, 16, 16, generator=rng)
    codes = generator.invert(photos, space=found.space)
    mean, components, _ = principal_components([codes], 2)
    moved = move(codes[:1], components[0], 1.0)
    assert generator.decode(moved, space=found.space).isfinite().all() and mean.isfinite().all()


def test_the_weights_own_directions_exist_where_a_layer_reads_the_code(generator):
    if generator.offers("reading_weights"):
        assert sefa(generator, n_components=3).components.shape == (3, generator.z_dim)
    else:
        with pytest.raises(ValueError, match=r"no layer that reads its code linearly.*ganspace"):
            sefa(generator)


def test_an_edit_is_carried_to_a_larger_photo(generator, code, rng):
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[5:9, 5:9] = True
    found = edit(generator, code, [ColorStroke(mask, (1.0, 0.0, 0.0))], steps=20, frames=3,
                 smoothness=1e-3)
    photo = torch.rand(3, 40, 40, generator=rng)
    frames = found.frames.clamp(0, 1)  # an untrained model draws beyond it
    carried = transfer_edit(photo, frames)
    assert carried.shape == photo.shape and carried.isfinite().all()
    still = transfer_edit(photo, frames[:1].expand(3, -1, -1, -1))
    torch.testing.assert_close(still, photo, atol=1e-3, rtol=0)


def test_the_tools_work(generator, photo):
    assert LatentTool(generator, height=32).live.controls.keys() >= {"seed", "blend"}
    projecting = ProjectTool(generator, photo, alt="noise", height=32, steps=3, loss="pixels")
    assert "after 0 steps from encoder" in projecting.canvas.note
    painting = PaintTool(generator, alt="noise", photo=photo, steps=3, projection_steps=0,
                         candidates=2)
    painting.set(strokes=(RED,))
    painting.wait()
    assert painting.editing.age == 3
