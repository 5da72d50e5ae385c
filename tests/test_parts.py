"""Editing in Style: parts, the channels that draw them, and carrying one over."""

import math

import pytest
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab

from course_lib.classifiers import load_classifier, sample_showing
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.parts import (
    Part,
    choose_channels,
    coarse_layers,
    find_parts,
    lab,
    load_parts,
    measure_locality,
    named_mask,
    part_channels,
    save_parts,
    shipped_parts,
    spherical_kmeans,
    transfer_part,
)
from tests.toys import Plain, tame


class Quadrants(Generator):
    """Channel c is active in quadrant c alone, where its style is how bright the picture gets."""

    name, resolution, z_dim, layers = "quadrants", 8, 4, ("stamps",)
    spaces, inner_spaces, default_space = ("z", "w"), ("s",), "w"

    def __init__(self):
        super().__init__()
        stamps = torch.zeros(4, 8, 8)
        for c in range(4):
            stamps[c, 4 * (c // 2):, 4 * (c % 2):][:4, :4] = c + 1.0
        self.stamps = torch.nn.Parameter(stamps, requires_grad=False)

    def latent_shape(self, space):
        return (4,)

    def style_slices(self):
        return {"first": slice(0, 2), "second": slice(2, 4)}

    def style_inputs(self, latent, *, space="z"):
        return {"first": self.stamps[None, :2], "second": self.stamps[None, 2:]}

    def features(self, latent, layer, *, space="z"):
        return self.stamps * (1 + 0.1 * latent[:, :, None, None].tanh())

    def decode(self, latent, *, space="z", noise=None):
        drawn = (latent.sigmoid()[:, :, None, None] * (self.stamps > 0)).sum(dim=1, keepdim=True)
        return drawn.expand(-1, 3, -1, -1)


@pytest.fixture(scope="module")
def garments():
    """The generator of clothes, the parts of its tops, and codes of some of its kinds."""
    generator, rng = load_generator("clothes", device="cpu"), torch.Generator().manual_seed(5)
    kinds = {"short": ("t-shirt", "longsleeve"), "long": ("longsleeve", "t-shirt"),
             "legs": ("trousers", "shirt")}
    codes = {name: sample_showing(generator, 6, any_of=[shown], none_of=[*barred, "dress"],
                                  rng=rng, truncation_psi=0.7)
             for name, (shown, *barred) in kinds.items()}
    return generator, shipped_parts(generator, "tops"), codes


@pytest.fixture
def quadrants() -> Quadrants:
    return Quadrants()


@pytest.fixture
def parts(quadrants, rng):
    return find_parts(quadrants, layer="stamps", n_parts=4, rng=rng, n_samples=20)


# ---- clusters

def test_vectors_of_any_length_fall_into_the_directions_that_they_were_drawn_from(rng):
    directions = torch.linalg.qr(torch.randn(6, 4, generator=rng)).Q.T
    truth = torch.cat([torch.full((count,), c) for c, count in enumerate((90, 70, 50, 30))])
    lengths = torch.rand(len(truth), 1, generator=rng) * 9 + 0.1
    noise = 0.1 * torch.randn(len(truth), 6, generator=rng)
    centers = spherical_kmeans(lengths * (directions[truth] + noise), 4, rng=rng)
    torch.testing.assert_close(centers.norm(dim=1), torch.ones(4))
    assert ((centers * directions).sum(dim=1) > 0.99).all()  # the largest cluster comes first


def test_clusters_are_those_of_the_seed(rng):
    vectors = torch.randn(200, 5, generator=rng)
    seeds = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    one, again, other = (spherical_kmeans(vectors, 6, rng=seed) for seed in seeds)
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_more_rounds_fit_no_worse(rng):
    vectors = F.normalize(torch.randn(300, 5, generator=rng), dim=1)
    fits = [float((vectors @ spherical_kmeans(
        vectors, 7, rng=torch.Generator().manual_seed(0), starts=1, rounds=rounds).T
    ).amax(dim=1).sum()) for rounds in (1, 3, 30)]
    assert fits == sorted(fits) and fits[0] < fits[-1]


# ---- whose channels

def test_where_one_channel_paints_one_part_m_is_the_identity(quadrants, parts):
    order = parts.contributions.argmax(dim=1)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    torch.testing.assert_close(parts.contributions[order.argsort()], torch.eye(4))
    masks = parts.masks(quadrants, torch.zeros(1, 4), space="w")[0, order.argsort()]
    assert torch.equal(masks, (quadrants.stamps > 0).float())


def test_what_a_channel_gives_to_all_parts_is_one(rng):
    generator = tame(rng)
    found = find_parts(generator, layer="b16.conv0", n_parts=3, rng=rng, n_samples=6)
    sizes = generator.latent_shape("s")
    torch.testing.assert_close(found.contributions.sum(dim=0), torch.ones(sizes))
    assert (found.contributions >= 0).all()
    codes = generator.sample_latent(2, space="w", rng=rng)
    assert torch.equal(found.masks(generator, codes, space="w").sum(dim=1), torch.ones(2, 16, 16))


def test_a_channel_that_is_never_active_belongs_to_no_part(quadrants, rng):
    quadrants.style_inputs = lambda latent, *, space: {"all": quadrants.stamps[None] * torch.tensor(
        [1.0, 0, 1, 1])[:, None, None]}
    found = find_parts(quadrants, layer="stamps", n_parts=4, rng=rng, n_samples=6)
    assert found.contributions.sum(dim=0).tolist() == [1, 0, 1, 1]


def test_clusters_under_one_name_are_one_part(quadrants, parts):
    both = parts.named({"top": (0, 1), "rest": (2, 3)})
    assert both.names == ("top", "rest")
    torch.testing.assert_close(both["top"].contributions, parts.contributions[:2].sum(dim=0))
    codes = torch.zeros(1, 4)
    torch.testing.assert_close(both.masks(quadrants, codes, space="w")[:, 0],
                               parts.masks(quadrants, codes, space="w")[:, :2].sum(dim=1))


# ---- which channels go over

def test_q_takes_channels_in_falling_order_as_long_as_the_budget_lasts():
    m = torch.tensor([0.2, 0.9, 0.05, 0.6, 0.8])
    # 1 − M in falling order of M: .1, .2, .4, .8, .95; summed: .1, .3, .7, 1.5, 2.45.
    for leakage, least, chosen in (
        (0.7001, 0, [0, 1, 0, 1, 1]), (0.6999, 0, [0, 1, 0, 0, 1]), (0.05, 0, [0, 0, 0, 0, 0]),
        (9, 0, [1, 1, 1, 1, 1]), (9, 0.1, [1, 1, 0, 1, 1]), (9, 0.6, [0, 1, 0, 0, 1]),
    ):
        q = choose_channels(m, leakage=leakage, least=least)
        assert q.tolist() == chosen, (leakage, least)


def test_each_layer_has_a_budget_of_its_own(quadrants):
    part = Part("any", torch.tensor([0.9, 0.8, 0.9, 0.8]))
    assert part_channels(quadrants, part, leakage=0.2).tolist() == [1, 0, 1, 0]
    assert part_channels(quadrants, part, leakage=0.2, layers=("second",)).tolist() == [0, 0, 1, 0]


def test_a_part_is_taken_over_and_nothing_else(quadrants, parts, rng):
    codes, reference = torch.randn(2, 2, 4, generator=rng)
    name = parts.names[int(parts.contributions[:, 2].argmax())]  # of the third quadrant
    styles = transfer_part(quadrants, codes, reference, parts[name], space="w")
    found, before, other = (quadrants.decode(one).clone() for one in (styles, codes, reference))
    torch.testing.assert_close(found[:, :, 4:, :4], other[:, :, 4:, :4])
    found[:, :, 4:, :4] = before[:, :, 4:, :4]
    torch.testing.assert_close(found, before)


def test_strength_goes_straight_from_one_style_to_the_other(rng):
    generator = tame(rng)
    part = find_parts(generator, layer="b8.conv1", n_parts=2, rng=rng, n_samples=4)["0"]
    codes, reference = (generator.sample_latent(n, space="w", rng=rng) for n in (3, 1))

    def taken(strength):
        return transfer_part(generator, codes, reference, part, space="w", strength=strength)

    start = generator.convert(codes, "w", "s")
    torch.testing.assert_close(taken(0), start)
    torch.testing.assert_close(taken(0.5), (start + taken(1)) / 2)
    everything = transfer_part(generator, codes, reference, part, space="w", leakage=1e6, least=0)
    torch.testing.assert_close(everything, generator.convert(reference, "w", "s").expand(3, -1))


# ---- how local

def test_lab_is_scikit_images(rng):
    images = torch.rand(2, 3, 5, 4, generator=rng)
    found = lab(images)
    expected = rgb2lab(images.permute(0, 2, 3, 1).numpy())
    torch.testing.assert_close(found.permute(0, 2, 3, 1), torch.from_numpy(expected), atol=1e-3,
                               rtol=1e-3)
    black, white = lab(torch.zeros(3, 1, 1)), lab(torch.ones(3, 1, 1))
    torch.testing.assert_close((white - black).flatten(), torch.tensor([100.0, 0, 0]), atol=0.02,
                               rtol=0)


def test_change_is_counted_where_it_is(rng):
    before = torch.full((1, 3, 8, 8), 0.5)
    region = torch.zeros(1, 4, 4)
    region[:, :2] = 1  # the upper half, at half the size
    after = before.clone()
    after[..., :4, :] = 0.6
    found = measure_locality(before, after, region)
    step = float((lab(after) - lab(before)).norm(dim=1).max())
    assert found.inside == pytest.approx(step) and found.outside == 0 and found.share == 1
    turned = measure_locality(before, after, 1 - region)
    assert (turned.inside, turned.outside) == (found.outside, found.inside)
    assert math.isclose(measure_locality(before, before, region).share, 0)


# ---- what ships, and what was saved

def test_parts_come_back_as_they_were_saved(parts, tmp_path):
    named = parts.named({"left": (0, 2), "right": (1, 3)})
    save_parts(named, tmp_path / "parts.safetensors")
    again = load_parts(tmp_path / "parts.safetensors")
    assert (again.layer, again.clusters) == (named.layer, named.clusters)
    torch.testing.assert_close(again.contributions, named.contributions, atol=1e-3, rtol=0)


def test_the_named_parts_of_cats_lie_where_their_names_say():
    generator = load_generator("cats-128", device="cpu")
    parts = shipped_parts(generator)
    codes = generator.sample_latent(
        12, space="w", rng=torch.Generator().manual_seed(1), truncation_psi=0.8)
    masks = parts.masks(generator, codes, space="w")
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(12, 32, 32))
    y = torch.linspace(0, 1, 32)[:, None]
    heights = (masks * y).sum(dim=(0, 2, 3)) / masks.sum(dim=(0, 2, 3))
    where = dict(zip(parts.names, heights.tolist(), strict=True))
    assert where["ears"] < where["brow"] < where["eyes"] < where["muzzle"] < where["chest"]
    inside = {name: parts[name].contributions.max() for name in ("eyes", "ears", "muzzle")}
    assert min(inside.values()) > 0.5, inside


def test_named_parts_lie_in_one_mask_and_nobody_elses_generator_has_any(quadrants):
    generator = load_generator("cats-128", device="cpu")
    code = generator.latent_mean("w")[None]
    parts = shipped_parts(generator)
    masks = dict(zip(parts.names, parts.masks(generator, code, space="w")[0] > 0, strict=True))
    found = named_mask(generator, code, ("background", "chest"), space="w")
    assert torch.equal(found, masks["background"] | masks["chest"]) and found.any()
    for other in (Plain(), quadrants):
        z = torch.zeros(1, other.z_dim)
        assert named_mask(other, z, ("background",), space="z") is None


def test_a_part_of_a_cat_changes_more_inside_than_by_mixed_rows():
    generator = load_generator("cats-128", device="cpu")
    parts = shipped_parts(generator)
    rng = torch.Generator().manual_seed(2)
    codes, others = (generator.sample_latent(8, space="w_plus", rng=rng, truncation_psi=0.8)
                     for _ in range(2))
    with torch.no_grad():
        before = generator.decode(codes, space="w_plus").clamp(0, 1)
        mixed = generator.mix_styles(codes, others, 5)
        by_rows = generator.decode(mixed, space="w_plus").clamp(0, 1)
        for number, name in enumerate(parts.names):
            region = torch.stack([parts.masks(generator, one, space="w_plus")[:, number]
                                  for one in (codes, others)]).amax(dim=0)
            styles = transfer_part(generator, codes, others, parts[name], space="w_plus")
            by_part = generator.decode(styles, space="s").clamp(0, 1)
            assert measure_locality(before, by_part, region).share > measure_locality(
                before, by_rows, region).share, name


def test_the_named_parts_of_garments_lie_where_their_names_say(garments):
    generator, tops, codes = garments
    masks = tops.masks(generator, codes["short"], space="w")
    heights, sides = (torch.linspace(-1, 1, 16)[:, None], torch.linspace(-1, 1, 16).abs())

    def mean_of(name: str, weight: torch.Tensor) -> float:
        mask = masks[:, tops.names.index(name)]
        return float((mask * weight).sum() / mask.sum())

    assert mean_of("sleeves", sides) > mean_of("body", sides) + 0.2
    assert mean_of("chest", heights) < mean_of("body", heights) < mean_of("below", heights)
    trousers = shipped_parts(generator, "trousers")
    masks = trousers.masks(generator, codes["legs"], space="w")
    lower = {name: float((mask * heights).sum() / mask.sum())
             for name, mask in zip(trousers.names, masks.unbind(1), strict=True)}
    assert lower["waist"] < lower["legs"] < lower["between"]


@torch.no_grad()
def test_sleeves_go_over_without_the_colour_and_with_less_of_the_rest_than_all_styles(garments):
    generator, tops, codes = garments
    ours, theirs = codes["long"], codes["short"]
    form = coarse_layers(generator, ours, space="w")
    start, other = (generator.convert(one, "w", "s") for one in (ours, theirs))
    mixed = start.clone()
    for layer in form:
        at = generator.style_slices()[layer]
        mixed[:, at] = other[:, at]
    sewn = transfer_part(generator, ours, theirs, tops["sleeves"], space="w", layers=form,
                         leakage=100)
    before, wanted, all_of_it, by_part = (
        generator.decode(one, space="s").clamp(0, 1) for one in (start, other, mixed, sewn))
    region = torch.maximum(*(tops.masks(generator, one, space="w") for one in (ours, theirs)))
    region = region[:, tops.names.index("sleeves")]
    part, rows = (measure_locality(before, one, region) for one in (by_part, all_of_it))
    assert part.share > rows.share and part.outside < 0.8 * rows.outside
    judge = load_classifier(generator)
    sleeves = [judge(one)[:, judge.number("longsleeve")] for one in (before, by_part)]
    assert (sleeves[1] < sleeves[0]).all()
    own, new, meant = (one[:, :, 24:48, 24:40].mean(dim=(2, 3))
                       for one in (before, by_part, wanted))
    assert (new - own).norm() < 0.3 * (meant - own).norm()  # the cloth's colour stays


# ---- errors

@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("call, sentence", [
    (lambda g, p, rng: find_parts(g, layer="stamps", n_parts=1, rng=rng), "n_parts is 1"),
    (lambda g, p, rng: find_parts(g, layer="b9", n_parts=3, rng=rng), "layer is 'b9'"),
    (lambda g, p, rng: find_parts(Plain(), layer="y", n_parts=3, rng=rng),
     "plain has no styles.*take a StyleGAN2"),
    (lambda g, p, rng: transfer_part(Plain(), torch.zeros(1, 48), torch.zeros(1, 48), p["0"],
                                     space="z"), "plain has no styles"),
    (lambda g, p, rng: shipped_parts(Plain()), "plain has no styles"),
    (lambda g, p, rng: shipped_parts(g), "nobody has named the parts of quadrants"),
    (lambda g, p, rng: shipped_parts(load_generator("clothes", device="cpu")),
     "several things: say of which, of='tops' or of='trousers'"),
    (lambda g, p, rng: find_parts(g, layer="stamps", n_parts=2, rng=rng, codes=torch.rand(3, 5)),
     "codes? has shape|latent has shape"),
    (lambda g, p, rng: p["whiskers"], "part is 'whiskers'"),
    (lambda g, p, rng: p.named({"ears": (7,)}), "number of a cluster is 7"),
    (lambda g, p, rng: spherical_kmeans(torch.randn(5, 3), 6, rng=rng), "k is 6.*at most 5"),
    (lambda g, p, rng: spherical_kmeans(torch.full((5, 3), math.nan), 2, rng=rng), "vectors"),
    (lambda g, p, rng: choose_channels(torch.rand(4), leakage=-1), "leakage is -1"),
    (lambda g, p, rng: choose_channels(torch.rand(4), least=2), "least is 2"),
    (lambda g, p, rng: part_channels(g, Part("ears", torch.rand(9))), "number of contributions"),
    (lambda g, p, rng: measure_locality(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8),
                                        torch.ones(1, 4, 4)), "region covers 100 %"),
    (lambda g, p, rng: measure_locality(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 4, 4),
                                        torch.ones(1, 4, 4)), "before has shape"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, quadrants, parts, rng):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        call(quadrants, parts, rng)


@pytest.mark.usefixtures("as_users_run_it")
def test_a_file_of_something_else_holds_no_parts():
    generator = load_generator("cats", device="cpu")
    with pytest.raises(FileNotFoundError, match="nobody has named the parts of cats yet"):
        shipped_parts(generator)
    from course_lib.weights.files import ASSETS
    with pytest.raises(ValueError, match="holds no parts"):
        load_parts(ASSETS / "cats-classifier.safetensors")
