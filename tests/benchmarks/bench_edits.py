"""Do safety wheels help? The same wishes on the photographs that ship, with wheels and without.

Four numbers an edit: how far the wish is from being met, how much the rest changed, how strange
the answer looks beside real photographs (`course_lib.realism`), how much detail is kept. The
classical answer is made as strong as the one with wheels, or as near to it as it comes; but for a
wish that no cat can grant, where it does as it is told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib.generators import load_generator
from course_lib.images import load_image
from course_lib.metrics import detail_energy
from course_lib.pixels import CATS
from course_lib.realism import Realism, judge_realism
from course_lib.sessions import PhotoSession, Rewording
from tests.benchmarks.timing import median_seconds
from tests.benchmarks.wishes import NO_CAT_HAS_IT, WISHES, Coat, Wish, as_strong, shrunk

Row = tuple[str, str, float | None, str | None, float | None, float | None]
WAYS = ("classical", "wheels")
TO_THE_END: dict[str, Callable[[], object]] = {"should_end": lambda: False, "show": lambda: None}


@dataclass(frozen=True)
class Edited:
    """One wish for one photograph, and both answers, (3, H, W)."""

    photo: str
    wish: Wish
    before: Tensor
    classical: Tensor
    wheels: Tensor


def rows(device: torch.device | str) -> Iterator[Row]:
    """The times: a wish on a photograph of 512², from the stroke to the whole photo."""
    session = PhotoSession(load_generator("cats-128", device=device),
                           load_image("tabby", device=device))

    def edit() -> None:
        WISHES[0].ask(session, "tabby")
        session.follow(**TO_THE_END)

    for name, size, step in (("projection, 100 steps", "128²", session.project),
                             ("a stroke, 60 steps", "128²", edit),
                             ("carried to the photo", "512²", session.finish)):
        (seconds,) = median_seconds(step, rounds=1, warm_ups=0)
        yield name, size, seconds, None, None, None


def notes(device: torch.device | str) -> Iterator[str]:
    """The four numbers of each wish, averaged over the photographs; then how often wheels win."""
    found = list(edits(device))
    yield (f"{'mean of 8 photographs':22}{'wish missed':>18}{'rest changed':>18}"
           f"{'stranger than':>18}{'detail kept':>18}{'less strange':>16}")
    yield f"{'':22}" + 4 * f"{'without   with':>18}" + f"{'with wheels':>16}"
    for wish in (*WISHES, NO_CAT_HAS_IT):
        chosen = [one for one in found if one.wish.name == wish.name]
        wins = f"{less_strange(chosen)} of {len(chosen)}"
        yield f"{wish.name:22}" + "".join(cells(chosen)) + f"{wins:>16}"
    untouched = mean(stranger(one.before) for one in found)
    yield f"untouched, they are stranger than {100 * untouched:.0f} % of others"
    for coats in (False, True):  # which no tint can match, so the two are not equally strong
        chosen = [one for one in found
                  if isinstance(one.wish, Coat) is coats and one.wish != NO_CAT_HAS_IT]
        yield (f"{'coats' if coats else 'strokes and drags'}: answers with wheels are less strange "
               f"than classical ones in {less_strange(chosen)} of {len(chosen)}")


def less_strange(chosen: list[Edited]) -> int:
    """How many answers with wheels are less strange than the classical ones."""
    pairs = [[float(realism(getattr(one, way)).distance) for way in WAYS] for one in chosen]
    return sum(wheels < classical for classical, wheels in pairs)


def edits(device: torch.device | str) -> Iterator[Edited]:
    """All wishes on all photographs, with wheels and without."""
    generator = load_generator("cats-128", device=device)
    rewording = Rewording(load_generator("cats-diffusion", device=device))
    for name in CATS:
        photo = load_image(name, device=device)
        session = PhotoSession(generator, photo, rewording=rewording)
        session.project()
        for wish in (*WISHES, NO_CAT_HAS_IT):
            session.start_again()
            wish.ask(session, name)
            session.follow(**TO_THE_END)
            wheels = session.finish()
            aim = wish.like(wheels, name)
            classical = (aim.classical(photo, 1.0, name) if wish == NO_CAT_HAS_IT
                         else as_strong(aim, name, photo, wheels))
            yield Edited(name, aim, photo, classical, wheels)


def cells(chosen: list[Edited]) -> Iterator[str]:
    """Four numbers, without wheels and with."""
    measures: list[tuple[Callable[[Edited, Tensor], float], int]] = [
        (lambda one, after: one.wish.missed(one.before, after, one.photo), 3),
        (changed, 3),
        (lambda one, after: stranger(after), 2),
        (lambda one, after: float(detail_energy(after) / detail_energy(one.before)), 2)]
    for measure, digits in measures:
        pair = [mean(measure(one, getattr(one, way)) for one in chosen) for way in WAYS]
        yield f"{pair[0]:11.{digits}f}{pair[1]:7.{digits}f}"


def changed(one: Edited, after: Tensor) -> float:
    """Root mean square change outside of the wish's neighbourhood."""
    far = 1 - one.wish.near(one.photo).to(after)
    difference = (shrunk(after) - shrunk(one.before)).square().mean(dim=0)
    return float(((far * difference).sum() / far.sum()).sqrt())


def realism(picture: Tensor) -> Realism:
    """At the generator's size, beside photographs of cats."""
    return judge_realism(shrunk(picture))


def stranger(picture: Tensor) -> float:
    """The share of kept-out photographs that look less strange."""
    return float(realism(picture).stranger)


def mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
