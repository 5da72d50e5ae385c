"""Brush edits: each stroke gets what it asks for, as far as the manifold and λ allow."""

import pytest
import torch

from course_lib.guidance import (
    Anything,
    ColorStroke,
    Drag,
    Editing,
    PatchMove,
    Rest,
    SketchStroke,
    WarpStroke,
    edit,
    orientation_histograms,
    scatter,
)
from course_lib.guidance.axes import principal_axes
from course_lib.guidance.candidates import worth_showing
from course_lib.guidance.rest import near
from course_lib.guidance.strokes import along_ways
from course_lib.warping import warp_mls
from tests.toys import Disc, tame


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


def test_only_the_rows_that_are_named_change(generator, start, patch):
    rows = generator.convert(start[:1], "w", "w_plus")
    init = rows + 0.1
    found = edit(generator, rows, [ColorStroke(patch, (1, 0, 0))], space="w_plus", init=init,
                 layers=[0, 2], smoothness=0, steps=5)
    changed = (found.latent - init).abs().amax(dim=(0, 2)) > 1e-4
    assert changed.tolist() == [row in (0, 2) for row in range(rows.shape[1])]
    with pytest.raises(ValueError, match="have no rows to choose"):
        edit(generator, start, [ColorStroke(patch, (1, 0, 0))], layers=[0])


def test_large_smoothness_keeps_the_input_and_none_lets_it_go(generator, start, patch):
    def moved(smoothness):
        found = edit(generator, start[:1], [ColorStroke(patch, (1, 0, 0))], smoothness=smoothness)
        return (found.latent - start[:1]).square().mean()

    assert moved(1000) < 0.01 * moved(0)


@pytest.mark.parametrize("space", ["z", "w", "w_plus"])
def test_the_smoothness_term_is_as_the_formula_says(generator, start, patch, space, rng):
    start = generator.sample_latent(1, space=space, rng=rng)
    editing = Editing(generator, start, [ColorStroke(patch, (1, 0, 0))], space=space, smoothness=2)
    for _ in range(3):
        editing.step()
    change = (editing.latent - start) @ principal_axes(generator, space)[1]
    editing.step()
    torch.testing.assert_close(
        editing.energies["close to the input"], 2 * change.square().flatten(1).mean(dim=1))


def test_along_the_principal_axes_random_codes_have_unit_deviation(generator, rng):
    codes = generator.sample_latent(20_000, space="w", rng=rng)
    axes, inverse = principal_axes(generator, "w")
    torch.testing.assert_close(axes @ inverse, torch.eye(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cov((codes @ inverse).T), torch.eye(8), atol=0.1, rtol=0)


def test_starts_are_ranked_by_their_cost(generator, patch, rng):
    starts = generator.sample_latent(6, space="w", rng=rng)
    found = edit(generator, starts, [ColorStroke(patch, (1, 0, 0))], steps=10)
    assert (found.cost.diff() >= 0).all()
    one = edit(generator, found.origin[:1], [ColorStroke(patch, (1, 0, 0))], steps=10)
    torch.testing.assert_close(one.cost, found.cost[:1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(one.latent, found.latent[:1], rtol=1e-2, atol=1e-3)
    assert found.order.tolist() != sorted(found.order.tolist())  # or the next would show nothing
    torch.testing.assert_close(found.origin, starts[found.order])
    torch.testing.assert_close(found.by_start[found.order], found.image)


def test_the_best_half_is_shown_but_for_what_costs_twice_its_mean():
    assert worth_showing(torch.tensor([1.0, 1.0, 9.0, 1.1, 8.0, 7.0])) == 3
    assert worth_showing(torch.tensor([0.1, 9.0, 0.1, 9.0, 9.0, 5.0])) == 2
    assert worth_showing(torch.tensor([0.0])) == 1


def test_the_order_stays_once_it_is_settled(generator, patch, rng):
    starts = generator.sample_latent(6, space="w", rng=rng)
    editing = Editing(generator, starts, [ColorStroke(patch, (1, 0, 0))], settle=2)
    orders = []
    for _ in range(3):
        editing.step()
        orders.append(editing.order.tolist())
    editing.change.data *= torch.rand(6, 1, generator=rng) * 4  # whatever happens to the costs
    for _ in range(3):
        editing.step()
    assert editing.order.tolist() == orders[2]
    assert editing.result().latent.equal(editing.latent[editing.order])
    editing.ask([ColorStroke(patch, (0, 0, 1))], smoothness=0)
    editing.step()
    cost = sum(editing.energies.values())
    assert editing.order.tolist() == cost.argsort(stable=True).tolist()


def test_a_new_stroke_goes_on_from_the_codes_as_they_are(generator, start, patch):
    stroke, other = ColorStroke(patch, (1, 0, 0)), ColorStroke(~patch, (0, 0, 1))
    editing = Editing(generator, start, [stroke], smoothness=0.1)
    for _ in range(5):
        editing.step()
    before = editing.latent
    editing.ask([stroke, other], smoothness=0.1)
    torch.testing.assert_close(editing.latent, before)
    assert editing.age == 0
    editing.step()
    assert editing.energies.keys() == {"ColorStroke 1", "ColorStroke 2", "close to the input"}
    assert not torch.equal(editing.latent, before)


def test_a_wish_that_can_not_be_met_ends_nearest_and_says_how_far(generator, start, patch):
    color = (1.0, 0.0, 1.0)
    found = edit(generator, start[:1], [ColorStroke(patch, color)], smoothness=0, steps=60)
    error = found.image[0][:, patch] - torch.tensor(color)[:, None]
    missed = found.missed["ColorStroke 1"]
    torch.testing.assert_close(missed, error.square().mean().sqrt()[None])
    assert missed > 0.05  # no code of so small a generator is flat magenta there
    steps = found.energies["ColorStroke 1"][:, 0]
    assert missed.square() < 1.05 * steps.min()


def test_scattered_starts_lie_around_z0_and_may_end_in_many_answers(generator, start, patch, rng):
    init = scatter(generator, start[:1], 5, spread=0.5, rng=rng)
    assert init.shape == (5, 8) and torch.equal(init[:1], start[:1])
    assert len(init.unique(dim=0)) == 5
    found = edit(generator, start[:1], [ColorStroke(patch, (1, 0, 0))], init=init, steps=5)
    torch.testing.assert_close(found.origin, start[:1].expand(5, -1))
    assert len(found.image) == 5 and 1 <= found.shown <= 3
    rows = generator.convert(start[:1], "w", "w_plus")
    many = scatter(generator, rows, 3, space="w_plus", rng=rng)
    torch.testing.assert_close(many[:, 1:] - rows[:, 1:], (many - rows)[:, :1].expand(
        -1, generator.num_ws - 1, -1))  # all rows together, as a code of w would


def test_going_on_starts_where_the_last_edit_ended(generator, start, patch):
    stroke = ColorStroke(patch, (1, 0, 0))
    first = edit(generator, start[:1], [stroke], steps=30, smoothness=0)
    more = edit(generator, first.origin, [stroke], init=first.latent, steps=5, smoothness=0)
    torch.testing.assert_close(more.frames[0], first.frames[0])
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
    drag = Drag(torch.tensor([[16.0, 16.0]]), torch.tensor([[24.0, 13.0]]))
    found = edit(Disc(), torch.zeros(1, 2), [drag], space="z", steps=120, smoothness=0)
    centre = 16 + 6 * found.latent[0]
    assert (centre - torch.tensor([24.0, 13.0])).norm() < 1.5
    assert (found.handles[0][0, 0] - torch.tensor([24.0, 13.0])).norm() < 1.5


def test_how_far_a_drag_got_is_said_by_tracker_and_search(rng):
    drag = Drag(torch.tensor([[16.0, 16.0]]), torch.tensor([[24.0, 13.0]]))
    editing = Editing(Disc(), torch.zeros(1, 2), [], space="z", learning_rate=0.1)
    assert editing.drags_missed(0) is None
    editing.ask([drag], smoothness=0)
    at_first = editing.drags_missed(0)
    whole = at_first["whole"]
    assert whole == pytest.approx(73**0.5) and at_first["tracked"] == pytest.approx(whole)
    for _ in range(120):
        editing.step()
    editing.look()
    missed = editing.drags_missed(0)
    assert missed["tracked"] < 1.5 and missed["searched"] < 1.5 and missed["whole"] == whole
    editing.image = editing.image.roll(5, dims=3)  # the tracker does not look at pictures
    assert editing.drags_missed(0)["searched"] > missed["searched"] + 3


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


def test_a_warp_stroke_asks_for_the_warped_picture_inside_its_region(generator, start):
    p, q = torch.tensor([[5.0, 5.0], [12.0, 12.0]]), torch.tensor([[8.0, 6.0], [12.0, 12.0]])
    stroke = WarpStroke(p, q, radius=3)
    energy = stroke.bind(generator, start, "w")
    picture = generator.decode(start, space="w")
    wanted = warp_mls(picture, p, q, grid_step=None)
    torch.testing.assert_close(energy(start, wanted), torch.zeros(2), atol=1e-9, rtol=0)
    assert (energy(start, picture) > 1e-5).all()
    inside = along_ways(p, q, 3, 16)
    elsewhere = torch.where(inside, wanted, torch.rand_like(wanted))
    torch.testing.assert_close(energy(start, elsewhere), torch.zeros(2), atol=1e-9, rtol=0)
    brighter = energy(start, wanted + 0.3)
    torch.testing.assert_close(brighter, torch.full((2,), 0.09), atol=1e-5, rtol=0)


def test_what_nobody_asked_to_change_is_held(generator, start, patch):
    stroke, far = ColorStroke(patch, (0.9, 0.1, 0.2)), ~near([ColorStroke(patch, (0, 0, 0))], 16)
    before = generator.decode(start, space="w")

    def changed(*more):
        found = edit(generator, start, [stroke, *more], smoothness=0, steps=60)
        assert found.energies["ColorStroke 1"][-1].max() < found.energies["ColorStroke 1"][0].max()
        return float((found.by_start - before)[..., far].square().mean())

    assert changed(Rest([stroke])) < 0.5 * changed()


def test_the_rest_is_told_from_a_wish_s_neighbourhood_and_in_blocks(generator, start, patch):
    stroke = ColorStroke(patch, (1, 0, 0))
    energy = Rest([stroke]).bind(generator, start, "w")
    before = generator.decode(start, space="w")
    beside = near([stroke], 16)
    assert beside[2:11, 3:12].all() and int(beside.sum()) == 81  # two pixels around 5 x 5
    torch.testing.assert_close(energy(start, before), torch.zeros(2))
    torch.testing.assert_close(energy(start, before + beside), torch.zeros(2))
    far = (~beside).float()
    blocks = torch.nn.functional.avg_pool2d(far[None, None], 4).square().mean()
    torch.testing.assert_close(energy(start, before + 0.5), (3 * 0.25 * blocks).expand(2))
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1  # finer than a block
    assert energy(start, before + checks * far)[0] < 0.2 * energy(start, before + far)[0]


def test_what_is_held_refuses_a_mask_of_another_size_in_a_sentence(generator, start):
    mask = torch.ones(32, 32, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"shape \(32, 32\).*16x16.*bring the mask"):
        Rest([ColorStroke(mask, (1, 0, 0))]).bind(generator, start, "w")


def test_around_a_drag_there_is_more_room_and_a_wish_without_a_place_has_all_of_it():
    ways = Drag(torch.tensor([[8.0, 8.0]]), torch.tensor([[11.0, 8.0]]))
    room = near([ways], 16)
    assert torch.equal(room, along_ways(ways.start, ways.end, 3.2, 16))
    assert near([Anything(lambda images: images.mean(dim=(1, 2, 3)))], 16).all()
    assert not near([], 16).any()


def test_the_region_of_a_way_is_a_capsule():
    mask = along_ways(torch.tensor([[3.0, 8.0]]), torch.tensor([[11.0, 8.0]]), 2, 16)
    assert mask[8, 1:14].all() and not mask[8, 0] and not mask[8, 14]
    assert mask[6, 3:12].all() and not mask[5].any() and not mask[6, 2]


def test_a_moved_patch_is_as_it_was_elsewhere(generator, start):
    p, q = torch.tensor([[5.0, 6.0]]), torch.tensor([[9.0, 8.0]])
    energy = PatchMove(p, q, size=8, cell=4).bind(generator, start, "w")
    picture = generator.decode(start, space="w")
    moved = picture.clone()
    moved[:, :, 4:12, 5:13] = picture[:, :, 2:10, 1:9]
    torch.testing.assert_close(energy(start, moved), torch.zeros(2), atol=1e-7, rtol=0)
    assert (energy(start, picture) > 1e-4).all()
    plain = PatchMove(p, q, size=8, cell=4, edges=0).bind(generator, start, "w")
    torch.testing.assert_close(plain(start, moved + 0.2), torch.full((2,), 0.04))
    assert (energy(start, picture) > plain(start, picture)).all()


def test_a_patch_at_the_border_is_cut(generator, start):
    ends = torch.tensor([[3.0, 3.0]]), torch.tensor([[15.0, 15.0]])
    energy = PatchMove(*ends, size=6, edges=0).bind(generator, start, "w")
    moved = generator.decode(start, space="w")
    moved[:, :, 12:, 12:] = moved[:, :, :4, :4].clone()  # 2 of the 6 rows hang over
    torch.testing.assert_close(energy(start, moved), torch.zeros(2), atol=1e-9, rtol=0)


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
    (lambda g, w, m: edit(g, w, ColorStroke(m, (1, 0, 0))), r"put it into \[ \]"),
    (lambda g, w, m: edit(g, w, [lambda image: image.mean()]), "wrap a function in Anything"),
    (lambda g, w, m: edit(g, w, None), "NoneType, but a list"),
    (lambda g, w, m: edit(g, w, [Anything(lambda image: None)]), "returned None, but"),
    (lambda g, w, m: edit(g, w, [Anything(lambda image: image.mean())]), r"shape \(\), but"),
    (lambda g, w, m: edit(g, w, [Anything(lambda image: image)]), r"dim=\(1, 2, 3\)"),
    (lambda g, w, m: edit(g, w, [Anything(lambda image: torch.zeros(2))]), "does not follow"),
    (lambda g, w, m: edit(g, w, [Anything(3)]), "holds a int, which is no function"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, 0.5)]), "red, green and blue"),
    (lambda g, w, m: edit(g, w, [ColorStroke(m, (1, 0, 0))], init=w[:1]), "belongs to which"),
    (lambda g, w, m: edit(g, w, [SketchStroke(m, cell=0)]), "cell is 0"),
    (lambda g, w, m: edit(g, w, [WarpStroke(torch.ones(1, 2), torch.ones(2, 2))]), "equally many"),
    (lambda g, w, m: edit(g, w, [PatchMove(torch.ones(1, 2), 20 * torch.ones(1, 2))]), "outside"),
    (lambda g, w, m: edit(g, w, [PatchMove(torch.ones(1, 2), torch.ones(1, 2), size=40)]), "size"),
    (lambda g, w, m: scatter(g, w, 4, rng=torch.Generator()), "pass one"),
    (lambda g, w, m: edit(g, w, [drag([3.0, 3.0], [4.0, 4.0], m[:4])]), "do not lie on each other"),
])
def test_a_wrong_call_says_what_to_do(call, sentence, generator, start, patch):
    with pytest.raises(ValueError, match=sentence):
        call(generator, start, patch)


def test_codes_that_would_turn_into_nan_are_refused_and_stay(generator, start):
    before = generator.decode(start, space="w").detach()

    def distance(image):  # its slope at 0 is no number
        return (image - before).square().sum(dim=(1, 2, 3)).sqrt()

    editing = Editing(generator, start, [Anything(distance)])
    with pytest.raises(ValueError, match=r"slope of Anything 1 is no number.*below the root"):
        editing.step()
    assert torch.equal(editing.latent, start) and editing.age == 0
    with pytest.raises(ValueError, match="the term of Anything 1 is nan"):
        edit(generator, start, [Anything(lambda image: distance(image) * torch.nan)], steps=1)


@pytest.mark.parametrize("cell", [5, 7, 9, 12])
def test_a_sketch_at_the_rim_counts_whatever_the_cells(cell, generator, start):
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[2:14, 15] = True
    energy = SketchStroke(mask, cell=cell).bind(generator, start, "w")
    drawing = mask.float().expand(1, 3, -1, -1)
    assert energy(start, drawing).abs().max() < 1e-6
    assert (energy(start, torch.zeros(1, 3, 16, 16)) > 0.01).all()


def test_an_edit_descends_where_gradients_are_switched_off(generator, start, patch):
    with torch.no_grad():
        found = edit(generator, start, [ColorStroke(patch, (1, 0, 0))], steps=20)
    term = found.energies["ColorStroke 1"]
    assert (term[-1] < term[0]).all()


def test_a_moved_patch_is_searched_near_its_way(generator, start):
    points = torch.tensor([[5.0, 6.0], [9.0, 4.0]])
    pull = Drag(points, points + 2).bind(generator, start, "w")
    before = generator.decode(start, space="w").detach()
    assert torch.equal(pull.searched(before), points.expand(2, -1, -1))
    moved = before.roll((3, 2), dims=(2, 3))  # down by 3, to the right by 2
    moved[:, :, :3], moved[:, :, :, :2] = 0.5, 0.5
    assert torch.equal(pull.searched(moved)[:, 0], points[0].add(torch.tensor([2.0, 3.0])).expand(
        2, -1))
    from_way = pull.searched(before.roll(9, dims=3))[:, 0] - points[0]
    assert (from_way.norm(dim=1) < 8 + 3).all()  # where it came from; its double lies elsewhere


@pytest.mark.parametrize("constraint", ["drag", "colour"])
def test_a_step_draws_its_pictures_once(constraint, generator, start, patch, monkeypatch):
    stroke = {"drag": Drag(torch.tensor([[5.0, 6.0]]), torch.tensor([[9.0, 6.0]])),
              "colour": ColorStroke(patch, (1, 0, 0))}[constraint]
    editing = Editing(generator, start, [stroke])
    calls = []
    generator.synthesis.register_forward_hook(lambda *_: calls.append(1))
    editing.step()
    assert len(calls) == 1


def test_shared_changes_move_all_rows_alike_and_those_of_layers_alone(generator, rng):
    start = generator.sample_latent(2, space="w_plus", rng=rng)
    mask = torch.ones(generator.resolution, generator.resolution, dtype=torch.bool)
    wish = [ColorStroke(mask, (1, 0, 0))]

    def change(**options):
        found = edit(generator, start, wish, space="w_plus", steps=4, shared=True, **options)
        return found.latent - found.origin

    moved = change()
    assert moved.abs().max() > 1e-3
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), atol=1e-5, rtol=1e-4)
    moved = change(layers=[1, 2])
    torch.testing.assert_close(moved[:, 1], moved[:, 2], atol=1e-5, rtol=1e-4)
    assert moved[:, 1].abs().max() > 1e-3 and moved[:, 0].abs().max() == 0
