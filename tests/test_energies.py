"""What the classical methods pay: a blend, a crude paste, a warp."""

import pytest
import torch

from course_lib.blending import seamless_clone
from course_lib.energies import clone_energies, paste, warp_energies

PATCH_AT = {"offset": (3, 2)}


def patch(rng) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A source, a target and a region of the source."""
    source, target = (torch.rand(3, *size, generator=rng) for size in ((10, 12), (20, 24)))
    mask = torch.zeros(10, 12, dtype=torch.bool)
    mask[3:8, 2:9] = True
    return source, target, mask


def test_blending_leaves_the_rest_alone_and_pays_less_than_pasting(rng):
    source, target, mask = patch(rng)
    pasted = paste(source, target, mask, **PATCH_AT)
    blended = seamless_clone(source, target, mask, tol=1e-6, **PATCH_AT).value
    first, second = (
        clone_energies(image, source, target, mask, **PATCH_AT) for image in (pasted, blended)
    )
    assert first["close to the input"] == second["close to the input"] == 0
    assert second["the source's gradients"] < first["the source's gradients"]
    changed = blended.clone()
    changed[:, 0, 0] += 0.5
    energy = clone_energies(changed, source, target, mask, **PATCH_AT)
    assert energy["close to the input"] == pytest.approx(0.75, rel=1e-4)


@pytest.mark.parametrize("gradients, wish", [
    ("source", "the source's gradients"), ("mixed", "the larger gradients"),
    ("average", "the average gradients"),
])
def test_each_blend_pays_least_by_its_own_wish(gradients, wish, rng):
    source, target, mask = patch(rng)
    paid = {}
    for mode in ("source", "mixed", "average"):
        image = seamless_clone(source, target, mask, gradients=mode, tol=1e-6, **PATCH_AT).value
        paid[mode] = clone_energies(image, source, target, mask, gradients=gradients, **PATCH_AT)
    pasted = clone_energies(paste(source, target, mask, **PATCH_AT), source, target, mask,
                            gradients=gradients, **PATCH_AT)
    assert min(paid, key=lambda mode: paid[mode][wish]) == gradients
    assert paid[gradients][wish] < pasted[wish]


def test_a_source_that_fits_pays_nothing_at_any_offset(rng):
    _, target, mask = patch(rng)
    for x, y in ((0, 0), (14, 9), (5, 3)):
        source = target[:, y : y + 10, x : x + 12]
        energy = clone_energies(target, source, target, mask[: 20 - y, : 24 - x], offset=(x, y))
        assert energy["the source's gradients"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("offset", [(3, 2), (-5, -4), (18, 15), (40, 0)])
def test_paste_copies_what_lands_inside_and_nothing_else(offset, rng):
    source, target, mask = patch(rng)
    pasted = paste(source, target, mask, offset=offset)
    expected = target.clone()
    for y, x in mask.nonzero().tolist():
        row, column = y + offset[1], x + offset[0]
        if 0 <= row < 20 and 0 <= column < 24:
            expected[:, row, column] = source[:, y, x]
    assert torch.equal(pasted, expected)
    assert clone_energies(pasted, source, target, mask, offset=offset)["close to the input"] == 0


def test_a_translation_travels_by_its_length_and_folds_nothing():
    handles = torch.tensor([[3.0, 4.0], [20.0, 9.0]])
    terms = warp_energies(handles, handles + torch.tensor([3.0, 4.0]), (30, 40))
    assert terms["close to the input"] == pytest.approx(5, abs=1e-3)
    assert terms["the handles"] == pytest.approx(0, abs=1e-3) and terms["folded"] == 0


def test_a_mirrored_picture_is_folded_everywhere():
    handles = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
    mirrored = handles * torch.tensor([-1.0, 1.0])
    terms = warp_energies(handles, mirrored, (32, 32), kind="affine")
    assert terms["folded"] == 100 and terms["the handles"] < 1e-2


def test_no_handle_costs_nothing():
    assert set(warp_energies(torch.zeros(0, 2), torch.zeros(0, 2), (9, 9)).values()) == {0.0}
