"""What "close" means: each loss is a distance, one number a picture."""

import sys

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.images import load_image
from course_lib.losses import (
    lite0_loss,
    lpips_loss,
    perceptual_loss,
    pixel_loss,
    weighted_sum,
)
from course_lib.text import load_clip
from course_lib.weights import StoredWeights, import_torchvision
from tests.toys import SMALL, random_weights


@pytest.fixture
def generator(rng) -> StyleGAN2:
    return StyleGAN2.from_weights(random_weights(SMALL, rng), "small")


@pytest.fixture
def pair(rng) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.rand(3, 3, 32, 32, generator=rng) for _ in range(2))


def test_pixel_losses_at_known_differences():
    black, grey = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    torch.testing.assert_close(pixel_loss(black, grey), torch.full((2,), 0.25))
    torch.testing.assert_close(pixel_loss(black, grey, norm="l1"), torch.full((2,), 0.5))


def test_losses_are_zero_for_equal_pictures_and_symmetric(generator, pair):
    for loss in (pixel_loss, perceptual_loss(generator)):
        a, b = pair
        assert torch.equal(loss(a, a), torch.zeros(3))
        assert (loss(a, b) > 0).all()
        torch.testing.assert_close(loss(a, b), loss(b, a))
        torch.testing.assert_close(loss(a, b)[1:2], loss(a[1:2], b[1:2]), rtol=1e-3, atol=1e-5)


def test_the_perceptual_loss_is_that_of_unit_features(generator, pair):
    a, b = pair
    expected = torch.zeros(3)
    for one, other in zip(generator.discriminator_features(a),
                          generator.discriminator_features(b), strict=True):
        cosine = torch.nn.functional.cosine_similarity(one, other, dim=1)
        expected += (2 - 2 * cosine).mean(dim=(1, 2))
    torch.testing.assert_close(perceptual_loss(generator)(a, b), expected, rtol=1e-3, atol=1e-4)


def test_a_weighted_sum_weighs(generator, pair):
    both = weighted_sum({pixel_loss: 2, perceptual_loss(generator): 0.5})(*pair)
    expected = 2 * pixel_loss(*pair) + perceptual_loss(generator)(*pair) / 2
    torch.testing.assert_close(both, expected)


def test_gradients_of_the_losses(pair):
    a, b = (x[:1, :, :4, :4].double() for x in pair)
    assert torch.autograd.gradcheck(lambda x: pixel_loss(x, b), a.requires_grad_())


def test_the_perceptual_loss_looks_again_at_a_target_that_has_changed(generator, pair):
    loss, (image, target) = perceptual_loss(generator), pair
    asked = []
    generator.discriminator_features, look = (
        lambda x: asked.append(x) or look(x)), generator.discriminator_features
    try:
        first = loss(image, target)
        assert torch.equal(loss(image, target), first) and len(asked) == 3  # it remembers
        target.mul_(0.5)
        changed = loss(image, target)
        assert (changed - first).abs().min() > 1e-4
        torch.testing.assert_close(changed, perceptual_loss(generator)(image, target))
    finally:
        del generator.discriminator_features


def test_the_perceptual_loss_pulls_a_picture_towards_its_target(generator, pair):
    loss, (image, target) = perceptual_loss(generator), pair
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(image, target).sum(), image)
    step = image - 0.1 * gradient / gradient.abs().max()
    assert (loss(step, target) < loss(image, target)).all()


def test_lpips_says_what_is_missing_offline(monkeypatch, tmp_path):
    import_torchvision()

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(FileNotFoundError, match=r"alex network.s weights.*perceptual_loss"):
        lpips_loss("alex")


@pytest.mark.parametrize("ask, missing, said", [
    (lambda: lpips_loss("alex"), "lpips", "LPIPS needs lpips and torchvision"),
    (lambda: lpips_loss("alex"), "torchvision", "LPIPS needs lpips and torchvision"),
    (lambda: load_clip("ViT-B-32", pretrained="openai"), "open_clip", "or use load_clip"),
    (lambda: load_clip("ViT-B-32", pretrained="openai"), "torchvision", "or use load_clip"),
    (lambda: load_generator("ddpm-cat-256"), "diffusers", "pip install diffusers torchvision."),
])
def test_what_needs_packages_of_its_own_says_which(monkeypatch, ask, missing, said):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=r"which the lessons do without, .*pip install") \
            as error:
        ask()
    assert said in str(error.value) and str(error.value).endswith(".")


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda a, b: pixel_loss(a, b[:2]), "combined element by element"),
    (lambda a, b: pixel_loss(a[0], b[0]), "batch axis"),
    (lambda a, b: pixel_loss(a, b, norm="l3"), "norm is 'l3'"),
    (lambda a, b: weighted_sum({}), "at least one loss"),
    (lambda a, b: weighted_sum({pixel_loss: -1}), "at least 0"),
    (lambda a, b: lpips_loss("resnet"), "net is 'resnet'"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, pair):
    with pytest.raises(ValueError, match=sentence):
        call(*pair)


def test_a_generator_without_discriminator_names_the_alternatives(rng):
    own = {k: v for k, v in random_weights(SMALL, rng).tensors.items() if k[0] == "G"}
    with pytest.raises(ValueError, match="pixel_loss"):
        perceptual_loss(StyleGAN2.from_weights(StoredWeights(own, {}), "alone"))


def test_lite0_loss_is_a_distance_at_any_size(pair):
    a, b = pair
    for images in (pair, [torch.nn.functional.interpolate(x, (40, 24)) for x in pair]):
        a, b = images
        loss = lite0_loss(seen_at=32)
        assert torch.equal(loss(a, a), torch.zeros(3)) and (loss(a, b) > 0.1).all()
        torch.testing.assert_close(loss(a, b), loss(b, a))
        slope = torch.autograd.grad(loss(a.requires_grad_(), b).sum(), a)[0]
        assert slope.isfinite().all() and (slope.flatten(1).norm(dim=1) > 0).all()


def test_lite0_loss_minds_blur_more_than_as_much_dimming():
    photo = load_image("chelsea", size=64)[None]
    blurred = torch.nn.functional.avg_pool2d(photo, 5, 1, 2)
    dimmed = photo * (1 - (pixel_loss(blurred, photo) / photo.square().mean()).sqrt())
    torch.testing.assert_close(pixel_loss(dimmed, photo), pixel_loss(blurred, photo))
    assert lite0_loss()(blurred, photo) > 2 * lite0_loss()(dimmed, photo)


def test_lite0_loss_refuses_a_size_at_which_nothing_is_seen():
    with pytest.raises(ValueError, match="at least 32"):
        lite0_loss(seen_at=16)
