"""The built site in a real browser, opened from its folder, without a server or a network.

Skipped where it was not built: `python -m docs.site.build` writes it.
"""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

SITE = Path(__file__).parents[2] / "build" / "site"
RUN = "async ([name, z, strengths, kind]) => [...await toys[name].run(z, strengths, kind)]"
CANVAS = "canvas => canvas.toDataURL()"
PAINTED = "([name, after]) => +document.getElementById(name).dataset.painted > after"
LASSO = """() => { const { piece, corner, target, answer } = toys.lasso.state();
    const text = bytes => btoa(Array.from(bytes, one => String.fromCharCode(one)).join(""));
    const plain = ({ width, height, data }) => ({ width, height, data: text(data) });
    return { source: plain(piece.pixels), mask: text(piece.mask), corner, target: plain(target),
             answer: plain(answer) } }"""
MENDED = """name => { const { width, height, data } = toys.lasso.state().answer,
    pen = document.getElementById(name).getContext("2d"),
    shown = pen.getImageData(0, 0, width, height);
    return shown.data.every((value, at) => value === data[at]) }"""


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


def painted(page, name: str) -> int:
    """How many pictures a canvas has shown; waits for the first."""
    page.wait_for_function(PAINTED, arg=[name, 0])
    return int(page.locator(f"#{name}").get_attribute("data-painted"))


def open_toy(page, name: str):
    open_page(page, "index.html")
    page.get_by_role("tab", name=name).click()


def test_the_cat_is_torchs_and_follows_its_sliders(page, rng, pictures):
    from docs.site.toy import Cats

    open_toy(page, "Cats")
    painted(page, "cats-canvas")
    canvas = page.locator("#cats-canvas")
    before = canvas.evaluate(CANVAS)
    page.get_by_role("slider", name="ginger").focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.get_by_role("img", name="A generated cat, more ginger").wait_for()
    assert canvas.evaluate(CANVAS) != before
    page.screenshot(path=pictures / "site_cats.png")
    page.get_by_role("button", name="Sliders to the middle").click()
    page.get_by_role("img", name="A generated cat", exact=True).wait_for()
    assert canvas.evaluate(CANVAS) == before
    compare(page, "cats", Cats(), rng)


def test_the_garment_is_torchs_and_takes_another_kind(page, rng, pictures):
    from docs.site.toy import Clothes

    open_toy(page, "Clothes")
    painted(page, "clothes-canvas")
    page.get_by_role("combobox", name="kind").select_option("dress")
    page.get_by_role("slider", name="long").focus()
    page.keyboard.press("PageUp")
    page.get_by_role("img", name="A generated garment, dress, more long").wait_for()
    page.screenshot(path=pictures / "site_clothes.png")
    compare(page, "clothes", Clothes(), rng)


def compare(page, name: str, toy, rng):
    """What the page draws is what torch draws, up to 1e-3."""
    from docs.site.toy import inputs

    for _ in range(3):
        some = inputs(toy, rng)
        kind = int(some["mix"].argmax()) if "mix" in some else None
        drawn = page.evaluate(RUN, [name, some["z"][0].tolist(), some["strengths"].tolist(), kind])
        with torch.no_grad():
            expected = toy(**some).flatten().numpy()
        assert expected.std() > 0.05 and np.abs(np.array(drawn) - expected).max() < 1e-3


def solved_by_torch(page, gradients: str) -> float:
    """By how many of 255 levels the page's blend is off."""
    from course_lib.blending import seamless_clone

    found = page.evaluate(LASSO)
    source, target, answer = (tensor(found[name]) for name in ("source", "target", "answer"))
    mask = numbers(found["mask"]).bool().view(source.shape[1:])
    expected = seamless_clone(source, target, mask, offset=tuple(found["corner"]),
                              gradients=gradients, tol=1e-5).value.clamp(0, 1)
    assert (answer - target).abs().max() > 0.1
    return float((answer - expected).abs().max() * 255)


def tensor(picture: dict) -> torch.Tensor:
    """A canvas's RGBA bytes as (3, height, width) in [0, 1]."""
    levels = numbers(picture["data"]).view(picture["height"], picture["width"], 4)
    return levels[..., :3].movedim(-1, 0) / 255


def numbers(text: str) -> torch.Tensor:
    """Bytes that came as base64."""
    return torch.tensor(list(base64.b64decode(text)), dtype=torch.float32)


def lassoed(page) -> int:
    """How many pixels the lasso holds."""
    return int(numbers(page.evaluate(LASSO)["mask"]).sum())


def test_a_lassoed_piece_is_blended_where_it_is_dragged(page, pictures):
    open_page(page, "index.html")
    before = painted(page, "lasso-target")
    assert solved_by_torch(page, "source") <= 1
    page.screenshot(path=pictures / "site_lasso.png")
    box = page.locator("#lasso-source").bounding_box()
    for number, (x, y) in enumerate([(0.5, 0.3), (0.8, 0.35), (0.75, 0.7), (0.45, 0.6)]):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if not number:
            page.mouse.down()
    page.mouse.up()
    box = page.locator("#lasso-target").bounding_box()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 0.1 * box["height"], steps=6)
    page.mouse.up()
    page.wait_for_function(PAINTED, arg=["lasso-target", before + 1])
    page.get_by_label("gradients").select_option("mixed")
    assert solved_by_torch(page, "mixed") <= 1  # half of it hangs over the border
    page.wait_for_function(MENDED, arg="lasso-target")
    page.screenshot(path=pictures / "site_lasso_mixed.png")
    page.get_by_label("blend").uncheck()
    found = page.evaluate(LASSO)
    same = (tensor(found["answer"]) == tensor(found["target"])).all(dim=0)
    assert 0 < int((~same).sum()) <= lassoed(page)  # what is pasted lies inside


def test_the_lasso_is_moved_by_keys_and_takes_a_photograph_of_the_readers(page, tmp_path, rng):
    import PIL.Image

    open_page(page, "index.html")
    painted(page, "lasso-target")
    pixels = torch.randint(256, (90, 120, 3), dtype=torch.uint8, generator=rng).numpy()
    PIL.Image.fromarray(pixels).save(tmp_path / "mine.png")
    page.locator("#lasso-onto-file").set_input_files(tmp_path / "mine.png")
    onto = page.get_by_role("application", name="Onto your photograph")
    onto.focus()
    before = page.evaluate(LASSO)["corner"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    after = page.evaluate(LASSO)["corner"]
    assert [after[0] - before[0], after[1] - before[1]] == [4, 20]
    many = lassoed(page)
    page.get_by_role("application", name="From chelsea").focus()
    page.keyboard.press("-")
    assert lassoed(page) < many
    assert solved_by_torch(page, "source") <= 1


def test_a_finger_draws_the_lasso(browser):
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: python -m docs.site.build")
    page = browser.new_page(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    open_page(page, "index.html")
    painted(page, "lasso-target")
    page.locator("#lasso-source").scroll_into_view_if_needed()
    box = page.locator("#lasso-source").bounding_box()
    before, top = page.evaluate(LASSO)["mask"], page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)
    spots = [(0.3, 0.3), (0.3, 0.6), (0.6, 0.6), (0.6, 0.3)]
    for number, (x, y) in enumerate(spots):
        at = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        touch.send("Input.dispatchTouchEvent",
                   {"type": "touchMove" if number else "touchStart", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(300)
    assert page.evaluate(LASSO)["mask"] != before and page.evaluate("scrollY") == top
    page.close()


def test_a_lesson_has_its_formulas_and_its_figures_alt_texts(page):
    open_page(page, "notebooks/03_mls_warping.html")
    page.locator("mjx-container").first.wait_for()
    alts = page.locator("article img").evaluate_all("all => all.map(img => img.alt)")
    assert len(alts) == 10 and all(len(alt) > 20 and "_images" not in alt for alt in alts)


def test_the_site_is_searched_without_a_server(page):
    open_page(page, "search.html", "?q=multigrid")
    page.locator("#search-results a", has_text="01 · Poisson blending").wait_for()
