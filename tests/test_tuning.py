"""Fine-tuning: the photo is reached, and each regulariser keeps what it promises."""

import pytest
import torch

from course_lib.losses import pixel_loss
from course_lib.tuning import STRENGTHS, tune_generator
from tests.toys import tame


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def pivot(generator, rng):
    return generator.sample_latent(1, space="w", rng=rng)


@pytest.fixture
def photo(generator, pivot, rng):
    """The pivot's picture with a mark that the generator does not know."""
    marked = generator.decode(pivot, space="w").clone()
    marked[:, :, 4:8, 4:8] += 0.5
    return marked


def tune(generator, photo, pivot, regularizer=None, **options):
    options = {"steps": 60, "learning_rate": 0.01, "loss": pixel_loss} | options
    return tune_generator(generator, photo, pivot, space="w", regularizer=regularizer, **options)


def test_tuning_reaches_the_photo_and_leaves_the_original_alone(generator, photo, pivot):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    tuned = tune(generator, photo, pivot)
    start = pixel_loss(generator.decode(pivot, space="w"), photo)
    assert pixel_loss(tuned.image, photo) < 0.3 * start
    torch.testing.assert_close(tuned.generator.decode(pivot, space="w"), tuned.image)
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(p.requires_grad for p in tuned.generator.parameters())
    assert tuned.generator.discriminator_features(photo) is not None


def weights_moved(generator, other, pivot):
    pairs = zip(generator.parameters(), other.parameters(), strict=True)
    return sum((a - b).square().sum() for a, b in pairs)


def features_moved(generator, other, pivot):
    layers = generator.layers[:-1]
    pairs = [[g.features(pivot, layer, space="w") for g in (generator, other)] for layer in layers]
    return sum((a - b).square().mean() / a.square().mean() for a, b in pairs)


def pictures_moved(generator, other, pivot):
    codes = generator.sample_latent(20, space="w", rng=torch.Generator().manual_seed(1))
    return pixel_loss(*(g.decode(codes, space="w") for g in (generator, other))).mean()


@pytest.mark.parametrize("regularizer, strength, moved", [
    ("weight", 1, weights_moved), ("feature", 1, features_moved),
    ("locality", 1, pictures_moved),
])
def test_each_regulariser_keeps_what_it_promises(
    generator, photo, pivot, regularizer, strength, moved
):
    options = {"steps": 60, "learning_rate": 0.003}
    free = tune(generator, photo, pivot, **options)
    bound = tune(generator, photo, pivot, regularizer, strength=strength, **options)
    far, near = (moved(generator, tuned.generator, pivot) for tuned in (free, bound))
    assert near < 0.6 * far
    assert pixel_loss(bound.image, photo) < pixel_loss(generator.decode(pivot, space="w"), photo)
    term = bound.energies["close to the old generator"]
    assert term[0] < 1e-6 and term[-1] > 0


def test_the_weight_term_is_the_squared_distance(generator, photo, pivot):
    tuned = tune(generator, photo, pivot, "weight", strength=1e-6, steps=10)
    distance = weights_moved(generator, tuned.generator, pivot)
    last = tuned.energies["close to the old generator"][-1] / 1e-6
    assert 0.3 * distance < last < distance  # of the step before the last


def test_each_regulariser_has_a_strength_of_its_own(generator, photo, pivot):
    for regularizer, strength in STRENGTHS.items():
        default = tune(generator, photo, pivot, regularizer, steps=4)
        said = tune(generator, photo, pivot, regularizer, steps=4, strength=strength)
        assert torch.equal(default.image, said.image)


def test_equal_seeds_tune_equally(generator, photo, pivot):
    a, b = (tune(generator, photo, pivot, "locality", steps=5) for _ in range(2))
    assert torch.equal(a.image, b.image)


def test_a_pivot_drawn_with_the_seed_of_locality_is_tuned(generator):
    pivot = generator.sample_latent(1, space="w", rng=torch.Generator().manual_seed(0))
    photo = generator.decode(pivot, space="w").detach() + 0.05
    found = tune_generator(generator, photo, pivot, space="w", regularizer="locality", steps=2)
    assert all(term.isfinite().all() for term in found.energies.values())


def test_it_descends_where_gradients_are_switched_off(generator, photo, pivot):
    with torch.no_grad():
        found = tune(generator, photo, pivot, steps=5)
    assert found.energies["close to the photo"][-1] < found.energies["close to the photo"][0]


def test_the_callback_sees_every_step(generator, photo, pivot):
    seen = []
    tune(generator, photo, pivot, steps=3, callback=lambda step, image: seen.append(step))
    assert seen == [0, 1, 2]


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("options, sentence", [
    ({"regularizer": "style"}, "regularizer is 'style'"),
    ({"strength": -1}, "at least 0"), ({"steps": 1.5}, "whole number"),
    ({"learning_rate": 0}, "above 0"), ({"rng": 0}, "rng is 0, but"),
])
def test_a_wrong_call_says_what_to_do(options, sentence, generator, photo, pivot):
    with pytest.raises(ValueError, match=sentence):
        tune(generator, photo, pivot, **options)
