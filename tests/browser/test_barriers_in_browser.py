"""No serious barrier for readers who see little, see no colours, or use a keyboard: by axe-core."""

from pathlib import Path

import pytest

from tests.browser.axe import severe_barriers

SITE = Path(__file__).parents[2] / "build" / "site"
SHOWN = ".jp-OutputArea-output:has(.jupyter-widgets, .sw)"
TOOLS = """
import ipywidgets, torch
from course_lib.images import load_image
from course_lib.widgets import BlendTool, Canvas, LiveImage, WarpTool
cat, cup = (load_image(name, size=120, device="cpu") for name in ("chelsea", "coffee"))
""", """
BlendTool(cat, cup, alt="an eye in a cup", lasso=[(30, 20), (60, 20), (60, 40), (30, 40)])
""", """
places = torch.tensor([[30.0, 30.0], [90.0, 40.0], [60.0, 60.0]])
WarpTool(cat, alt="a cat, warped", handles=places, moved_handles=places + 4)
""", """
Canvas(cat, mode="brushes", title="Paint", alt="a cat", brushes=["color", "drag"],
       actions=["photo", "before", "reset", "save"])
""", """
LiveImage(lambda grey, kind: ([torch.full((3, 30, 40), float(grey))], kind), alt="a grey",
          grey=ipywidgets.FloatSlider(0.5, min=0, max=1, description="grey"),
          kind=ipywidgets.ToggleButtons(options=["one", "other"], description="kind"))
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_sites_pages_have_no_serious_barrier(browser, theme):
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: python -m docs.site.build")
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=theme)
    page.goto((SITE / "index.html").as_uri())
    for name, canvas in (("Lasso", "lasso-target"), ("Cats", "cats-canvas")):
        page.get_by_role("tab", name=name).click()
        page.wait_for_selector(f"#{canvas}[data-painted]")
        assert severe_barriers(page) == []
    for name in ("lessons", "search", "notebooks/02_l0_smoothing"):
        page.goto((SITE / f"{name}.html").as_uri())
        assert severe_barriers(page) == []
    page.close()


def test_the_tools_have_no_serious_barrier(lab):
    page = lab.open_cells(*TOOLS)
    tools = page.locator(SHOWN)
    tools.nth(len(TOOLS) - 2).wait_for()
    lab.settle()
    assert tools.count() == len(TOOLS) - 1
    assert severe_barriers(page, SHOWN) == []
