"""Rehearses the four demos of docs/lecturing.md in a browser, and keeps a film of each.

    python -m tests.browser.films
    python -m tests.browser.films chin --out build/films

For the day when a projector shows nothing else: each film is an animated WebP that a browser
plays, with what to say below the picture. It fails where a tool does not do what is said of it.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from matplotlib import font_manager

from course_lib.present.__main__ import find_lesson, staged
from course_lib.present.cells import is_tool
from course_lib.present.pictures import chromium, require_chromium
from tests.browser.lab import Drawing

OUT = Path(__file__).parents[2] / "build" / "films"
SIZE, SHOWN = (1280, 720), (960, 540)  # of the projector and of the film, in pixels
CAPTION, LETTERS = 76, 92  # pixels below the picture; letters in a line
QUALITY = 55
ONSCREEN = ".jp-deck-mod-onscreen"
# Which pictures a tool shows, by the number that it has drawn, or by what an image holds.
SHOWS = f"""() => [...document.querySelectorAll("{ONSCREEN} .sw, {ONSCREEN} .jupyter-widgets img")]
    .map(one => one.dataset.painted ?? one.src).join()"""
FONT = font_manager.findfont("DejaVu Sans")


class Film:
    """One browser page, its pictures so far, and what is said meanwhile.

    Attributes:
        drawings: the tool's canvases, in their order.
    """

    def __init__(self, page) -> None:
        self.page, self.said, self.hand = page, "", None
        self.frames: list[PIL.Image.Image] = []
        self.times: list[int] = []
        lab = SimpleNamespace(page=page)
        canvases = page.locator(f"{ONSCREEN} .sw")
        self.drawings = [Drawing(lab, canvases.nth(index)) for index in range(canvases.count())]

    def say(self, words: str, seconds: float = 5) -> None:
        """Put this below the picture, for so long."""
        self.said = words
        self.keep(seconds)

    def keep(self, seconds: float) -> None:
        """A picture, shown for so long."""
        shot = PIL.Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        frame = PIL.Image.new("RGB", (SHOWN[0], SHOWN[1] + CAPTION), "#1b1b1b")
        frame.paste(shot.resize(SHOWN, PIL.Image.Resampling.LANCZOS))
        pen = PIL.ImageDraw.Draw(frame)
        if self.hand:
            x, y = (at * SHOWN[0] / SIZE[0] for at in self.hand)
            pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline="#000", fill="#ffd54f", width=2)
        font = PIL.ImageFont.truetype(FONT, 19)
        pen.multiline_text((20, SHOWN[1] + 12), _lines(self.said), fill="#fff", font=font)
        self.frames.append(frame)
        self.times.append(round(1000 * seconds))

    def drag(self, drawing: Drawing, *places: tuple[float, float], moves: int = 8) -> None:
        """Press at the first place of a picture, go through the others, and release."""
        mouse, spots = self.page.mouse, drawing.spots(*places)
        mouse.move(*spots[0])
        self.hand = spots[0]
        self.keep(0.4)
        mouse.down()
        for before, spot in pairwise(spots):
            for move in range(1, moves + 1):
                self.hand = tuple(a + (b - a) * move / moves
                                  for a, b in zip(before, spot, strict=True))
                mouse.move(*self.hand, steps=2)
                self.page.wait_for_timeout(150)
                self.keep(0.15)
        self.let_go()

    def slide(self, number: int, *shares: float) -> None:
        """Drag this slider's handle to these shares of its way, and show what each brings."""
        mouse, handle = self.page.mouse, self.page.locator(f"{ONSCREEN} .noUi-handle").nth(number)
        way = self.page.locator(f"{ONSCREEN} .noUi-base").nth(number).bounding_box()
        box = handle.bounding_box()
        height = box["y"] + box["height"] / 2
        mouse.move(box["x"] + box["width"] / 2, height)
        mouse.down()
        for share in shares:
            self.hand = (way["x"] + share * way["width"], height)
            mouse.move(*self.hand, steps=3)
            self.page.wait_for_timeout(700)
            self.keep(0.9)
        self.let_go()

    def let_go(self) -> None:
        """Release the mouse, and rest."""
        self.page.mouse.up()
        self.hand = None
        self.rest()

    def answered(self, act: Callable[[], object]) -> None:
        """Do something, and wait for the picture that answers it."""
        before = self.page.evaluate(SHOWS)
        act()
        self.page.wait_for_function(f"before => ({SHOWS})() !== before", arg=before)
        self.rest()

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, and show what each of them brings."""
        for key in keys:
            self.answered(lambda key=key: self.page.keyboard.press(key))

    def rest(self, seconds: float = 1.0, patience: float = 60) -> None:
        """Wait until nothing changes any more, showing it meanwhile, and let it stand."""
        until, before = time.monotonic() + patience, None
        while time.monotonic() < until:
            self.page.wait_for_timeout(700)
            now = self.page.screenshot()
            if now == before:
                break
            if before:
                self.keep(0.3)
            before = now
        self.keep(seconds)

    def save(self, path: Path) -> None:
        """Write it, to be shown again and again."""
        self.frames[0].save(path, save_all=True, append_images=self.frames[1:],
                            duration=self.times, loop=0, quality=QUALITY, method=4)


def _lines(text: str) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines[-1:] = [longer] if len(longer) <= LETTERS else [lines[-1], word]
    return "\n".join(lines)


def chin(film: Film) -> None:
    """Lesson 03, "Your turn"."""
    (face,) = film.drawings
    film.say("You drag a few points. Where does every other pixel go?")
    film.drag(face, (118, 188), (118, 206), (118, 180), (118, 206))
    film.say("Every pixel solves its own small least-squares problem; near handles count most.")
    film.say("The line below tells two things: how far the handles miss, which is nothing, and how "
             "far the average pixel travels. That is the whole energy: obey, and stay close.")
    assert "handles missed by 0.0" in face.note
    film.answered(film.page.get_by_label("show the grid").check)
    film.say("A grid shows it: far from the chin the squares are whole.", 3)
    film.answered(lambda: film.page.locator(f"{ONSCREEN} select").select_option("affine"))
    film.say("The squares shear. Photographs take turning well, stretching badly: fewer freedoms, "
             "stiffer pictures.")
    film.drag(face, (138, 131), (200, 110))
    assert "folded 0.0" not in face.note
    film.say("No handle is missed, the energy is at its least. The method did not fail; the energy "
             "knows distances, and nothing about faces.", 6)
    face.button("Reset").click()
    film.rest(2)


def espresso(film: Film) -> None:
    """Lesson 01, "Your turn"."""
    _, cup = film.drawings
    blend, gradients = film.page.get_by_label("blend (else paste)"), film.page.locator(
        f"{ONSCREEN} select")
    film.page.get_by_label("show the outline").uncheck()
    film.rest()
    film.say("A cat's eye, pasted into coffee.", 3)
    film.answered(blend.uncheck)
    film.say("Every pixel inside is right, and nobody is fooled: the seam shows.")
    film.answered(blend.check)
    film.say("We copied differences between neighbours instead of colours, and asked for a picture "
             "that has them.")
    film.drag(cup, (137, 72), (90, 110), (30, 165))
    film.say("It takes the colour of wherever it lies, since only its rim knows the surroundings.")
    film.answered(lambda: gradients.select_option("the source's"))
    film.say("The source's gradients: the grain of the wood ends at the eye.")
    film.answered(lambda: gradients.select_option("mixed"))
    film.say("Mixed: it runs through the eye. Which wish is right? The equation can't say.")
    film.answered(lambda: gradients.select_option("the source's"))
    film.drag(cup, (30, 165), (95, 52))
    film.say("Half over the rim, the rim is torn, and the colours bleed. It is the optimum all the "
             "same.", 6)


def wheels(film: Film) -> None:
    """Lesson 04, "Live"."""
    strength, closeness = (film.page.locator(f"{ONSCREEN} .noUi-handle").nth(at) for at in (0, 1))
    film.say("The same cat three times: as she was, as a tint makes her, and the nearest thing to "
             "that on the manifold.")
    strength.focus()
    film.press("Home", "ArrowRight", "ArrowRight", "End")
    film.say("In the middle a disc of orange. On the right, a ginger cat.")
    film.say("Nobody told it where the fur ends. A generator that has seen five thousand cats "
             "knows what hangs together.")
    closeness.focus()
    film.press("End")
    film.say("To the right: she stays the cat that she was, and is less ginger.", 4)
    film.press("Home")
    film.say("To the left: ginger, and somebody else. Stay close to the input, grant the wish: the "
             "same two halves as before, and the road has edges now.")
    film.answered(film.page.get_by_role("button", name="wider").click)
    film.say("A few pixels are followed, then no cat fits. Wheels hold you on the road; they don't "
             "build one.", 6)


def stroke(film: Film) -> None:
    """Lesson 08, "Your turn"."""
    pad, _, _ = film.drawings
    film.say("Left a grey tabby, and one stroke of ginger on her forehead. Right the answer.")
    film.say("I painted a few hundred pixels. Why is the whole coat ginger?")
    film.say("The code moved until the picture under the stroke obeyed, and codes move whole cats.")
    film.said = "Each picture on the way is a cat."
    film.slide(2, 0, 0.2, 0.35, 0.5, 0.65, 0.8, 1)
    pad.root.get_by_role("radio", name="white").click()
    film.said = "A second wish: white, over the muzzle."
    film.drag(pad, (50, 90), (64, 95), (78, 90))
    film.say("Each stroke is one term, and they add up: muzzle and bib turn white, and the ginger "
             "pales to cream.")
    pad.root.get_by_role("radio", name="green").click()
    film.said = "A third: a green cheek."
    film.drag(pad, (28, 76), (42, 82))
    film.say("It tries: the wall turns green. The cheek can't; no such cat was ever seen. That is "
             "what the wheels are for, and what they cost.", 6)


DEMOS: dict[str, tuple[str, str, Callable[[Film], None]]] = {  # lesson, and the cell of its tool
    "chin": ("03", "mls-tool-show", chin), "espresso": ("01", "pb-tool", espresso),
    "wheels": ("04", "cell-29", wheels), "stroke": ("08", "ge-tool", stroke),
}
NEEDS = {"ge-tool": ("ge-imports", "ge-seed")}  # of a long lesson's code, all that its tool needs


def up_to(lesson: Path, cell: str, folder: Path) -> Path:
    """A copy of the lesson that ends with this cell."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    count = [one["id"] for one in notebook["cells"]].index(cell) + 1
    notebook["cells"] = [
        one for one in notebook["cells"][:count]
        if cell not in NEEDS or one["cell_type"] == "markdown" or one["id"] in (*NEEDS[cell], cell)]
    tools = sum(map(is_tool, notebook["cells"]))
    path = folder / f"{lesson.stem}_{tools}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def rehearse_demo(name: str, out: Path) -> Path:
    """Run the lesson up to the tool, go through the demo, and write its film."""
    number, cell, act = DEMOS[name]
    with tempfile.TemporaryDirectory() as folder:
        lesson = up_to(find_lesson(number), cell, Path(folder))
        with staged(lesson) as (_, address), chromium(require_chromium()) as browser:
            page = browser.new_page(viewport=dict(zip(("width", "height"), SIZE, strict=True)))
            page.set_default_timeout(240_000)
            page.goto(address)
            page.wait_for_selector(f"{ONSCREEN} :is(h1, h2)")
            last = page.locator(".jp-CodeCell:has(.jupyter-widgets)").last
            for _ in range(40):
                page.keyboard.press("PageDown")
                page.wait_for_timeout(300)
                if "jp-deck-mod-onscreen" in (last.get_attribute("class") or ""):
                    break
            film = Film(page)
            film.rest(0.5)
            act(film)
    out.mkdir(parents=True, exist_ok=True)
    film.save(out / f"{name}.webp")
    return out / f"{name}.webp"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.browser.films", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", choices=[[], *DEMOS], help="all if none is named")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder of the films")
    asked = parser.parse_args()
    for name in asked.only or DEMOS:
        film = rehearse_demo(name, asked.out)
        print(f"{film}: {film.stat().st_size / 1e6:.1f} MB")
