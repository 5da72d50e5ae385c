"""The tool for parts, driven without a mouse."""

import dataclasses

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.images import load_image
from course_lib.parts import coarse_layers, shipped_parts, transfer_part
from course_lib.widgets import sweep
from course_lib.widgets.canvas import encode
from course_lib.widgets.parts import PartsTool
from tests.toys import Plain


@pytest.fixture(scope="module")
def generator():
    return load_generator("cats-128", device="cpu")


@pytest.fixture
def tool(generator):
    return PartsTool(generator, alt="a cat with another's muzzle", part="muzzle", reference=2)


def code(generator, n: int, seed: int) -> torch.Tensor:
    return generator.sample_latent(
        n, space="w", rng=torch.Generator().manual_seed(seed), truncation_psi=0.8)


def test_it_shows_the_librarys_answer(tool, generator):
    start, references = code(generator, 1, 0), code(generator, 8, 1000)
    part = shipped_parts(generator)["muzzle"]
    styles = transfer_part(generator, start, references[2:3], part, space="w")
    with torch.no_grad():
        assert tool.canvas.jpeg == encode(generator.decode(styles, space="s")[0].clamp(0, 1))
    assert "% local" in tool.canvas.note and "of 1600 channels" in tool.canvas.note
    assert tool.start.note.startswith("muzzle: ") and tool.others.picked == 2
    assert len(tool.start.places) == tool.start.choices  # which are named, and get no frame
    assert set(tool.start.places) <= set(tool.parts.names) and tool.others.places == []


def test_a_click_chooses_the_part_under_it_and_another_its_reference(tool, generator):
    masks = tool.parts.masks(generator, code(generator, 1, 0), space="w")[0]
    for name in ("ears", "eyes", "background"):
        place = int(masks[tool.parts.names.index(name)].flatten().argmax())
        tool.start.picked = place
        assert tool.state.part == name == tool.controls["part"].value
    tool.controls["part"].value = "muzzle"
    tool.start.picked = place  # the same place again, after the menu said otherwise
    assert tool.state.part == "background"
    before = tool.canvas.jpeg
    tool.others.picked = 5
    assert tool.state.reference == 5 and tool.canvas.jpeg != before


def test_the_coarse_layers_alone_give_no_channel_of_the_fine_ones(tool, generator):
    start, references = code(generator, 1, 0), code(generator, 8, 1000)
    form = coarse_layers(generator, start, space="w")
    assert form[0] == "b4.conv1" and form[-1] == "b64.conv0"  # it reads features of 32²
    styles = transfer_part(generator, start, references[2:3], tool.parts["muzzle"], space="w",
                           layers=form)
    tool.set(coarse=True)
    with torch.no_grad():
        assert tool.canvas.jpeg == encode(generator.decode(styles, space="s")[0].clamp(0, 1))
    same = styles == generator.convert(start, "w", "s")
    fine = [at for layer, at in generator.style_slices().items() if layer not in form]
    assert all(same[:, at].all() for at in fine) and not same.all()


def test_without_strength_or_budget_nothing_changes(tool, generator):
    with torch.no_grad():
        start = encode(generator.decode(code(generator, 1, 0), space="w")[0].clamp(0, 1))
    for still in ({"strength": 0}, {"leakage": 0.0}):
        tool.set(**still)
        assert tool.canvas.jpeg == start
        tool.reset()
    assert tool.canvas.jpeg != start


def test_a_given_code_is_the_start(generator):
    given, others = code(generator, 1, 7), code(generator, 3, 8)
    tool = PartsTool(generator, alt="a cat", latent=generator.convert(given, "w", "w_plus"),
                     references=generator.convert(others, "w", "w_plus"), space="w_plus")
    assert "seed" not in tool.controls and tool.others.choices == 3
    with torch.no_grad():
        before = generator.decode(given, space="w")[0].clamp(0, 1)
    tool.set(strength=0)
    assert tool.canvas.jpeg == encode(before)


def test_the_state_is_frozen_and_comes_back_on_reset(tool):
    before, jpeg = tool.state, tool.canvas.jpeg
    tool.set(part="ears", strength=40, seed=3)
    assert tool.canvas.jpeg != jpeg
    tool.reset()
    assert tool.state == before and tool.canvas.jpeg == jpeg
    with pytest.raises(dataclasses.FrozenInstanceError):
        tool.state.strength = 3


def test_no_position_of_a_control_fails(tool):
    before = tool.state
    assert sweep(tool, stops=2) == 8 + 3 * 2 + 2 + 8
    assert tool.state == before


def test_the_answer_is_saved(tool, tmp_path):
    tool.save(tmp_path / "cat.png")
    assert load_image(tmp_path / "cat.png").shape == (3, 128, 128)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("change, sentence", [
    ({"part": "whiskers"}, "part is 'whiskers'"), ({"reference": 8}, "reference is 8"),
    ({"strength": 200}, "its slider goes from 0 to 150"), ({"eyes": 1}, "knows no eyes"),
])
def test_a_wrong_wish_leaves_all_as_it_was(change, sentence, tool):
    before = tool.canvas.jpeg
    with pytest.raises(ValueError, match=sentence):
        tool.set(**change)
    assert tool.canvas.jpeg == before


@pytest.mark.usefixtures("as_users_run_it")
def test_a_family_without_styles_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"plain has no styles.*take a StyleGAN2"):
        PartsTool(Plain(), alt="a picture")


def test_it_starts_from_a_photograph(generator):
    photo = load_image("tabby", size=128, device="cpu")
    before = [weight.clone() for weight in generator.parameters()]
    tool = PartsTool.of_photo(generator, photo, alt="the tabby with another's muzzle", steps=8,
                              tuning_steps=8, part="muzzle")
    assert all(map(torch.equal, before, generator.parameters()))
    assert "seed" not in tool.controls  # there is one start, the photo
    start = tool._before[0]
    with torch.no_grad():
        mean = generator.decode(generator.latent_mean("w")[None], space="w")[0]
    assert (start - photo).square().mean() < 0.3 * (mean - photo).square().mean()
    shown = tool.canvas.jpeg
    tool.set(strength=0)
    assert tool.canvas.jpeg == encode(start) != shown


def test_a_photo_of_another_size_is_refused(generator):
    with pytest.raises(ValueError, match="crop the photo"):
        PartsTool.of_photo(generator, torch.zeros(3, 64, 64), alt="a cat")
