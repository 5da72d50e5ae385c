"""The built site in a real browser, opened from its folder, without a server or a network.

Skipped where it was not built: `python -m docs.site.build` writes it.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

SITE = Path(__file__).parents[2] / "build" / "site"
RUN = "async ([z, strengths]) => [...await toy.run(z, strengths)]"
CANVAS = "canvas => canvas.toDataURL()"
PAINTED = "after => +document.getElementById('toy-canvas').dataset.painted > after"


@pytest.fixture
def page(browser):
    """A page, of which a test must see no error, and nothing asked of a network."""
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: python -m docs.site.build")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
    page.on("request", lambda request: request.url.startswith("http")
            and complaints.append(request.url))
    yield page
    page.close()
    assert complaints == []


def open_page(page, name: str, query: str = ""):
    page.goto((SITE / name).as_uri() + query)


def test_the_toy_draws_what_torch_draws_and_follows_its_sliders(page, rng, pictures):
    from docs.site.toy import Toy

    open_page(page, "index.html")
    page.wait_for_function(PAINTED, arg=0)
    before = page.locator("#toy-canvas").evaluate(CANVAS)
    page.get_by_role("slider", name="ginger").focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.get_by_role("img", name="A generated cat, more ginger").wait_for()
    assert page.locator("#toy-canvas").evaluate(CANVAS) != before
    page.screenshot(path=pictures / "site.png")
    page.get_by_role("button", name="Sliders to the middle").click()
    page.get_by_role("img", name="A generated cat", exact=True).wait_for()
    assert page.locator("#toy-canvas").evaluate(CANVAS) == before
    toy = Toy()
    for _ in range(3):
        z = torch.randn(1, toy.generator.z_dim, generator=rng)
        strengths = 2 * torch.rand(len(toy.names), generator=rng) - 1
        drawn = page.evaluate(RUN, [z[0].tolist(), strengths.tolist()])
        with torch.no_grad():
            expected = toy(z, strengths).flatten().numpy()
        assert np.abs(np.array(drawn) - expected).max() < 1e-3


def test_a_lesson_has_its_formulas_and_its_figures_alt_texts(page):
    open_page(page, "notebooks/03_mls_warping.html")
    page.locator("mjx-container").first.wait_for()
    alts = page.locator("article img").evaluate_all("all => all.map(img => img.alt)")
    assert len(alts) == 10 and all(len(alt) > 20 and "_images" not in alt for alt in alts)


def test_the_site_is_searched_without_a_server(page):
    open_page(page, "search.html", "?q=multigrid")
    page.locator("#search-results a", has_text="01 · Poisson blending").wait_for()
