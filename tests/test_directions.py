"""Directions: known ones are found again, by components, by weights and by labels."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.directions import (
    Directions,
    annotated,
    annotated_by_score,
    ganspace,
    move,
    principal_components,
    sefa,
    set_coordinate,
    with_spread,
)
from tests.toys import Linear, tame


@pytest.fixture
def cloud(rng) -> torch.Tensor:
    """5,000 points in 12 dimensions, far from 0, of different spread along each."""
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=rng)).Q
    spread = 2.0 ** -torch.arange(12)
    return torch.randn(5000, 12, generator=rng) * spread @ rotation + 10


def test_components_are_those_of_an_exact_decomposition(cloud):
    mean, components, stdev = principal_components(cloud.split(700), 4)
    exact = torch.linalg.svd(cloud.double() - cloud.double().mean(dim=0), full_matrices=False)
    torch.testing.assert_close(mean, cloud.mean(dim=0))
    torch.testing.assert_close(stdev.double(), exact.S[:4] / 5000**0.5, rtol=1e-3, atol=0)
    projector, expected = components.T @ components, exact.Vh[:4].T @ exact.Vh[:4]
    torch.testing.assert_close(projector.double(), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(components @ components.T, torch.eye(4), atol=1e-5, rtol=0)


def test_many_dimensions_have_the_same_leading_components(rng):
    rotation = torch.linalg.qr(torch.randn(1100, 12, generator=rng)).Q
    spread = 1.5 ** -torch.arange(12)
    cloud = torch.randn(2000, 12, generator=rng) * spread @ rotation.T
    cloud = cloud + 0.01 * torch.randn(2000, 1100, generator=rng)
    _, components, stdev = principal_components(cloud.split(500), 3)
    exact = torch.linalg.svd(cloud.double() - cloud.double().mean(dim=0), full_matrices=False)
    torch.testing.assert_close(stdev.double(), exact.S[:3] / 2000**0.5, rtol=1e-3, atol=0)
    cosines = (components * exact.Vh[:3]).sum(dim=1).abs()
    torch.testing.assert_close(cosines, torch.ones_like(cosines), atol=1e-3, rtol=0)


def test_order_and_sign_do_not_depend_on_the_batches(cloud):
    one, many = (principal_components(cloud.split(n), 3) for n in (5000, 123))
    for a, b in zip(one, many, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    largest = one[1].gather(1, one[1].abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all() and (one[2].diff() < 0).all()


def test_ganspace_of_a_mapping_network_is_the_components_of_w(rng):
    generator = tame(rng)
    found = ganspace(generator, n_samples=3000, n_components=3, batch=700,
                     rng=torch.Generator().manual_seed(1))
    codes = torch.Generator().manual_seed(1)
    w = torch.cat([generator.sample_latent(n, space="w", rng=codes)
                   for n in (700, 700, 700, 700, 200)])
    _, components, stdev = principal_components([w], 3)
    assert found.space == "w" and found.r2 is None
    torch.testing.assert_close(found.components, components, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.stdev, stdev, rtol=1e-3, atol=1e-4)
    share = stdev.square() / w.var(dim=0, unbiased=False).sum()
    torch.testing.assert_close(found.explained_variance_ratio, share, rtol=1e-3, atol=1e-4)


def test_ganspace_through_features_finds_what_they_read_of_z(rng):
    left, right = (torch.linalg.qr(torch.randn(n, 6, generator=rng)).Q for n in (9, 6))
    strengths = torch.tensor([8.0, 4, 2, 1, 0.5, 0.25])
    generator = Linear(left * strengths @ right.T)
    found = ganspace(generator, n_samples=50_000, n_components=3, rng=rng)
    assert found.space == "z"
    overlap = (found.components @ right[:, :3]).abs()
    torch.testing.assert_close(overlap, torch.eye(3), atol=0.03, rtol=0)
    assert (found.r2 > 0.99).all()
    torch.testing.assert_close(found.stdev, torch.ones(3), atol=0.03, rtol=0)


def test_the_regressions_r2_falls_when_the_features_do_not_follow_z(rng):
    class Noisy(Linear):
        def features(self, latent, layer, *, space="z"):
            noise = torch.randn(len(latent), 9, 1, 1, generator=rng)
            return super().features(latent, layer) + 3 * noise

    found = ganspace(Noisy(torch.eye(9)[:, :6]), n_samples=20_000, n_components=2, rng=rng)
    assert (found.r2 < 0.5).all()


def test_no_regression_explains_more_than_all(rng):
    generator = Linear(torch.randn(60, 6, generator=rng))
    found = ganspace(generator, n_samples=40, n_components=3, rng=rng)
    assert (found.r2 <= 1 + 1e-5).all() and (found.r2 > 0.9).all()


def test_sefa_is_the_decomposition_of_the_unit_rows(rng):
    generator = tame(rng)
    rows = torch.cat([layer.affine.weight for layer in generator.synthesis.layers.values()])
    exact = torch.linalg.svd(F.normalize(rows, dim=1)).Vh
    found = sefa(generator, n_components=4)
    torch.testing.assert_close((found.components * exact[:4]).sum(dim=1).abs(), torch.ones(4))
    assert found.space == "w" and (found.explained_variance_ratio.diff() <= 0).all()
    assert found.stdev is None
    assert torch.equal(found.components, sefa(generator, n_components=4).components)


def test_sefa_of_a_layer_that_reads_one_direction_finds_it(rng):
    generator = tame(rng)
    direction = F.normalize(torch.randn(8, generator=rng), dim=0)
    affine = generator.synthesis.b8.conv0.affine
    affine.weight.copy_(torch.randn(len(affine.weight), 1, generator=rng) * direction)
    found = sefa(generator, layers=["b8.conv0"], n_components=1)
    assert abs(found.components[0] @ direction) > 0.9999
    torch.testing.assert_close(found.explained_variance_ratio, torch.ones(1))


def labelled(rng, n=400):
    normal = F.normalize(torch.randn(8, generator=rng), dim=0)
    codes = torch.randn(n, 8, generator=rng)
    return codes, codes @ normal > 0.2, normal


def test_a_labelled_direction_is_found_again(rng):
    codes, labels, normal = labelled(rng)
    found = annotated(codes, labels)
    assert found.components[0] @ normal > 0.97
    assert found.accuracy > 0.9
    torch.testing.assert_close(found.components.norm(dim=1), torch.ones(1))


def test_forty_labels_suffice_for_a_hint(rng):
    codes, labels, normal = labelled(rng, n=40)
    assert annotated(codes, labels).components[0] @ normal > 0.6


def test_a_conditional_direction_leaves_the_others_alone(rng):
    codes, labels, _ = labelled(rng)
    others = F.normalize(torch.randn(2, 8, generator=rng), dim=1)
    found = annotated(codes, labels, condition_on=list(others))
    torch.testing.assert_close(found.components[0] @ others.T, torch.zeros(2), atol=1e-5, rtol=0)


def test_labels_of_random_coins_are_not_learnt(rng):
    codes = torch.randn(400, 8, generator=rng)
    assert annotated(codes, torch.rand(400, generator=rng) < 0.5).accuracy < 0.7


def test_moving_there_and_back_is_no_move(rng):
    w = torch.randn(3, 8, generator=rng)
    direction = F.normalize(torch.randn(8, generator=rng), dim=0)
    torch.testing.assert_close(move(move(w, direction, 2), direction, -2), w)
    each = move(w, direction, torch.tensor([0.0, 1, 2]))
    torch.testing.assert_close((each - w) @ direction, torch.tensor([0.0, 1, 2]))


def test_only_the_named_rows_move(rng):
    w_plus = torch.randn(2, 6, 8, generator=rng)
    direction = F.normalize(torch.randn(8, generator=rng), dim=0)
    moved = move(w_plus, direction, 3, layers=[1, 4])
    assert torch.equal(moved[:, [0, 2, 3, 5]], w_plus[:, [0, 2, 3, 5]])
    torch.testing.assert_close(moved[:, [1, 4]], w_plus[:, [1, 4]] + 3 * direction)


def test_setting_a_coordinate_forgets_where_the_code_was(rng):
    components = torch.linalg.qr(torch.randn(8, 8, generator=rng)).Q[:3]
    directions = Directions(components, torch.tensor([3.0, 2, 1]), torch.ones(8), "w")
    w = torch.randn(5, 8, generator=rng)
    placed = set_coordinate(w, directions, 1, 1.5)
    coordinates = (placed - 1) @ components.T / directions.stdev
    torch.testing.assert_close(coordinates[:, 1], torch.full((5,), 1.5))
    before = (w - 1) @ components.T / directions.stdev
    torch.testing.assert_close(coordinates[:, [0, 2]], before[:, [0, 2]])
    torch.testing.assert_close(set_coordinate(placed, directions, 1, 1.5), placed)
    w_plus = torch.randn(2, 6, 8, generator=rng)
    some = set_coordinate(w_plus, directions, 0, -1, layers=[2])
    assert torch.equal(some[:, 3], w_plus[:, 3]) and not torch.equal(some[:, 2], w_plus[:, 2])


def test_answers_may_be_whole_numbers(rng):
    codes, labels, _ = labelled(rng)
    torch.testing.assert_close(annotated(codes, labels.long()).components,
                               annotated(codes, labels).components)


def test_scores_give_the_direction_along_which_they_grow(rng):
    codes, _, normal = labelled(rng, n=2000)
    scores = codes @ normal + 0.3 * torch.randn(2000, generator=rng)
    found = annotated_by_score(codes, scores, share=0.1)
    assert found.components[0] @ normal > 0.97 and found.accuracy > 0.95
    torch.testing.assert_close(found.stdev, (codes @ found.components[0]).std()[None])
    torch.testing.assert_close(annotated_by_score(codes, 5 + 100 * scores).components,
                               found.components)  # only their order counts


def test_codes_of_middling_score_teach_nothing(rng):
    codes, _, normal = labelled(rng, n=1000)
    scores = codes @ normal
    found = annotated_by_score(codes, scores, share=0.05)
    middling = scores.abs() < 0.5
    other = codes + middling[:, None] * torch.randn(1000, 8, generator=rng)
    torch.testing.assert_close(annotated_by_score(other, scores, share=0.05).components,
                               found.components)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda g, r: principal_components([], 2), "at least one batch"),
    (lambda g, r: principal_components([torch.rand(3, 8)], 5), "ask for fewer"),
    (lambda g, r: ganspace(g, n_samples=0, rng=r), "whole number"),
    (lambda g, r: ganspace(g, layer="b99", rng=r), "layer is 'b99'"),
    (lambda g, r: sefa(g, layers=["b99"]), "layer is 'b99'"),
    (lambda g, r: ganspace(g, n_samples=50, n_components=2, rng=0), "rng is 0, but"),
    (lambda g, r: sefa(g, n_components=99), "at most 8"),
    (lambda g, r: sefa(Linear(torch.eye(6))), "use ganspace"),
    (lambda g, r: set_coordinate(torch.rand(2, 8), sefa(g, n_components=2), 0, 1.0),
     "take it from codes"),
    (lambda g, r: annotated(torch.rand(9, 8), torch.zeros(9).bool()), "two of each kind"),
    (lambda g, r: annotated(torch.rand(9, 8), torch.arange(9)), "labels hold .*True and False"),
    (lambda g, r: annotated(torch.rand(9, 8), torch.zeros(8).bool()), "one label is needed"),
    (lambda g, r: annotated(torch.rand(9, 6, 8), torch.zeros(9).bool()), "sample in z or w"),
    (lambda g, r: annotated(torch.randn(9, 2, generator=r), torch.arange(9) % 2 == 0,
                            condition_on=list(torch.eye(2))), "leave out the one"),
    (lambda g, r: annotated_by_score(torch.rand(9, 8), torch.rand(9), share=0.6), "at most 0.5"),
    (lambda g, r: move(torch.rand(2, 8), torch.ones(8), 1, layers=[0]), "convert them first"),
    (lambda g, r: move(torch.rand(2, 6, 8), torch.ones(8), 1, layers=[6]), "at most 5"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, rng):
    with pytest.raises(ValueError, match=sentence):
        call(tame(rng), rng)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("change", [
    lambda w, labels: (w.double(), labels), lambda w, labels: (w.numpy(), labels.numpy()),
    lambda w, labels: (w, labels.tolist()), lambda w, labels: (w.double().numpy(), labels.numpy()),
], ids=["float64", "arrays", "a list", "an array of float64"])
def test_what_numpy_gives_is_taken_as_tensors_are(change, cloud):
    w, labels = cloud[:200], cloud[:200, 3] > cloud[:, 3].mean()
    expected = annotated(w, labels)
    torch.testing.assert_close(annotated(*change(w, labels)).components, expected.components)
    scores = annotated_by_score(*change(w, w[:, 3]), share=0.3)
    torch.testing.assert_close(scores.components,
                               annotated_by_score(w, w[:, 3], share=0.3).components)
    spread = with_spread(expected, change(w, labels)[0])
    torch.testing.assert_close(spread.stdev, expected.stdev)
    direction = expected.components[0].double().numpy()
    moved = move(w, direction, 2.0)
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved, move(w, expected.components[0], 2.0))


@pytest.mark.usefixtures("as_users_run_it")
def test_numbers_that_would_spread_or_shift_are_refused(cloud):
    w, labels = cloud[:40].clone(), cloud[:40, 3] > cloud[:40, 3].median()
    with pytest.raises(ValueError, match="there are 40 codes"):
        annotated_by_score(w, w[:10, 3])
    with pytest.raises(ValueError, match="scores has NaN"):
        annotated_by_score(w, torch.full((40,), torch.nan))
    w[3, 5] = torch.nan
    with pytest.raises(ValueError, match="the samples' covariance has NaN"):
        principal_components([w], 2)
    for call in (lambda: annotated(w, labels), lambda: annotated_by_score(w, w[:, 3])):
        with pytest.raises(ValueError, match="latents has NaN or infinity in 1 places"):
            call()


@pytest.mark.usefixtures("as_users_run_it")
def test_samples_too_long_for_the_memory_are_refused_before_it_is_taken():
    long = torch.zeros(1).expand(30, 1 << 22)  # of one number, however long
    with pytest.raises(ValueError, match=r"hold 4,194,304 numbers .* 20 components .* 24 GB"):
        principal_components([long], 20)


@pytest.mark.parametrize("layer", ["b4.conv1", "b16.conv1"])
def test_long_features_have_the_same_directions_as_short_ones(layer, monkeypatch, rng):
    from course_lib.directions import moments

    generator = tame(rng)

    def found(most):
        monkeypatch.setattr(moments, "MOST_DIMENSIONS", most)
        return ganspace(generator, n_samples=400, n_components=2, layer=layer, batch=150,
                        rng=torch.Generator().manual_seed(1))

    exact, leading = found(10_000), found(1)
    for name in ("components", "stdev", "mean", "explained_variance_ratio", "r2"):
        torch.testing.assert_close(getattr(leading, name), getattr(exact, name),
                                   atol=2e-3, rtol=2e-3)
