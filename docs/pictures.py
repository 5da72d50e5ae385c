"""The picture at the README's top: eight wishes for photographs, without wheels and with.

    python -m docs.pictures docs/edits.jpg

On wheels by words, directions, a stroke and a sentence; without by the classical tool that comes
nearest, a tint or a warp, made as strong as it can be.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from course_lib.generators import load_generator
from course_lib.images import load_image, to_uint8
from course_lib.sessions import PhotoSession, Rewording, TextSession, Words
from course_lib.shapes import Image
from course_lib.text import load_clip
from tests.benchmarks.bench_edits import TO_THE_END
from tests.benchmarks.wishes import WISHES, Paint, Pose, Say, Wish, as_strong

BLAZE = WISHES[0]
ROWS = ("photo", "without wheels", "with wheels")
EDITS: tuple[tuple[str, str, Wish], ...] = (
    ("british", "a word", Say("“Siamese”", Words("Siamese", guidance=2.5))),
    ("tabby", "a word", Say("“white muzzle”", Words("white muzzle", guidance=2.5))),
    ("bandit", "a word", Say("“ginger”", Words(color="ginger", guidance=2.5))),
    ("patch", "a direction", Paint("darker coat", (0.5, 0.48, 0.36, 0.36),
                                   strengths={"light coat": -0.8})),
    ("tabby", "a stroke", BLAZE),
    ("tuxedo", "a word", Say("“ginger”", Words(color="ginger", guidance=2.5))),
    ("silver", "a direction", Pose("head up", {"head up": 1.0})),
    ("bandit", "a sentence", Say("“a black cat”", Words())),
)


def answers() -> Iterator[tuple[str, str, Image, Image, Image]]:
    """Title, tool, photo, classical answer, answer on wheels, (3, H, W) each."""
    generator = load_generator("cats-128")
    session = PhotoSession(generator, load_image(EDITS[0][0]),
                           rewording=Rewording(load_generator("cats-diffusion")))
    for name, tool, wish in EDITS:
        photo = load_image(name)
        if tool == "a sentence":
            wheels = by_sentence(photo, wish.name.strip("“”"))
        else:
            session.open(photo)
            session.project()
            wish.ask(session, name)
            session.follow(**TO_THE_END)
            wheels = session.finish()
        aim = wish.like(wheels, name)
        yield wish.name, tool, photo, as_strong(aim, name, photo, wheels), wheels


def by_sentence(photo: Image, prompt: str) -> Image:
    """As lesson 11 does it."""
    session = TextSession(load_generator("cats-128"), load_clip("clip-small"))
    session.open(photo)
    session.say(prompt, l2=1.0, identity=0.5)
    session.follow(**TO_THE_END)
    return session.finish()


def draw(path: str) -> None:
    """All of it into a file: two bands of four wishes, each photo above its two answers."""
    found = list(answers())
    columns = len(found) // 2
    figure, axes = plt.subplots(
        7, columns, figsize=(2.2 * columns, 14), dpi=100,
        gridspec_kw={"height_ratios": [1, 1, 1, 0.22, 1, 1, 1], "hspace": 0.03, "wspace": 0.03,
                     "left": 0.035, "right": 0.998, "top": 0.964, "bottom": 0.002})
    for place in axes.flat:
        place.set_axis_off()
    for number, (title, tool, *pictures) in enumerate(found):
        band, column = divmod(number, columns)
        column_axes = axes[4 * band : 4 * band + 3, column]
        column_axes[0].set_title(f"{title}\n({tool})", fontsize=11)
        for place, picture, row in zip(column_axes, pictures, ROWS, strict=True):
            place.imshow(to_uint8(picture))
            if column == 0:
                place.text(-0.03, 0.5, row, rotation=90, ha="right", va="center", fontsize=11,
                           transform=place.transAxes)
    figure.savefig(path, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).absolute().parent.is_dir():
        sys.exit("say where to draw it: python -m docs.pictures docs/edits.jpg")
    torch.manual_seed(0)
    draw(sys.argv[1])
