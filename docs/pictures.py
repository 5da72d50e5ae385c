"""The picture at the README's top: eight wishes for photographs, without wheels and with.

    python -m docs.pictures docs/edits.jpg

Each on wheels by another tool of the course, and by the classical one that comes nearest, made as
strong: a tint, or a warp.
"""

import sys
from collections.abc import Iterator

import matplotlib.pyplot as plt
import torch

from course_lib.generators import load_generator
from course_lib.images import load_image, to_uint8
from course_lib.sessions import PhotoSession, Rewording, TextSession, Words
from course_lib.shapes import Image
from course_lib.text import load_clip
from tests.benchmarks.bench_edits import TO_THE_END
from tests.benchmarks.wishes import WISHES, Paint, Pose, Say, Wish, as_strong

BLAZE, TURN = WISHES[0], WISHES[5]
EDITS: tuple[tuple[str, str, Wish], ...] = (
    ("british", "a word", Say("“Siamese”", Words("Siamese", guidance=2.5))),
    ("tabby", "a word", Say("“white muzzle”", Words("white muzzle", guidance=4.0))),
    ("bandit", "a word", Say("“ginger”", Words(color="ginger", guidance=2.5))),
    ("patch", "a direction", Paint("darker coat", (0.5, 0.48, 0.36, 0.36),
                                   strengths={"light coat": -0.8})),
    ("tabby", "a stroke", BLAZE),
    ("silver", "a drag", TURN),
    ("british", "a direction", Pose("head up", {"head up": 1.0})),
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
    figure, axes = plt.subplots(6, columns, figsize=(2.05 * columns, 12.9), dpi=110)
    for number, (title, tool, *pictures) in enumerate(found):
        band, column = divmod(number, columns)
        for row, picture in enumerate(pictures):
            place = axes[3 * band + row, column]
            place.imshow(to_uint8(picture))
            place.set_xticks([])
            place.set_yticks([])
            place.set_frame_on(False)
            if column == 0:
                place.set_ylabel(("photo", "without wheels", "with wheels")[row])
        axes[3 * band, column].set_title(f"{title}\n({tool})", fontsize=10)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, pil_kwargs={"quality": 82})


if __name__ == "__main__":
    torch.manual_seed(0)
    draw(sys.argv[1])
