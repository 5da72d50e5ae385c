"""Text-guided edits: seconds beside StyleCLIP's optimiser, and what another judge says.

Beside both stand the labelled and the principal direction that lead to the same attribute.
"""

import time
from collections.abc import Iterator

import torch

from course_lib.classifiers import load_classifier
from course_lib.generators import load_generator
from course_lib.text import edit_with_text, load_clip
from tests.benchmarks.text_edits import (
    CATS,
    CLOTHES,
    Edited,
    Judge,
    Verdict,
    Wish,
    along_directions,
    descend_as_styleclip,
)
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float, str | None, float | None, float | None]
GENERATORS = {"cats": CATS, "cats-128": CATS, "clothes": CLOTHES}
STEPS, STARTS = 30, 5


def rows(device: torch.device | str) -> Iterator[Row]:
    """One edit of one code in w_plus, by our way and by StyleCLIP's: same CLIP, start, steps."""
    clip = load_clip("clip-small", device=device)
    for name in GENERATORS:
        generator = load_generator(name, device=device)
        start = generator.sample_latent(
            1, space="w_plus", rng=torch.Generator().manual_seed(0), truncation_psi=0.8)

        prompt = GENERATORS[name][0].prompt

        def ours(generator=generator, start=start, prompt=prompt) -> object:
            return edit_with_text(generator, start, prompt, clip=clip, space="w_plus",
                                  steps=STEPS)

        def theirs(generator=generator, start=start, prompt=prompt) -> object:
            return descend_as_styleclip(generator, start, prompt, clip=clip, space="w_plus",
                                        steps=STEPS)

        seconds = median_seconds(ours, theirs, rounds=1, warm_ups=0)
        yield (f"text edit, {STEPS} steps", f"{generator.resolution}²", seconds[0],
               "StyleCLIP's optimiser", seconds[1], peak_megabytes(ours, device))


def notes(device: torch.device | str, *, starts: int = STARTS) -> Iterator[str]:
    """Each prompt from starts of which it is not true yet, judged by the kit's classifier."""
    for name in GENERATORS:
        for line in table(name, device, starts=starts):
            yield f"  {line}"


def table(name: str, device: torch.device | str, *, starts: int = STARTS) -> Iterator[str]:
    """Of one generator: a line a prompt, then the means."""
    generator, clip = load_generator(name, device=device), load_clip("clip-small", device=device)
    judge = Judge(generator, load_classifier(generator), "w_plus")
    edits = ways(generator, clip, judge)
    found: dict[str, list[Verdict]] = {way: [] for way in edits}
    yield (f"{name}: % met, says the judge / % of its other answers as before / the others moved "
           "by, in deviations / stranger than % of photographs")
    yield "prompt".ljust(36) + "".join(way.rjust(24) for way in found)
    begin = time.perf_counter()
    for wish in GENERATORS[name]:
        before, cells = judge.starts(wish, starts), ""
        for way, edit in edits.items():
            verdict = judge.verdict(before, edit(before, wish), wish)
            found[way].append(verdict)
            cells += said(verdict).rjust(24)
        yield wish.prompt.ljust(36) + cells
    yield "mean".ljust(36) + "".join(said(mean(some)).rjust(24) for some in found.values())
    yield f"{len(GENERATORS[name])} prompts x {starts} starts, {time.perf_counter() - begin:.0f} s"


def ways(generator: object, clip: object, judge: Judge) -> dict[str, Edited]:
    """By name."""
    def edited(**options: object) -> Edited:
        def edit(start: torch.Tensor, wish: Wish) -> torch.Tensor:
            found = edit_with_text(generator, start, wish.prompt, clip=clip, space="w_plus",
                                   steps=STEPS, **options)
            return found.latent[found.order.argsort()]  # as they were given, not ranked
        return edit

    return {
        "ours": edited(identity=0.5), "no identity": edited(), "each row": edited(shared=False),
        "StyleCLIP's optimiser": lambda start, wish: descend_as_styleclip(
            generator, start, wish.prompt, clip=clip, space="w_plus", steps=STEPS),
        **along_directions(judge),
    }


def mean(verdicts: list[Verdict]) -> Verdict:
    """Of several prompts."""
    return Verdict(*(sum(getattr(one, name) for one in verdicts) / len(verdicts)
                     for name in ("met", "stayed", "moved", "strange")))


def said(verdict: Verdict) -> str:
    """In few characters."""
    return (f"{100 * verdict.met:.0f} / {100 * verdict.stayed:.0f} / {verdict.moved:.2f} / "
            f"{100 * verdict.strange:.0f}")
