"""Labelling by keys and moving along directions, in a real browser."""

import json

DIRECTIONS = """
import torch
from course_lib.directions import ganspace
from course_lib.generators import load_generator
from course_lib.widgets.directions import DirectionTool
cats = load_generator("cats", device="cpu")
found = ganspace(cats, n_samples=5_000, n_components=6, rng=torch.Generator().manual_seed(0))
tool = DirectionTool(cats, found, alt="Four cats, moved", store="mine.json")
tool
"""
LABELS = """
from course_lib.generators import load_generator
from course_lib.widgets.labels import LabelTool
tool = LabelTool(load_generator("cats", device="cpu"), "Is it dark?", n=12)
tool
"""
IS_DARK = """picture => { const c = document.createElement('canvas');
    c.width = c.height = 64; const context = c.getContext('2d');
    context.drawImage(picture, 0, 0, 64, 64);
    const data = context.getImageData(16, 24, 40, 24).data; let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
    return sum / (data.length / 4 * 3) < 140 }"""


def test_each_slider_moves_the_pictures_and_before_shows_them_unmoved(lab):
    page = lab.open_cells(DIRECTIONS)
    drawing = lab.canvas()
    still = drawing.pixels()
    sliders = page.locator(".jp-OutputArea .noUi-handle")
    assert sliders.count() == 3 + 2 + 6  # seed, samples, ψ; both ends of the layers; directions
    for index in (5, 6):
        painted = drawing.painted
        sliders.nth(index).focus()
        page.keyboard.press("PageUp")
        drawing.wait_for_picture(painted)
    lab.settle()
    moved = drawing.pixels()
    assert abs(moved - still).mean() > 1
    lab.keep("direction_tool")
    drawing.button("Before / after").click()
    lab.settle()
    assert abs(drawing.pixels() - still).mean() < 0.5
    drawing.button("Before / after").click()
    drawing.button("Reset").click()
    lab.settle()
    assert abs(drawing.pixels() - still).mean() < 0.5


def test_what_was_found_is_saved_as_a_picture_and_by_name(lab):
    page = lab.open_cells(DIRECTIONS)
    drawing = lab.canvas()
    painted = drawing.painted
    page.locator(".jp-OutputArea .noUi-handle").nth(5).focus()
    page.keyboard.press("PageUp")
    drawing.wait_for_picture(painted)
    with page.expect_download() as download:
        drawing.button("Save image").click()
    assert download.value.suggested_filename.endswith(".png")
    page.get_by_placeholder("what does it do?").fill("darker")
    page.get_by_placeholder("what does it do?").press("Tab")
    page.get_by_role("button", name="Save direction").click()
    page.get_by_text("kept in mine.json").wait_for()
    (kept,) = json.loads((lab.home / "mine.json").read_text())
    assert kept["name"] == "darker" and kept["reach"] > 0 and len(kept["direction"]) == 128
    lab.keep("direction_saved")


def test_samples_are_labelled_by_keys_until_the_direction_shows(lab):
    page = lab.open_cells(LABELS)
    asked = page.locator(".jp-OutputArea .sw-ask")
    asked.click(position={"x": 150, "y": 60})
    cells = page.locator(".jp-CodeCell").count()
    for key in ("d", "d", "s", "ArrowUp"):  # "d d" would delete the cell, "a" add one
        page.keyboard.press(key)
    assert page.locator(".jp-CodeCell").count() == cells
    assert asked.get_attribute("data-answered") == "0"
    for count in range(12):
        picture = asked.locator("img")
        page.wait_for_function("image => image.complete", arg=picture.element_handle())
        page.keyboard.press("y" if picture.evaluate(IS_DARK) else "n")
        assert asked.get_attribute("data-answered") == str(count + 1)
    assert "All answered" in asked.inner_text()
    preview = page.get_by_role("img", name="Samples moved along")
    preview.wait_for()
    lab.settle()
    lab.keep("label_tool")
    page.keyboard.press("u")
    assert "11 of 12" in asked.inner_text()
    page.get_by_role("button", name="Begin anew").click()
    lab.settle()
    assert asked.get_attribute("data-answered") == "0"


def test_buttons_answer_as_keys_do(lab):
    page = lab.open_cells(LABELS)
    asked = page.locator(".jp-OutputArea .sw-ask")
    for name in ("Yes", "No", "Skip"):
        asked.get_by_role("button", name=name, exact=True).click()
    assert "3 of 12: 1 yes, 1 no, 1 skipped" in asked.inner_text()
    lab.keep("label_tool_asking")
    asked.get_by_role("button", name="Undo", exact=True).click()
    assert "2 of 12: 1 yes, 1 no, 0 skipped" in asked.inner_text()
