"""Text-guided edits: the sentence's term, the identity's, and how they add up with strokes."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.guidance import ColorStroke, Editing, edit
from course_lib.images import load_image
from course_lib.text import (
    Identity,
    TextPrompt,
    discriminator_identity,
    edit_with_text,
    lite0_identity,
    load_clip,
)
from course_lib.text.constraints import random_frames
from tests.toys import Plain, tame

COLORS = {"red": (1.0, 0, 0), "green": (0, 1.0, 0), "blue": (0, 0, 1.0), "grey": (1.0, 1.0, 1.0)}


class ColorClip:
    """A CLIP for tests: a picture is its mean colour, a sentence the colour that it names."""

    name = "colours"

    def embed_images(self, images):
        return F.normalize(images.mean(dim=(2, 3)), dim=1)

    def embed_texts(self, texts):
        return F.normalize(torch.tensor([COLORS[text.split()[-1]] for text in texts]), dim=1)


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def start(generator, rng):
    return generator.sample_latent(2, space="w", rng=rng)


def bound(constraint, generator, start, space="w"):
    return constraint.bind(generator, start, space)


def test_the_prompts_term_is_one_minus_the_cosine(generator, start, rng):
    image = torch.rand(2, 3, 16, 16, generator=rng)
    term = bound(TextPrompt("red", ColorClip(), views=0), generator, start)
    mean = image.mean(dim=(2, 3))
    torch.testing.assert_close(term(start, image), 1 - mean[:, 0] / mean.norm(dim=1))


def test_several_prompts_count_alike(generator, start, rng):
    image = torch.rand(2, 3, 16, 16, generator=rng)
    both, red, blue = (bound(TextPrompt(prompt, ColorClip(), views=0), generator, start)
                       for prompt in (["red", "a blue"], "red", "blue"))
    torch.testing.assert_close(both(start, image), (red(start, image) + blue(start, image)) / 2)


def test_a_change_is_measured_from_the_start_and_nothing_else_counts(generator, start):
    term = bound(TextPrompt("from red to blue", ColorClip(), views=0), generator, start)
    before = generator.decode(start, space="w")
    torch.testing.assert_close(term(start, before), torch.ones(2))  # no change, no direction

    def shifted(red, blue):
        return before + torch.tensor([red, 0.0, blue])[:, None, None]

    assert (term(start, shifted(-0.2, 0.2)) < 1).all() and (
        term(start, shifted(0.2, -0.2)) > 1).all()
    with pytest.raises(ValueError, match="both ends"):
        bound(TextPrompt("From red to red", ColorClip()), generator, start)


@pytest.mark.parametrize("space", ["z", "w", "w_plus"])
def test_an_edit_comes_closer_to_the_prompt_in_every_space(space, generator, rng):
    start = generator.sample_latent(2, space=space, rng=rng)
    found = edit_with_text(generator, start, "blue", clip=ColorClip(), space=space, l2=0,
                           steps=30)
    term = found.energies["TextPrompt 1"]
    assert term.shape == (30, 2) and (term[-1] < term[0] - 0.02).all()
    assert set(found.energies) == {"TextPrompt 1", "close to the input"}


def test_a_family_that_has_only_z_is_edited_too(rng):
    found = edit_with_text(Plain(), torch.randn(1, 48, generator=rng), "blue", clip=ColorClip(),
                           l2=0, steps=40)
    red, green, blue = found.image.mean(dim=(0, 2, 3))
    assert blue > red and blue > green


def test_prompts_identities_and_strokes_add_up_in_one_energy(generator, start):
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[2:6, 2:6] = True
    wishes = [TextPrompt("red", ColorClip(), weight=2, views=0),
              Identity(lambda x: x.flatten(1), weight=3), ColorStroke(mask, (0, 1, 0), weight=4)]
    editing = Editing(generator, start, wishes, smoothness=0.1)
    editing.step()
    editing.step()  # so that it stands elsewhere
    code = editing.latent
    image = generator.decode(code, space="w")
    editing.step()
    for wish, value in zip(wishes, editing.energies.values(), strict=False):
        torch.testing.assert_close(value, wish.weight * bound(wish, generator, start)(code, image),
                                   atol=1e-4, rtol=1e-3)


def test_a_large_l2_keeps_the_start(generator, start):
    def moved(l2):
        found = edit_with_text(generator, start[:1], "blue", clip=ColorClip(), l2=l2, steps=30)
        return (found.latent - start[:1]).square().mean()

    assert moved(1000) < 0.01 * moved(0)


def test_identity_costs_nothing_at_the_start_and_holds_back(generator, start):
    def look(images):
        return images.flatten(1) - 0.5

    term = bound(Identity(look), generator, start)
    before = generator.decode(start, space="w")
    torch.testing.assert_close(term(start, before), torch.zeros(2), atol=1e-5, rtol=0)
    free, held = (edit_with_text(generator, start, "blue", clip=ColorClip(), l2=0, steps=30,
                                 identity=weight, identify=look) for weight in (0.0, 20.0))
    assert held.energies["Identity 2"][-1].mean() / 20 < term(free.latent, free.image).mean()


def test_identity_may_be_of_a_photo(generator, start):
    photo = torch.full((3, 16, 16), 0.3)
    term = bound(Identity(lambda images: images.flatten(1), photo=photo), generator, start)
    torch.testing.assert_close(term(start, photo.expand(2, -1, -1, -1)), torch.zeros(2),
                               atol=1e-5, rtol=0)


def test_the_gray_identity_is_blind_to_colour_but_not_to_shape():
    cat = load_image("tabby", size=128, device="cpu")[None]
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    gray = (cat * luma).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    look = lite0_identity()
    own, without, other = (F.normalize(look(x), dim=1) for x in (cat, gray, cat.flip(2)))
    torch.testing.assert_close(own, without, atol=1e-3, rtol=0)
    assert (own * other).sum() < 0.9


def test_the_discriminators_identity_needs_a_discriminator(generator, rng):
    images = torch.rand(3, 3, 16, 16, generator=rng)
    assert discriminator_identity(generator)(images).shape[0] == 3
    with pytest.raises(ValueError, match=r"lite0_identity\(\)"):
        discriminator_identity(Plain())


@pytest.mark.parametrize("look, complaint", [
    (3, "can't look at a picture"),
    (lambda x: x, "one vector a picture"),
    (lambda x: x.flatten(1) / 0, "NaN or infinity"),
    (lambda x: 1.0, "returned float"),
])
def test_a_broken_identity_is_refused(look, complaint, generator, start, as_users_run_it):
    with pytest.raises(ValueError, match=complaint):
        bound(Identity(look), generator, start)


@pytest.mark.parametrize("prompt, complaint", [
    ("", "empty"), ([], "empty"), (["red", " "], "empty"), (3, "no sentence"),
])
def test_a_prompt_that_says_nothing_is_refused(prompt, complaint, generator, start,
                                               as_users_run_it):
    with pytest.raises(ValueError, match=complaint):
        edit_with_text(generator, start, prompt, clip=ColorClip())


def test_frames_lie_inside_the_picture_and_follow_the_seed():
    ramp = torch.linspace(0, 1, 32)
    image = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32), torch.ones(32, 32)])
    frames = random_frames(image[None], 50, torch.Generator().manual_seed(1))
    again = random_frames(image[None], 50, torch.Generator().manual_seed(1))
    assert torch.equal(frames, again)
    spans = frames[:, 0, 0, 0, -1] - frames[:, 0, 0, 0, 0]
    assert (spans > 0.74).all() and (spans < 1.01).all() and spans.std() > 0.03
    assert frames.min() >= 0 and frames.max() <= 1 and (frames[:, 0, 0, 0, 0].std() > 0.02)


def test_the_small_clip_edits_with_gradients_that_reach_the_pixels():
    clip, image = load_clip(device="cpu"), load_image("tabby", size=64, device="cpu")[None]
    image.requires_grad_()
    (clip.embed_images(image) @ clip.embed_texts(["a ginger cat"]).T).sum().backward()
    assert image.grad.isfinite().all() and (image.grad.abs().sum(dim=1) > 0).float().mean() > 0.9


def test_with_strokes_the_prompt_may_stand_in_guidance_edit(generator, start):
    found = edit(generator, start, [TextPrompt("green", ColorClip())], smoothness=0, steps=10)
    assert found.image.shape == (2, 3, 16, 16) and "TextPrompt 1" in found.missed
