"""A picture of each slide, to look through before a lecture, and what of it does not fit.

    python -m course_lib.present 03 --screenshots FOLDER --size 1920x1080

needs Playwright and a Chromium: `COURSE_CHROMIUM` may name its executable, else it is looked for on
the PATH.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PIL.Image
from tqdm import tqdm

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
).split()
COLUMNS, THUMBNAIL = 4, 480  # of the sheet of all slides; pixels across
ONSCREEN = ".jp-Deck .jp-deck-mod-onscreen"
SHOWN = f"() => [...document.querySelectorAll('{ONSCREEN}')].map(cell => cell.textContent).join()"
PARTS = "p, li, pre, table, img, h1, h2, h3, mjx-container, .jupyter-widgets"
# What hangs over the screen's edge, or over that of a part which cuts it off.
CUT_OFF = f"""() => {{
    const found = [], all = document.querySelector(".jp-Deck .jp-WindowedPanel-viewport");
    const over = (what, by) => by > 1 && found.push(`${{what}} by ${{Math.round(by)}} pixels`);
    over("the slide is too high", all.scrollHeight - all.clientHeight);
    for (const part of document.querySelectorAll("{ONSCREEN} :is({PARTS})")) {{
        const box = part.getBoundingClientRect(), name = part.tagName.toLowerCase();
        if (!box.width || getComputedStyle(part).visibility === "hidden") continue;
        over(`${{name}} reaches beyond the right edge`, box.right - innerWidth);
        over(`${{name}} reaches below the screen`, box.bottom - innerHeight);
        if (["pre", "table"].includes(name)) over(`${{name}} is cut off`,
            part.scrollWidth - part.clientWidth);
    }}
    return [...new Set(found)];
}}"""


def find_chromium() -> str | None:
    """The executable of the user's Chromium, if there is one."""
    asked = os.environ.get("COURSE_CHROMIUM")
    return shutil.which(asked) if asked else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(executable: str) -> Iterator:
    """Chromium, without a window."""
    import playwright.sync_api as api

    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


def require_chromium() -> str:
    """The executable of a Chromium.

    Raises:
        FileNotFoundError: there is none.
    """
    executable = find_chromium()
    if executable is None:
        raise FileNotFoundError(
            "no Chromium was found, so no slide can be photographed: install one (on Debian: "
            "apt-get install chromium) or name its executable in COURSE_CHROMIUM.")
    return executable


def photograph_slides(
    address: str, count: int, folder: Path, *, size: tuple[int, int] = (1280, 720)
) -> dict[int, list[str]]:
    """Turn through a lecture's slides and keep each as a picture, and all on one sheet.

    Args:
        address: where the lecture is shown; count: how many slides it has.
        folder: is created; gets `00.png` and so on, and `sheet.png`.
        size: width and height of the projector, in pixels.
    Returns:
        what does not fit, a sentence each, by the slide's number from 0.
    Raises:
        FileNotFoundError: there is no Chromium.
    """
    folder.mkdir(parents=True, exist_ok=True)
    faults = {}
    with chromium(require_chromium()) as browser:
        page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector(f"{ONSCREEN} :is(h1, h2)")
        for number in tqdm(range(count), desc="Photographing", unit="slide"):
            if number:
                before = page.evaluate(SHOWN)
                page.keyboard.press("PageDown")
                page.wait_for_function(f"before => ({SHOWN})() !== before", arg=before)
            (folder / f"{number:02}.png").write_bytes(_at_rest(page))
            if found := page.evaluate(CUT_OFF):
                faults[number] = found
    _contact_sheet([folder / f"{number:02}.png" for number in range(count)], folder / "sheet.png")
    return faults


def _at_rest(page, patience: int = 40) -> bytes:
    """The page's picture, once it no longer changes."""
    before = b""
    for _ in range(patience):
        page.wait_for_timeout(400)
        now = page.screenshot()
        if now == before:
            break
        before = now
    return now


def _contact_sheet(paths: list[Path], out: Path) -> None:
    pictures = [PIL.Image.open(path).convert("RGB") for path in paths]
    high = round(THUMBNAIL * pictures[0].height / pictures[0].width)
    rows = -(-len(pictures) // COLUMNS)
    sheet = PIL.Image.new("RGB", (COLUMNS * (THUMBNAIL + 4), rows * (high + 4)), "black")
    for number, picture in enumerate(pictures):
        place = (number % COLUMNS * (THUMBNAIL + 4), number // COLUMNS * (high + 4))
        sheet.paste(picture.resize((THUMBNAIL, high), PIL.Image.Resampling.LANCZOS), place)
    sheet.save(out)
