"""The canvas without a browser: marks as values, regions, ink, uploads and messages."""

import io
import json

import PIL.Image
import pytest
import torch

from course_lib.widgets.browser import HERE, SCRIPTS, read_script, read_style
from course_lib.widgets.canvas import (
    Canvas,
    Marks,
    Pair,
    Stroke,
    encode,
    fill_lasso,
    paint,
    read_photo,
)

EVERYTHING = Marks(
    strokes=(Stroke(((1.0, 2.0), (3.0, 4.5)), "#0072B2", 7, True),),
    lasso=((1.0, 1.0), (9.0, 1.0), (5.0, 8.0)),
    offset=(-3, 12),
    pairs=(Pair((1.0, 2.0), (3.0, 4.0), True),),
)


@pytest.fixture
def canvas(rng):
    return Canvas(torch.rand(3, 12, 16, generator=rng), alt="noise", mode="brush")


@pytest.fixture
def sent(canvas, monkeypatch):
    """The messages to the browser, each as the names of what changed."""
    messages = []
    monkeypatch.setattr(
        canvas, "_send",
        lambda message, buffers=None: messages.append(
            {*message["state"], *(path[0] for path in message["buffer_paths"])}),
    )
    return messages


def from_browser(canvas: Canvas, marks: Marks) -> None:
    """What arrives when a user has drawn."""
    like = Canvas(torch.zeros(3, 2, 2), alt="")
    like.marks = marks
    canvas.set_state(json.loads(json.dumps({"_marks": like._marks})))


def photo(size: tuple[int, int], *, kind: str = "jpeg", **options) -> bytes:
    """A file with a red left half."""
    picture = PIL.Image.new("RGB", size, "blue")
    picture.paste("red", (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_marks_from_the_browser_are_frozen_values(canvas):
    heard = []
    canvas.on_draw(heard.append)
    from_browser(canvas, EVERYTHING)
    assert heard == [EVERYTHING] and canvas.marks == EVERYTHING


def test_marks_drawn_from_python_are_those_read_back(canvas):
    canvas.marks = EVERYTHING
    assert canvas.marks == EVERYTHING
    canvas.marks = Marks()
    assert canvas.marks == Marks()


def test_marks_are_not_sent_back_to_the_browser(canvas, sent):
    from_browser(canvas, EVERYTHING)
    assert sent == []


def test_the_browsers_buffer_reaches_the_picture_traits(canvas):
    canvas.set_state({"_picture": memoryview(b"abc").cast("B")})
    assert canvas.jpeg == b"abc"


def test_a_picture_its_note_and_the_end_of_an_error_are_one_message(canvas, sent):
    canvas.error = "too grey"
    del sent[:]
    canvas.show(torch.zeros(3, 4, 4), note="done")
    assert sent == [{"_picture", "note", "error"}]
    assert canvas.note == "done" and canvas.error == ""


def test_before_is_the_first_picture(canvas):
    first = canvas.jpeg
    canvas.show(torch.zeros(3, 12, 16))
    assert canvas.jpeg != first
    canvas.shows_before = True
    assert canvas.jpeg == first
    canvas.restart(torch.ones(3, 12, 16))
    assert not canvas.shows_before and canvas.jpeg == encode(torch.ones(3, 12, 16))


def test_fill_lasso_takes_a_rectangle_with_its_border():
    mask = fill_lasso([(2, 1), (5, 1), (5, 3), (2, 3)], (6, 8))
    expected = torch.zeros(6, 8, dtype=torch.bool)
    expected[1:4, 2:6] = True
    assert torch.equal(mask, expected)


def test_fill_lasso_closes_the_outline_and_drops_what_hangs_over():
    mask = fill_lasso([(-5.5, -5.5), (20.0, -5.5), (-5.5, 20.0)], (10, 10))
    y, x = torch.meshgrid(torch.arange(10), torch.arange(10), indexing="ij")
    assert mask[x + y < 13].all() and not mask[x + y > 16].any()


def test_fill_lasso_needs_three_corners():
    with pytest.raises(ValueError, match=r"2 corners, .*: draw around"):
        fill_lasso([(0, 0), (3, 3)], (5, 5))


def test_paint_gives_ink_its_colour_and_the_eraser_takes_it_away():
    line = Stroke(((5.0, 10.0), (25.0, 10.0)), "#ff0000", 6)
    color, ink = paint([line], (20, 30))
    assert ink[10, 15] and ink[8, 15] and not ink[15, 15]
    assert color[:, 10, 15].tolist() == [1, 0, 0]
    color, ink = paint([line, Stroke(((15.0, 10.0),), width=8, erases=True)], (20, 30))
    assert not ink[10, 15] and ink[10, 5]
    color, ink = paint([line, Stroke(((15.0, 10.0),), "#00ff00", 8)], (20, 30))
    assert color[:, 10, 15].tolist() == [0, 1, 0]


def test_nothing_drawn_is_no_ink():
    assert not paint([], (4, 5))[1].any()


def test_an_upload_is_put_together_from_its_parts(canvas):
    data, read = photo((80, 40), kind="png"), []
    canvas.on_action("photo", read.append)
    cut = len(data) // 2
    for part, piece in enumerate((data[:cut], data[cut:])):
        content = {"kind": "photo", "name": "me.png", "part": part, "parts": 2}
        canvas._handle_custom_msg(content, [memoryview(piece)])
        assert len(read) == part
    image = read[0](size=None)
    assert image.shape == (3, 40, 80) and image[0, 5, 5] == 1 and image[2, 5, 75] == 1


def test_an_upload_that_was_given_up_does_not_spoil_the_next(canvas):
    read = []
    canvas.on_action("photo", read.append)
    for part, parts, data in ((0, 3, b"half a file"), (0, 1, photo((40, 40)))):
        content = {"kind": "photo", "name": "a.jpg", "part": part, "parts": parts}
        canvas._handle_custom_msg(content, [data])
    assert read[0](size=None).shape == (3, 40, 40)


def test_a_photo_is_turned_upright():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees
    image = read_photo("phone.jpg", photo((80, 40), exif=exif))
    assert image.shape == (3, 80, 40)
    assert image[0, 10, 20] > 0.9 and image[2, 70, 20] > 0.9


def test_a_photo_is_made_as_large_as_asked():
    assert read_photo("a.jpg", photo((400, 200)), size=100).shape == (3, 50, 100)


@pytest.mark.parametrize("data", [b"", b"no picture", photo((64, 64))[:300]])
def test_a_broken_photo_is_refused_by_name(data):
    with pytest.raises(ValueError, match=r"^me\.jpg can't be read as a picture \(.*: "):
        read_photo("me.jpg", data)


@pytest.mark.parametrize("size", [(1, 1), (400, 31), (31, 400)])
def test_a_photo_of_a_few_pixels_is_refused_at_whatever_size_it_is_asked_for(size):
    for asked in (None, 512):
        with pytest.raises(ValueError, match="pixels, too few to show anything: choose"):
            read_photo("dot.png", photo(size, kind="png"), size=asked)


def test_a_long_photo_may_be_small_once_it_fits():
    assert read_photo("wall.png", photo((2000, 40), kind="png"), size=100).shape == (3, 2, 100)


def test_a_huge_photo_is_refused():
    buffer = io.BytesIO()
    PIL.Image.new("1", (20000, 10000)).save(buffer, "png")
    with pytest.raises(ValueError, match="too large"):
        read_photo("poster.png", buffer.getvalue())


def test_a_photo_can_not_name_another_folder(tmp_path):
    assert read_photo(f"../../{tmp_path}/a.jpg", photo((40, 40))).shape == (3, 40, 40)
    assert list(tmp_path.iterdir()) == []


def test_buttons_reach_their_listener_alone(canvas):
    pressed = []
    canvas.on_action("reset", lambda: pressed.append("reset"))
    for kind in ("save", "reset", "mischief"):
        canvas._handle_custom_msg({"kind": kind}, [])
    assert pressed == ["reset"]


def test_a_saved_picture_travels_as_png(canvas, monkeypatch, rng):
    files = []
    monkeypatch.setattr(canvas, "_send", lambda message, buffers=None: files.append(
        (message["content"]["name"], bytes(buffers[0]))))
    canvas.send_file(torch.rand(3, 5, 7, generator=rng), "edit.png")
    (name, data), = files
    assert name == "edit.png" and PIL.Image.open(io.BytesIO(data)).size == (7, 5)


@pytest.mark.parametrize("options", [{"mode": "paint"}, {"actions": ["print"]}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match="no choice here"):
        Canvas(torch.zeros(3, 4, 4), alt="black", **options)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_asks_for_nothing_from_elsewhere(name):
    source = read_script(name)
    if (HERE / f"{name}.css").is_file():
        source += read_style(name)
    assert "import " not in source and "http" not in source


def test_every_file_of_the_browsers_half_is_used_and_short():
    files = {path.relative_to(HERE).with_suffix("").as_posix(): path for path in HERE.rglob("*.js")}
    assert files.keys() == {part for parts in SCRIPTS.values() for part in parts}
    assert all(path.read_text("utf-8").count("\n") <= 300 for path in files.values())


def test_styles_reach_the_page():
    assert ".sw-stage" in Canvas._css and ".sw-stage" not in Canvas._esm
