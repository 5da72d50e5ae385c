"""SDEdit: what noise, mask, rounds and constraints do, where closed forms say what they should."""

import pytest
import torch

from course_lib.denoising import alpha, sigma, step_out
from course_lib.guidance import Anything, ColorStroke, Drag, WarpStroke
from course_lib.sdedit import inpaint, reword, sdedit
from tests.test_diffusion import Gaussian, small
from tests.toys import Chain

MIDDLE = torch.zeros(8, 8, dtype=torch.bool)
MIDDLE[2:6, 2:6] = True


def fresh(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def gaussian() -> Gaussian:
    """Pictures whose pixels are N(0.65, 0.1²) in [0, 1], each for itself."""
    return Gaussian(0.3, 0.04).with_steps(400)


def test_the_more_noise_the_less_is_left_of_the_input(gaussian, rng):
    image = (0.65 + 0.1 * torch.randn(200, 3, 8, 8, generator=rng)).clamp(0, 1)
    found = []
    for noise in (0.1, 0.4, 0.7, 1.0):
        answer = sdedit(gaussian, image, noise=noise, rng=fresh()).image
        both = torch.stack([image.flatten(), answer.flatten()])
        found.append(float(torch.corrcoef(both)[0, 1]))
        assert float(answer.std()) == pytest.approx(0.1, rel=0.05)  # of the model's pictures
    assert found == sorted(found, reverse=True) and found[0] > 0.7 and abs(found[-1]) < 0.02


def test_how_much_is_left_is_as_the_closed_form_says(gaussian, rng):
    # By DDIM x_t = mean α + spread_t u keeps u, so that x0 = mean + 0.2 u.
    image = (0.65 + 0.1 * torch.randn(4, 3, 8, 8, generator=rng)).clamp(0, 1)
    t = torch.tensor(0.5 * gaussian.latest)
    noised = alpha(t) * (2 * image - 1) + sigma(t) * torch.randn(image.shape, generator=fresh())
    spread = (alpha(t) ** 2 * 0.04 + sigma(t) ** 2).sqrt()
    expected = 0.3 + 0.2 * (noised - alpha(t) * 0.3) / spread
    found = sdedit(gaussian.with_steps(800), image, noise=0.5, rng=fresh())
    torch.testing.assert_close(found.noised, noised)
    torch.testing.assert_close(2 * found.image - 1, expected, atol=6e-3, rtol=0)


def test_outside_the_mask_the_picture_stays_as_it_was(rng):
    model = small(rng)
    image = torch.rand(2, 3, 16, 16, generator=rng)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:9, 5:12] = True
    for found in (sdedit(model, image, mask=mask, rng=fresh()),
                  inpaint(model, image, mask, rng=fresh())):
        torch.testing.assert_close(found.image[..., ~mask], image[..., ~mask])
        assert (found.image - image)[..., mask].abs().mean() > 0.01


def test_inpainting_never_looks_into_the_hole(rng):
    model = small(rng)
    image = torch.rand(1, 3, 16, 16, generator=rng)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:9, 5:12] = True
    other = torch.where(mask, torch.rand(1, 3, 16, 16, generator=rng), image)
    answers = [inpaint(model, one, mask, rng=fresh()).image for one in (image, other)]
    assert torch.equal(answers[0], answers[1])


class Alike(Gaussian):
    """Pictures of one grey all over, N(0.3, 0.2²), known in closed form."""

    def estimate(self, x_t, t, labels=None, seen=None):
        a, b = alpha(t)[:, None, None, None], sigma(t)[:, None, None, None]
        mean, variance = self.known
        count = x_t[0].numel()
        middle = x_t.mean(dim=(1, 2, 3), keepdim=True)
        gain = a * variance / (a * a * variance + b * b / count)
        return (mean + gain * (middle - a * mean)).expand(x_t.shape)


def test_more_rounds_bring_inside_and_outside_together():
    model = Alike(0.3, 0.04).with_steps(10)
    image = torch.full((20, 3, 8, 8), 0.8)  # in [-1, 1] it is 0.6: 1.5 deviations up
    mask = torch.ones(8, 8, dtype=torch.bool)
    mask[:, 0] = False  # an eighth is known
    found = [float((inpaint(model, image, mask, rounds=rounds, rng=fresh()).image - 0.8)[..., mask]
                   .abs().mean()) for rounds in (1, 10)]
    assert found[1] < 0.7 * found[0] and found[1] < 0.06


def test_going_out_again_adds_the_noise_that_is_missing(rng):
    x0 = torch.full((1, 3, 200, 200), 0.4)
    s, t = torch.tensor(0.3), torch.tensor(0.6)
    x = alpha(s) * x0 + sigma(s) * torch.randn(x0.shape, generator=rng)
    later = step_out(x, s, t, torch.randn(x0.shape, generator=rng))
    assert float(later.mean()) == pytest.approx(float(alpha(t)) * 0.4, abs=0.01)
    assert float(later.std()) == pytest.approx(float(sigma(t)), rel=0.01)


def test_a_stroke_pulls_and_its_energy_is_told_by_step(gaussian, rng):
    image = torch.full((3, 3, 8, 8), 0.65)
    red = ColorStroke(MIDDLE, (0.9, 0.5, 0.5))
    free = sdedit(gaussian, image, noise=0.8, rng=fresh())
    pulled = sdedit(gaussian, image, [red], noise=0.8, rng=fresh())
    energy = red.bind(gaussian, gaussian.invert(image), "z")
    missed, before = (energy(None, one.image).sqrt() for one in (pulled, free))
    assert (missed < 0.6 * before).all()
    found = pulled.energies["ColorStroke 1"]
    assert found.shape == (len(pulled.times), 3) and (found[-1] < found[0]).all()
    assert pulled.guesses.shape == (len(pulled.times), 3, 8, 8)
    ignored = sdedit(gaussian, image, [red], noise=0.8, pull=0.0, rng=fresh())
    torch.testing.assert_close(ignored.image, free.image, atol=1e-5, rtol=0)


def test_what_compares_with_the_input_and_any_function_pull_too(gaussian, rng):
    image = (0.65 + 0.1 * torch.randn(2, 3, 8, 8, generator=rng)).clamp(0, 1)
    warp = WarpStroke(torch.tensor([[2.0, 2.0]]), torch.tensor([[5.0, 2.0]]), radius=3)
    dark = Anything(lambda x: x.mean(dim=(1, 2, 3)).square())
    found = sdedit(gaussian, image, [warp, dark], noise=0.6, rng=fresh())
    assert set(found.energies) == {"WarpStroke 1", "Anything 2"}
    free = sdedit(gaussian, image, noise=0.6, rng=fresh())
    assert (found.image.mean(dim=(1, 2, 3)) < free.image.mean(dim=(1, 2, 3))).all()


def test_it_can_be_watched_and_ended(gaussian):
    image = torch.full((1, 3, 8, 8), 0.5)
    seen = []

    def watch(step, guess):
        seen.append(guess)
        if step == 3:
            raise StopIteration

    found = sdedit(gaussian, image, rng=fresh(), mask=MIDDLE, callback=watch)
    assert len(seen) == len(found.guesses) == 4
    torch.testing.assert_close(found.image[..., MIDDLE], seen[-1][..., MIDDLE])
    torch.testing.assert_close(found.image[..., ~MIDDLE], image[..., ~MIDDLE])


@pytest.mark.parametrize("change, sentence", [
    ({"noise": 0.0}, "noise"), ({"noise": 1.2}, "noise"), ({"pull": 1.5}, "pull"),
    ({"rounds": 0}, "rounds"), ({"rng": 0}, "rng"),
    ({"mask": torch.ones(4, 4, dtype=torch.bool)}, "mask"),
    ({"constraints": [Drag(torch.tensor([[2.0, 2]]), torch.tensor([[3.0, 2]]))]}, "WarpStroke"),
    ({"image": torch.full((1, 3, 8, 8), 3.0)}, r"\[0, 1\]"),
    ({"image": torch.rand(1, 3, 9, 9)}, "reads"),
])
@pytest.mark.usefixtures("as_users_run_it")
def test_a_wrong_call_says_what_to_do(change, sentence, gaussian):
    call = {"image": torch.full((1, 3, 8, 8), 0.5), "rng": fresh()} | change
    with pytest.raises(ValueError, match=sentence):
        sdedit(gaussian, call.pop("image"), call.pop("constraints", ()), **call)


@pytest.mark.usefixtures("as_users_run_it")
def test_inpainting_without_a_hole_is_refused(gaussian):
    with pytest.raises(ValueError, match="mask"):
        inpaint(gaussian, torch.full((1, 3, 8, 8), 0.5), None, rng=fresh())


def test_other_families_are_refused_in_a_sentence(rng):
    with pytest.raises(ValueError, match="take a diffusion model"):
        sdedit(Chain(), torch.rand(1, 3, 8, 8, generator=rng), rng=rng)


# ---- other words

def test_a_rewording_begins_at_the_photo_and_ends_as_the_guided_model_draws(rng):
    model = small(rng)
    photo = torch.rand(1, 3, 16, 16, generator=rng)
    code = model.invert(photo)
    morph = reword(model, code, label="sock", color="red", guidance=3.0, frames=4)
    assert morph.shape == (4, 3, 16, 16)
    torch.testing.assert_close(morph[:1], photo, atol=5e-3, rtol=0)
    told = model.with_label("sock", color="red").with_guidance(3.0)
    torch.testing.assert_close(morph[3:], told.decode(code).clamp(0, 1))
    steps = (morph - morph[:1]).square().mean(dim=(1, 2, 3))
    assert steps.tolist() == sorted(steps.tolist()) and steps[-1] > 1e-5  # ever louder


@pytest.mark.parametrize(("change", "sentence"), [
    ({"label": None}, "nothing is said"),
    ({"label": "skirt"}, "skirt"),
    ({"guidance": 0.5}, "guidance"),
    ({"frames": 1}, "frames"),
    ({"latent": torch.zeros(2, 768)}, "one at a time"),
])
def test_a_rewording_that_can_t_be_is_refused(change, sentence, rng):
    call = {"latent": torch.zeros(1, 768), "label": "hat"} | change
    with pytest.raises(ValueError, match=sentence):
        reword(small(rng), call.pop("latent"), **call)


def test_only_a_model_that_predicts_rewords(rng):
    with pytest.raises(ValueError, match="take a diffusion model"):
        reword(Chain(), torch.zeros(1, 192), label=0)
