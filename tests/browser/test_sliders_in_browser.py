"""The slider tools in a real browser: the picture shows, at its size, and follows the slider."""

import pytest

SETUP = """
import ipywidgets, torch
from course_lib.widgets import LiveImage
def render(grey, gradients):
    return [torch.full((3, 30, 40), float(grey)), torch.zeros(3, 30, 40)], gradients
tool = LiveImage(
    render, alt="a 'grey' and a black", height=120,
    grey=ipywidgets.FloatSlider(value=0.5, min=0, max=1, step=0.25, description="grey"),
    gradients=ipywidgets.ToggleButtons(
        options=["source", "average", "mixed"], description="gradients"),
)
tool
"""
FIRST_PIXEL = """img => { const c = document.createElement('canvas');
    c.width = img.naturalWidth; c.height = img.naturalHeight;
    const context = c.getContext('2d'); context.drawImage(img, 0, 0);
    return context.getImageData(10, 10, 1, 1).data[0] }"""


LATENT = """
from course_lib.generators import load_generator
from course_lib.widgets.latent import LatentTool
latent = LatentTool(load_generator("cats", device="cpu"))
latent
"""


@pytest.fixture(scope="module")
def notebook(page):
    """Both tools, in one notebook."""
    return page.open_cells(SETUP, LATENT)


def test_the_picture_shows_at_its_size_and_follows_the_slider(lab, notebook):
    page = notebook
    picture = page.get_by_role("img", name="a 'grey' and a black")
    picture.wait_for()
    box = picture.bounding_box()
    assert (round(box["width"]), round(box["height"])) == (160 + 8 + 160, 120)
    assert abs(picture.evaluate(FIRST_PIXEL) - 128) < 3
    page.get_by_role("slider").first.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    lab.settle()
    assert picture.evaluate(FIRST_PIXEL) > 250
    lab.keep("slider_tool")


def test_toggle_buttons_stand_in_one_line(lab, notebook):
    page = notebook
    buttons = page.locator(".widget-toggle-buttons button")
    buttons.nth(2).wait_for()
    tops = {round(buttons.nth(index).bounding_box()["y"]) for index in range(3)}
    assert len(tops) == 1
    buttons.nth(1).click()
    lab.settle()
    assert "average" in page.locator(".jp-OutputArea").first.inner_text()


def test_the_latent_tool_follows_each_of_its_sliders(lab, notebook):
    page = notebook
    picture = page.get_by_role("img", name="Two pictures of cats")
    picture.wait_for()
    shown = [picture.get_attribute("src")]
    sliders = page.locator(".jp-OutputArea").last.get_by_role("slider")
    assert sliders.count() == 4  # seed, second seed, truncation, crossover
    for index in range(4):
        sliders.nth(index).focus()
        page.keyboard.press("ArrowRight")
        lab.settle()
        shown.append(picture.get_attribute("src"))
    assert len(set(shown)) == 5
    lab.keep("latent_tool")
