"""The lessons' tools in a real browser, driven as a student would drive them.

Each stands in a notebook of the cells that it needs; that the others run is seen to by nbval.
"""

import io
import json
import math
from pathlib import Path

import numpy as np
import PIL.Image


def tool_of(lesson: str, *ids: str) -> list[str]:
    """The sources of these cells of a lesson."""
    path = Path(__file__).parents[2] / f"notebooks/{lesson}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    return [sources[one] for one in ids]


def png(size: tuple[int, int]) -> bytes:
    """A photo of a grey wall, lighter to the right, turned on its side by its EXIF."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    ramp = np.linspace(80, 200, size[0]).astype(np.uint8)
    picture = PIL.Image.fromarray(np.broadcast_to(ramp[:, None, None], (size[0], size[1], 3)))
    buffer = io.BytesIO()
    picture.transpose(PIL.Image.Transpose.ROTATE_90).save(buffer, "png", exif=exif)
    return buffer.getvalue()


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where two pictures differ by more than a JPEG does."""
    return np.abs(before - after).max(axis=2) > 24


def slide(lab, drawing, index: int, key: str = "ArrowRight") -> None:
    """Move the slider of this number by a key, and wait for the new picture."""
    painted = drawing.painted
    lab.page.locator(".jp-OutputArea .noUi-handle").nth(index).focus()
    lab.page.keyboard.press(key)
    drawing.wait_for_picture(painted)
    lab.settle()


def check_own_photo(lab, drawing, shown, button: str = "My own photo") -> None:
    """A broken file is refused in a sentence, a photo on its side comes upright."""
    def choose(name: str, data: bytes) -> None:
        with lab.page.expect_file_chooser() as chooser:
            drawing.button(button).click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": data})
        lab.settle(1)

    choose("notes.png", b"no picture")
    assert "notes.png can't be read as a picture" in drawing.error
    choose("wall.png", png((90, 60)))
    assert drawing.error == "" and shown.error == ""
    picture = drawing.pixels()
    assert picture.shape[0] > picture.shape[1]  # upright again
    assert picture[-5, :, 0].mean() > picture[5, :, 0].mean() + 50


def check_save(lab, drawing) -> None:
    """The button hands the answer to the browser, as PNG."""
    with lab.page.expect_download() as download:
        drawing.button("Save image").click()
    with PIL.Image.open(download.value.path()) as picture:
        height, width = drawing.pixels().shape[:2]
        assert picture.format == "PNG" and picture.size == (width, height)


def check_before_and_after(lab, drawing) -> None:
    """The switch shows the input, and the answer again."""
    after, painted = drawing.pixels(), drawing.painted
    drawing.button("Before / after").click()
    drawing.wait_for_picture(painted)
    before, painted = drawing.pixels(), drawing.painted
    assert changed(before, after).any()
    drawing.button("Before / after").click()
    drawing.wait_for_picture(painted)
    assert np.array_equal(drawing.pixels(), after)


def test_blending_follows_lasso_and_drag(lab):
    lab.open_cells(*tool_of("01_poisson_blending", "pb-imports", "pb-seed", "pb-render", "pb-tool"))
    source, drawing = lab.canvas(0), lab.canvas(1)
    lab.settle()
    before, painted = drawing.pixels(), drawing.painted
    circle = [(148 + 14 * math.cos(t / 5), 57 + 12 * math.sin(t / 5)) for t in range(31)]
    messages = lab.count(lambda: source.drag(*circle, moves=1))
    print(f"a lasso and the edit that it makes: {messages} messages")
    assert messages <= 4 and drawing.painted > painted
    before, painted = drawing.pixels(), drawing.painted
    messages = lab.count(lambda: drawing.drag((137, 72), (197, 112)))
    solved = drawing.painted - painted
    print(f"a drag: {messages} messages for {solved} pictures")
    assert messages <= 4 * solved
    difference = changed(before, drawing.pixels())
    rows, columns = np.nonzero(difference)
    assert len(rows) > 100 and rows.min() > 72 - 25 and rows.max() < 112 + 25
    assert columns.min() > 137 - 30 and columns.max() < 197 + 30
    lab.keep("blend_tool")
    lab.page.get_by_role("combobox", name="gradients").select_option("the source's")
    lab.settle()
    assert changed(before, drawing.pixels()).any() and drawing.error == ""
    drawing.drag((197, 112), (900, 112))  # over the border, where the region stays
    lab.settle()
    assert drawing.error == ""
    lab.keep("blend_tool_at_the_border")
    drawing.button("Reset").click()
    lab.settle()
    assert drawing.error == ""
    check_before_and_after(lab, drawing)
    check_save(lab, drawing)
    check_own_photo(lab, source, drawing)


def test_smoothing_follows_its_sliders(lab):
    lab.open_cells(*tool_of("02_l0_smoothing", "l0-imports", "l0-seed", "l0-tool"))
    given, drawing = lab.canvas(0), lab.canvas(1)
    lab.settle()
    before, note = drawing.pixels(), drawing.note
    for _ in range(4):
        slide(lab, drawing, 0, "PageUp")
    drawing.spots((0, 0))
    lab.keep("smooth_tool")
    assert drawing.note != note and changed(before, drawing.pixels()).sum() > 100
    note = drawing.note
    slide(lab, drawing, 1, "ArrowLeft")
    assert drawing.note != note and drawing.error == ""
    check_before_and_after(lab, drawing)
    check_save(lab, drawing)
    check_own_photo(lab, given, drawing)


def test_warping_follows_its_handles(lab):
    lab.open_cells(*tool_of("03_mls_warping", "mls-imports", "mls-seed", "mls-astronaut",
                            "mls-tool", "mls-tool-show"))
    drawing = lab.canvas(0)
    lab.settle()
    before, painted = drawing.pixels(), drawing.painted
    messages = lab.count(lambda: drawing.drag((118, 188), (100, 150)))
    solved = drawing.painted - painted
    print(f"a drag: {messages} messages for {solved} pictures")
    assert solved and messages <= 4 * solved + 4
    moved = changed(before, drawing.pixels())
    assert moved[130:200, 80:150].mean() > 5 * moved[:60].mean()
    drawing.drag((60, 60), (50, 60))
    lab.settle()
    lab.keep("warp_tool")
    lab.page.get_by_label("show the grid").check()
    lab.settle()
    assert (drawing.pixels()[..., :3].min(axis=2) > 235).mean() > 0.05
    note = drawing.note
    slide(lab, drawing, 0)
    assert drawing.note != note and drawing.error == ""
    lab.keep("warp_tool_grid")
    check_before_and_after(lab, drawing)
    check_save(lab, drawing)
    drawing.button("Reset").click()
    lab.settle()
    assert np.array_equal(drawing.pixels(), before)
    check_own_photo(lab, drawing, drawing)
