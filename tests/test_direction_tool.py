"""The tool for directions, driven without a mouse."""

import base64

import pytest
import torch
import torch.nn.functional as F

from course_lib.directions import Directions, ganspace, move, sefa
from course_lib.directions.naming import load_directions
from course_lib.plotting import tile
from course_lib.widgets import sweep
from course_lib.widgets.canvas import encode
from course_lib.widgets.directions import REACH, DirectionTool
from tests.toys import Plain, tame


@pytest.fixture
def styled(rng):
    return tame(rng)


@pytest.fixture
def found(styled, rng) -> Directions:
    return ganspace(styled, n_samples=500, n_components=4, rng=rng)


@pytest.fixture
def tool(styled, found, tmp_path) -> DirectionTool:
    return DirectionTool(styled, found, alt="noise, moved", count=3, truncation_psi=0.8,
                         store=tmp_path / "mine.json")


def expected(styled, found, strengths, layers=None, psi=0.8):
    """What a tool of four samples should show."""
    rng = torch.Generator().manual_seed(0)
    w = styled.sample_latent(4, space="w_plus", rng=rng, truncation_psi=psi)
    for strength, direction, stdev in zip(strengths, found.components, found.stdev, strict=False):
        w = move(w, direction, strength * float(stdev), layers=layers)
    return tile(styled.decode(w, space="w_plus"), 2, size=128)


def test_sliders_move_the_codes_along_their_directions(tool, styled, found):
    assert tool.canvas.jpeg == encode(expected(styled, found, (0, 0, 0)))
    tool.sliders[1].value = -2.0
    tool.set(strengths=(1.0, -2.0, 0.5))
    assert [slider.value for slider in tool.sliders] == [1.0, -2.0, 0.5]
    picture = expected(styled, found, (1.0, -2.0, 0.5))
    torch.testing.assert_close(tool.solve(tool.state).image, picture, atol=1e-4, rtol=1e-4)


def test_only_the_rows_between_move(tool, styled, found):
    tool.set(strengths=(2.0, 0.0, 0.0), layers=(2, 3))
    picture = expected(styled, found, (2.0,), layers=[2, 3])
    torch.testing.assert_close(tool.solve(tool.state).image, picture, atol=1e-4, rtol=1e-4)


def test_a_moved_slider_redraws_once(tool, monkeypatch):
    calls, solve = [], tool.solve
    monkeypatch.setattr(tool, "solve", lambda state: calls.append(state) or solve(state))
    tool.sliders[0].value = 1.5
    assert len(calls) == 1 and calls[0].strengths == (1.5, 0.0, 0.0)


def test_before_is_the_unmoved_code_also_of_another_seed(tool, styled, found):
    tool.set(strengths=(3.0, 0.0, 0.0))
    moved = tool.canvas.jpeg
    tool.canvas.shows_before = True
    assert tool.canvas.jpeg == encode(expected(styled, found, (0,))) != moved
    tool.set(seed=7)
    tool.canvas.shows_before = True
    still = tool.solve(tool.set(strengths=(0.0, 0.0, 0.0)) or tool.state).image
    assert tool.canvas.jpeg == encode(still)


def test_reset_returns_to_the_first_state(tool):
    first, picture = tool.state, tool.canvas.jpeg
    tool.set(strengths=(1.0, 1.0, 1.0), seed=3, samples=1, layers=(1, 2), truncation_psi=0.2)
    tool.reset()
    assert tool.state == first and tool.canvas.jpeg == picture
    assert all(slider.value == 0 for slider in tool.sliders)


def test_a_projected_photo_moves_in_place_of_samples(styled, found, rng):
    photo = styled.sample_latent(1, space="w_plus", rng=rng)
    tool = DirectionTool(styled, found, alt="a photo, moved", latent=photo, space="w_plus")
    assert set(tool.controls) == {"truncation_psi", "layers"} and len(tool.sliders) == 4
    tool.sliders[0].value = 2.0
    moved = move(photo, found.components[0], 2 * float(found.stdev[0]))
    picture = tile(styled.decode(moved, space="w_plus"), 1, size=256)
    torch.testing.assert_close(tool.solve(tool.state).image, picture, atol=1e-4, rtol=1e-4)
    flat = styled.sample_latent(1, space="w", rng=rng)  # as projection in w gives it
    DirectionTool(styled, found, alt="a photo, moved", latent=flat, space="w")


def test_a_family_without_styles_moves_its_z(rng):
    generator = Plain()
    components = torch.linalg.qr(torch.randn(48, 48, generator=rng)).Q[:2]
    directions = Directions(components, torch.ones(2), torch.zeros(48), "z")
    tool = DirectionTool(generator, directions, alt="noise, moved")
    assert set(tool.controls) == {"seed", "samples"}
    tool.set(strengths=(1.0, 0.0), samples=1)
    z = generator.sample_latent(1, rng=torch.Generator().manual_seed(0)) + components[0]
    torch.testing.assert_close(tool.solve(tool.state).image,
                               tile(generator.decode(z), 1, size=256))
    sweep(tool)


def test_sefas_directions_get_the_codes_own_deviations(styled):
    found = sefa(styled, n_components=2)
    tool = DirectionTool(styled, found, alt="noise, moved")
    w = styled.sample_latent(5000, space="w", rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(tool.directions.stdev, (w @ found.components.T).std(dim=0),
                               rtol=0.1, atol=0)


def test_what_was_found_is_kept_under_its_name(tool, styled, found):
    tool.set(strengths=(2.0, 0.0, -1.0), layers=(1, 3))
    tool.name.value = " heel "
    tool.keep.click()
    (kept,) = load_directions(tool.store, styled.name)
    assert (kept.name, kept.layers, kept.space) == ("heel", (1, 2, 3), "w")
    step = 2 * found.stdev[0] * found.components[0] - found.stdev[2] * found.components[2]
    assert kept.reach == pytest.approx(float(step.norm()), abs=1e-3)
    torch.testing.assert_close(kept.vector(step), F.normalize(step, dim=0), atol=1e-4, rtol=0)
    assert "kept in mine.json" in tool.kept.value
    tool.set(layers=(0, 5))
    assert tool.save_direction("all of it").layers is None


@pytest.mark.parametrize("strength, name, sentence", [
    (0.0, "heel", "move one until"), (1.0, "  ", "write one"),
])
def test_what_can_not_be_kept_is_said_below_the_picture(tool, strength, name, sentence):
    tool.set(strengths=(strength, 0.0, 0.0))
    tool.name.value = name
    tool.keep.click()
    assert sentence in tool.canvas.error and not tool.store.exists()
    with pytest.raises(ValueError, match=sentence):
        tool.save_direction(name)


def test_no_position_of_a_slider_fails(tool):
    first = tool.state
    assert sweep(tool) >= 3 * 2 + 15
    assert tool.state == first


def test_the_note_tells_what_is_traded(tool, styled, found):
    assert "pixels changed by 0.000" in tool.canvas.note
    tool.set(strengths=(REACH, 0.0, 0.0))
    assert "pixels changed by 0.000" not in tool.canvas.note
    rng = torch.Generator().manual_seed(0)
    w = styled.sample_latent(4, space="w", rng=rng, truncation_psi=0.8)
    along = (w - styled.latent_mean("w")) @ found.components[0] / found.stdev[0]
    farthest = float((along + REACH).abs().max())
    assert f"{farthest:.1f} deviations from the mean where the sliders lead" in tool.canvas.note


def test_names_stand_on_the_sliders(styled, found):
    tool = DirectionTool(styled, found, alt="noise", names=["darker"])
    assert [slider.description for slider in tool.sliders] == ["darker", "1", "2", "3"]


def test_a_reader_without_a_kernel_sees_the_pictures_and_their_alt_text(tool):
    data, metadata = tool._repr_mimebundle_()
    assert len(base64.b64decode(data["image/jpeg"])) > 1000
    assert metadata["image/jpeg"]["alt"] == "noise, moved"


def test_a_strength_that_its_slider_can_not_show_is_refused(tool, styled, found):
    before = tool.state
    with pytest.raises(ValueError, match="a strength is 9, but its slider goes from -4 to 4"):
        tool.set(strengths=(0.0, 9.0, 0.0))
    with pytest.raises(ValueError, match="strengths holds 2 numbers for 3 sliders"):
        tool.set(strengths=(1.0, 1.0))
    assert tool.state is before
    begun = DirectionTool(styled, found, alt="x", count=2, strengths=(9.0, -1.0))
    assert [slider.value for slider in begun.sliders] == [9.0, -1.0]
