"""The picture at the README's top: six wishes for photographs, by hand and with wheels.

    python -m docs.pictures docs/edits.jpg

With wheels by directions, words and a stroke. By hand, as in five minutes with a photo program:
soft masks that are drawn around fur, but for eyes and white, with the tint in them that comes
nearest to the answer with wheels; or a warp by fourteen handles, told where each of them belongs.
The last wish, which no cat can grant, is done by hand as it was said.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from course_lib.generators import load_generator
from course_lib.images import load_image, to_uint8
from course_lib.sessions import PhotoSession, Rewording, Words
from course_lib.shapes import Ellipse, Image
from course_lib.warping import warp_mls
from tests.benchmarks.bench_edits import TO_THE_END
from tests.benchmarks.wishes import (
    HELD,
    NO_CAT_HAS_IT,
    WISHES,
    Coat,
    Layer,
    Paint,
    Pose,
    Wish,
    as_strong,
)

COLUMNS = ("photo", "by hand", "with wheels")
BLAZE = WISHES[0]
BANDITS_EYES: tuple[Ellipse, ...] = ((0.345, 0.5, 0.075, 0.065), (0.665, 0.505, 0.075, 0.065))
BANDITS_FUR = Layer(((0.52, 0.42, 0.38, 0.28), (0.22, 0.17, 0.1, 0.19), (0.83, 0.17, 0.11, 0.19)),
                    BANDITS_EYES)
TABBYS_FUR = Layer(((0.53, 0.45, 0.42, 0.3), (0.24, 0.18, 0.1, 0.19), (0.76, 0.18, 0.11, 0.19)),
                   ((0.345, 0.475, 0.07, 0.05), (0.66, 0.475, 0.07, 0.05)))
EYES: tuple[Ellipse, ...] = ((0.36, 0.5, 0.06, 0.05), (0.635, 0.5, 0.06, 0.05))  # the British's
MASK: tuple[Ellipse, ...] = ((0.5, 0.57, 0.17, 0.22), (0.17, 0.19, 0.035, 0.1),
                             (0.23, 0.22, 0.05, 0.07), (0.795, 0.2, 0.025, 0.1),
                             (0.73, 0.23, 0.05, 0.06))
BODY = Layer(((0.45, 0.62, 0.4, 0.5), (0.6, 0.85, 0.4, 0.25)), (*MASK, *EYES), spares_white=False)
DRAGS = torch.tensor([  # of the British's head, up: from (x, y) to (x, y), in shares
    [[0.165, 0.085], [0.18, 0.02]], [[0.29, 0.155], [0.29, 0.095]], [[0.145, 0.33], [0.125, 0.29]],
    [[0.81, 0.095], [0.82, 0.05]], [[0.69, 0.155], [0.7, 0.1]], [[0.79, 0.33], [0.81, 0.3]],
    [[0.365, 0.49], [0.36, 0.46]], [[0.64, 0.49], [0.645, 0.46]],  # eyes, after the ears
    [[0.51, 0.655], [0.5, 0.62]], [[0.51, 0.74], [0.505, 0.72]], [[0.53, 0.83], [0.53, 0.82]],
    [[0.085, 0.45], [0.065, 0.43]], [[0.87, 0.5], [0.885, 0.48]], [[0.5, 0.175], [0.5, 0.1]]])
EDITS: tuple[tuple[str, str, Wish], ...] = (
    ("bandit", "a direction", Coat("a dark coat", strengths={"light coat": -0.8},
                                   layers=(BANDITS_FUR,))),
    ("tabby", "a word", Coat("“ginger”", Words(color="ginger", guidance=2.5),
                             layers=(TABBYS_FUR,))),
    ("siamese", "a stroke", BLAZE),
    ("british", "a direction", Pose("head up", {"head up": 1.0})),
    ("british", "a word", Coat("“Siamese”", Words("Siamese", guidance=2.5),
                               layers=(BODY, Layer(MASK, EYES, spares_white=False)))),
    ("tabby", "a stroke", NO_CAT_HAS_IT),
)


def answers() -> Iterator[tuple[str, str, Image, Image, Image]]:
    """Title, tool, photo, the answer by hand and the one with wheels, (3, H, W) each."""
    session = PhotoSession(load_generator("cats-128"), load_image(EDITS[0][0]),
                           rewording=Rewording(load_generator("cats-diffusion")))
    for name, tool, wish in EDITS:
        photo = load_image(name)
        session.open(photo)
        session.project()
        wish.ask(session, name)
        session.follow(**TO_THE_END)
        wheels = session.finish()
        yield wish.name, tool, photo, by_hand(wish, name, photo, wheels), wheels


def by_hand(wish: Wish, name: str, photo: Image, wheels: Image) -> Image:
    """What a retoucher would make of it, who knows the answer with wheels."""
    if wish == NO_CAT_HAS_IT:
        return wish.classical(photo, 1.0, name)
    if isinstance(wish, Paint):
        stroke = Layer((wish.at(name),), spares_white=False)
        return stroke.over(photo, wheels).clamp(0, 1)
    if isinstance(wish, Pose):
        held = torch.tensor(HELD)[:, None].expand(-1, 2, 2)
        start, end = (photo.shape[-1] * torch.cat([DRAGS, held])).unbind(dim=1)
        return warp_mls(photo, start, end).clamp(0, 1)
    return as_strong(wish.like(wheels, name), name, photo, wheels)


def draw(path: str) -> None:
    """All of it into a file, a wish a row."""
    found = list(answers())
    figure, axes = plt.subplots(
        len(found), 3, figsize=(9.0, 2.85 * len(found) + 0.3), dpi=100,
        gridspec_kw={"hspace": 0.02, "wspace": 0.02, "left": 0.06, "right": 0.998,
                     "top": 0.982, "bottom": 0.001})
    for row, (title, tool, *pictures) in zip(axes, found, strict=True):
        row[0].text(-0.03, 0.5, f"{title}\n({tool})", rotation=90, ha="right", va="center",
                    fontsize=11, linespacing=1.3, transform=row[0].transAxes)
        for place, picture in zip(row, pictures, strict=True):
            place.imshow(to_uint8(picture))
    for place, column in zip(axes[0], COLUMNS, strict=True):
        place.set_title(column, fontsize=12)
    for place in axes.flat:
        place.set_axis_off()
    figure.savefig(path, pil_kwargs={"quality": 82})


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).absolute().parent.is_dir():
        sys.exit("say where to draw it: python -m docs.pictures docs/edits.jpg")
    torch.manual_seed(0)
    draw(sys.argv[1])
