"""The tools, driven from Python as a hand would drive them."""

import base64
import io
import json

import PIL.Image
import pytest
import torch

from course_lib.blending import seamless_clone
from course_lib.smoothing import smooth_l0
from course_lib.warping import warp_mls
from course_lib.widgets import BlendTool, SmoothTool, WarpTool, sweep
from course_lib.widgets.canvas import Marks, Pair, encode, fill_lasso
from course_lib.widgets.tool import Answer, Tool

LASSO = ((4.0, 4.0), (14.0, 4.0), (14.0, 12.0), (4.0, 12.0))
HANDLES = torch.tensor([[8.0, 8.0], [30.0, 8.0], [20.0, 24.0]])


@pytest.fixture
def image(rng):
    return torch.rand(3, 32, 40, generator=rng) / 2 + 0.25


@pytest.fixture
def blend(image, rng):
    source = torch.rand(3, 20, 24, generator=rng)
    return BlendTool(source, image, alt="a patch in noise", lasso=LASSO, offset=(5, 3))


@pytest.fixture
def warp(image):
    return WarpTool(image, alt="noise", handles=HANDLES)


@pytest.fixture
def smooth(image):
    return SmoothTool(image, alt="noise")


@pytest.fixture(params=["blend", "smooth", "warp"])
def tool(request):
    return request.getfixturevalue(request.param)


def upload(canvas, data: bytes, name: str = "me.png") -> None:
    canvas._handle_custom_msg({"kind": "photo", "name": name, "part": 0, "parts": 1}, [data])


def png(size: tuple[int, int], **options) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size, "teal").save(buffer, "png", **options)
    return buffer.getvalue()


def first_field(tool) -> str:
    return "source" if isinstance(tool, BlendTool) else "image"


def test_blend_shows_the_librarys_answer(blend, image):
    mask = fill_lasso(LASSO, (20, 24))
    answer = seamless_clone(blend.state.source, image, mask, offset=(5, 3)).value
    assert blend.canvas.jpeg == encode(answer)
    blend.set(gradients="mixed")
    answer = seamless_clone(blend.state.source, image, mask, offset=(5, 3), gradients="mixed")
    assert blend.canvas.jpeg == encode(answer.value)
    assert "the larger gradients" in blend.canvas.note


def test_smooth_shows_the_librarys_answer(smooth, image):
    smooth.controls["smoothness"].value = 0.1
    assert smooth.state.smoothness == 0.1
    answer = smooth_l0(image, smoothness=0.1, beta_growth=8.0)
    assert smooth.canvas.jpeg == encode(answer.value)
    kept = float(answer.energies["gradients"][-1])
    assert f"few gradients {kept:.0f} · " in smooth.canvas.note
    assert "of 1280 pixels with a gradient" in smooth.canvas.note


def test_warp_shows_the_librarys_answer(warp, image):
    warp.drag(1, 34.0, 12.0)
    moved = HANDLES.clone()
    moved[1] = torch.tensor([34.0, 12.0])
    assert warp.canvas.jpeg == encode(warp_mls(image, HANDLES, moved))
    warp.set(grid=True)
    ruled = image.clone()
    ruled[:, ::16], ruled[:, :, ::16] = 1, 1
    assert warp.canvas.jpeg == encode(warp_mls(ruled, HANDLES, moved))


def test_a_drawn_lasso_takes_the_place_of_the_last_one(blend):
    blend.source.marks = Marks(lasso=((10, 8), (16, 8), (16, 12), (10, 12)))
    assert blend.state.lasso == blend.source.marks.lasso
    # Its centre (13, 10) lands where (9, 8) did.
    assert blend.state.offset == (1, 1) and blend.canvas.marks.offset == (1, 1)
    assert blend.canvas.outline == [[10, 8], [16, 8], [16, 12], [10, 12]]


def test_a_dragged_region_lands_where_it_was_dropped(blend):
    before = blend.canvas.jpeg
    blend.canvas.marks = Marks(offset=(12, 9))
    assert blend.state.offset == (12, 9) and blend.canvas.jpeg != before


def test_pasting_pays_at_the_seam_what_blending_saves(blend):
    def energy():
        return float(blend.canvas.note.partition("gradients ")[2].split()[0])

    blended = energy()
    assert "close to the input 0.0" in blend.canvas.note
    blend.controls["blends"].value = False
    assert energy() > 1.5 * blended


def test_a_new_handle_holds_what_it_was_set_on(warp):
    warp.drag(0, 14.0, 12.0)
    # Set on the moved first handle, it must hold the picture's place (8, 8), where that is from.
    fresh = Pair((14.0, 12.0), (14.0, 12.0), fresh=True)
    warp.canvas.marks = Marks(pairs=(*warp.state.pairs, fresh))
    added = warp.state.pairs[-1]
    assert added.start == pytest.approx((8, 8), abs=1e-3) and not added.fresh
    assert warp.canvas.marks.pairs == warp.state.pairs


def test_a_cleared_warp_is_the_input(warp, image):
    warp.drag(0, 14.0, 12.0)
    warp.canvas.marks = Marks()
    assert warp.state.pairs == () and warp.canvas.jpeg == encode(image)


def test_the_time_and_the_energys_terms_are_shown(tool):
    assert "lose to the input" in tool.canvas.note and tool.canvas.note.endswith(" ms")


def test_controls_follow_the_state(tool):
    name, control = next(iter(tool.controls.items()))
    value = {"gradients": "average", "smoothness": 0.2, "kind": "affine"}[name]
    tool.set(**{name: value})
    assert control.value == value
    tool.reset()
    assert control.value == getattr(tool._first, name)


def test_reset_returns_to_the_first_picture_and_photo(tool):
    before, first = tool.canvas.jpeg, tool.state
    canvas = tool.canvas if isinstance(tool, WarpTool) else getattr(tool, "source", None)
    upload(canvas or tool.input, png((40, 40)))
    assert tool.canvas.jpeg != before
    tool.canvas._handle_custom_msg({"kind": "reset"}, [])
    assert tool.canvas.jpeg == before and tool.state is first


def test_reset_puts_the_marks_back(warp, blend):
    warp.canvas.marks = Marks()
    warp.reset()
    assert [pair.start for pair in warp.canvas.marks.pairs] == [tuple(p) for p in HANDLES.tolist()]
    blend.source.marks = Marks(lasso=((1, 1), (9, 1), (5, 8)))
    blend.reset()
    assert blend.source.marks.lasso == LASSO and blend.canvas.marks.offset == (5, 3)


@pytest.mark.parametrize("size", [(300, 150), (900, 1600), (4000, 200)])
def test_my_own_photo_keeps_what_fits_whatever_its_shape(size, tool):
    canvas = getattr(tool, "input", getattr(tool, "source", tool.canvas))
    upload(canvas, png(size))
    height, width = getattr(tool.state, first_field(tool)).shape[1:]
    assert height * width == pytest.approx(min(size[0] * size[1], 384**2), rel=0.02)
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02)
    assert canvas.error == ""


def test_what_is_said_while_a_photo_is_read_goes_when_it_is_there(tool):
    canvas, notes = getattr(tool, "input", getattr(tool, "source", tool.canvas)), []
    canvas.observe(lambda change: notes.append(change["new"]), "note")
    upload(canvas, png((50, 50)), "phone.png")
    assert notes[0] == "Reading phone.png …" and "Reading" not in canvas.note
    for _ in range(2):  # the second time, too, the page hears of the mistake
        errors = []
        canvas.observe(lambda change, errors=errors: errors.append(change["new"]), "error")
        upload(canvas, b"not a picture", "notes.txt")
        assert "notes.txt can't be read" in errors[-1] and "Reading" not in canvas.note


def test_a_photo_that_can_not_be_read_changes_nothing(tool):
    canvas = getattr(tool, "input", getattr(tool, "source", tool.canvas))
    state, picture = tool.state, tool.canvas.jpeg
    upload(canvas, b"not a picture", "notes.txt")
    assert tool.state is state and tool.canvas.jpeg == picture
    assert canvas.error.startswith("notes.txt can't be read as a picture")
    upload(canvas, png((50, 50)))
    assert canvas.error == "" and tool.state is not state


def test_a_photo_takes_the_handles_away(warp):
    upload(warp.canvas, png((50, 50)))
    assert warp.state.pairs == () and warp.canvas.marks == Marks()


def test_the_background_is_exchanged_too(blend):
    upload(blend.canvas, png((80, 40)))
    assert blend.state.target.shape == (3, 40, 80)


def test_a_mistake_is_shown_in_words_and_gone_with_the_next_answer(blend):
    picture = blend.canvas.jpeg
    with pytest.raises(ValueError, match="outside the target"):
        blend.set(offset=(500, 0))
    assert "outside the target" in blend.canvas.error and blend.canvas.jpeg == picture
    blend.canvas.marks = Marks(offset=(6, 3))
    assert blend.canvas.error == ""


def test_an_emptied_lasso_is_no_mistake_and_says_what_to_do(blend):
    blend.source.marks = Marks()
    assert blend.canvas.error == "" and "draw around" in blend.canvas.note
    assert blend.canvas.jpeg == encode(blend.state.target)
    blend.source.marks = Marks(lasso=LASSO)  # which comes to lie in the middle
    assert blend.state.offset == (11, 8) and "draw around" not in blend.canvas.note


def test_a_region_that_is_dragged_over_the_border_stays_at_it(blend):
    for offset, kept in ((500, 0), (30, 0)), ((40, 900), (30, 23)), ((-80, -80), (-9, -8)):
        blend.canvas.marks = Marks(offset=offset)
        assert blend.state.offset == kept == blend.canvas.marks.offset
        assert blend.canvas.error == ""


def test_another_photo_does_not_get_the_outline_of_the_last_one(blend):
    upload(blend.source, png((50, 50)))
    assert blend.state.lasso == () == blend.source.marks.lasso and blend.canvas.outline == []


def test_the_outline_can_be_taken_off_the_seam(blend):
    shown = blend.canvas.jpeg
    blend.controls["outlined"].value = False
    assert blend.canvas.outline == [] and blend.canvas.jpeg == shown
    blend.controls["outlined"].value = True
    assert len(blend.canvas.outline) == len(LASSO)


def test_a_single_handle_is_said_to_move_all(warp):
    assert "moves the whole picture" not in warp.canvas.note
    warp.set(pairs=warp.state.pairs[:1])
    assert "moves the whole picture" in warp.canvas.note


def test_an_unexpected_failure_is_shown_with_its_kind(smooth, monkeypatch):
    monkeypatch.setattr(smooth, "solve", lambda state: {}["missing"])
    with pytest.raises(KeyError):
        smooth.set(smoothness=0.1)
    assert smooth.canvas.error == "KeyError: 'missing'"


def test_an_unknown_field_is_told_the_others(warp):
    with pytest.raises(ValueError, match=r"knows no kindness, .*: name one of image, pairs, kind"):
        warp.set(kindness="rigid")


def test_an_answer_is_one_message(warp, monkeypatch):
    messages = []
    monkeypatch.setattr(warp.canvas, "_send", lambda message, buffers=None: messages.append(
        {*message["state"], *(path[0] for path in message["buffer_paths"])}))
    pairs = (Pair((8.0, 8.0), (12.0, 8.0)), *warp.state.pairs[1:])
    like = WarpTool(warp.state.image, alt="")
    like.canvas.marks = Marks(pairs=pairs)
    warp.canvas.set_state(json.loads(json.dumps({"_marks": like.canvas._marks})))
    assert len(messages) == 1 and "_picture" in messages[0] and "_marks" not in messages[0]


def test_save_writes_the_answer(tool, tmp_path):
    tool.save(tmp_path / "edit.png")
    assert PIL.Image.open(tmp_path / "edit.png").size in [(40, 32)]


def test_the_save_button_sends_the_answer_to_the_browser(tool, monkeypatch):
    sent = []
    monkeypatch.setattr(tool.canvas, "send_file", lambda image, name: sent.append((image, name)))
    tool.canvas._handle_custom_msg({"kind": "save"}, [])
    (image, name), = sent
    assert torch.equal(image, tool.solve(tool.state).image) and name.endswith("tool.png")


def test_a_reader_without_a_kernel_sees_the_answer_and_its_alt_text(tool):
    data, metadata = tool._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    with PIL.Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))) as picture:
        assert picture.size == (40, 32)
    assert metadata["image/jpeg"]["alt"] == tool.canvas.alt != ""


def test_sweep_tries_all_controls_and_drags_and_comes_back(tool):
    before, picture = tool.state, tool.canvas.jpeg
    solved = []
    solve = tool.solve
    tool.solve = lambda state: solved.append(state) or solve(state)
    count = sweep(tool)
    assert len(solved) == count + 1 and tool.state == before and tool.canvas.jpeg == picture
    for name in tool.controls:
        assert len({getattr(state, name) for state in solved}) > 1
    if isinstance(tool, BlendTool):
        assert len({state.offset for state in solved}) == 6
    if isinstance(tool, WarpTool):
        assert len({state.pairs for state in solved}) == 7


def test_sweep_finds_a_drag_that_fails(blend, monkeypatch):
    def solve(state):
        if state.offset != (5, 3):
            raise ValueError("the region moved")
        return Answer(state.target)

    monkeypatch.setattr(blend, "solve", solve)
    with pytest.raises(RuntimeError, match=r"offset = .* fails: the region moved"):
        sweep(blend)


def test_a_tool_without_a_method_says_what_is_missing(image, smooth):
    with pytest.raises(NotImplementedError, match="call the library"):
        Tool(smooth.state, smooth.canvas, {})


def test_no_alt_text_is_empty(tool):
    canvases = [tool.canvas, *filter(None, [getattr(tool, "input", None),
                                           getattr(tool, "source", None)])]
    assert all(canvas.alt and canvas.title for canvas in canvases)


def test_tools_do_not_share_marks(image):
    first, second = (WarpTool(image, alt="noise", handles=HANDLES) for _ in range(2))
    first.drag(0, 1.0, 1.0)
    assert first.state.pairs != second.state.pairs
    assert first.canvas.marks != second.canvas.marks


@pytest.mark.parametrize("make, sentence", [
    (lambda image: WarpTool(image, alt="x").set(falloff=8.0), r"falloff is 8.* from 0\.5 to 4"),
    (lambda image: SmoothTool(image, alt="x").set(smoothness=1e-4), "smoothness is 0.0001, but"),
    (lambda image: SmoothTool(image, alt="x", smoothness=-1), "above 0"),
    (lambda image: WarpTool(image, alt="x", falloff=-1.0), "above 0"),
])
def test_a_value_that_its_slider_can_not_show_is_refused(make, sentence, image):
    with pytest.raises(ValueError, match=sentence):
        make(image)


@pytest.mark.parametrize("changes, sentence", [
    ({"kind": "elastic"}, r"kind can't be shown .*nothing was changed"),
    ({"falloff": "2"}, "falloff is a str, but a slider shows numbers"),
])
def test_what_a_control_does_not_offer_is_refused_and_changes_nothing(changes, sentence, warp):
    before, picture = warp.state, warp.canvas.jpeg
    with pytest.raises(ValueError, match=sentence):
        warp.set(**changes)
    assert warp.state == before and warp.canvas.jpeg == picture and warp.canvas.error == ""
    assert warp.controls["kind"].value == before.kind


def test_a_slider_reaches_what_the_tool_begins_with(image):
    smooth = SmoothTool(image, alt="x", smoothness=1e-4, growth=20.0)
    warp = WarpTool(image, alt="x", falloff=8.0)
    for tool in (smooth, warp):
        for name, control in tool.controls.items():
            assert control.value == pytest.approx(getattr(tool.state, name))
    warp.set(falloff=1.0)
    warp.reset()
    assert warp.state.falloff == warp.controls["falloff"].value == 8


def test_a_colour_photo_beside_grey_ones_becomes_grey(image):
    blend = BlendTool(image[:1], image[:1].flip(-1), alt="x", lasso=LASSO)
    upload(blend.source, png((60, 40)))
    assert blend.state.source.shape == (1, 40, 60) and blend.source.error == ""
    expected = torch.full((1, 40, 60), (0.587 + 0.114) * 128 / 255)  # teal
    torch.testing.assert_close(blend.state.source, expected, atol=1e-3, rtol=0)
