"""Text edits judged by another network than the one they descended on, and by what else changed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_lib.classifiers import Classifier
from course_lib.directions import annotated_by_score, ganspace, move
from course_lib.generators.base import Generator
from course_lib.projection import ramp
from course_lib.realism import judge_realism
from course_lib.shapes import Latent
from course_lib.text import Clip


@dataclass(frozen=True)
class Wish:
    """A prompt, and what the judge should say afterwards.

    Attributes:
        asked: attributes by name, and whether a picture should have them.
        implied: further attributes that may change with them: a black cat has no stripes.
    """

    prompt: str
    asked: dict[str, bool]
    implied: tuple[str, ...] = ()


Edited = Callable[[Latent, Wish], Latent]
"""(start (n, ...), wish) -> the edited codes, in the same order."""

LIGHT, GINGER, STRIPES = "light coat", "ginger coat", "striped coat"
MUZZLE, BACKGROUND = "white muzzle", "bright background"
CATS = (
    Wish("a ginger cat", {GINGER: True}, (LIGHT,)),
    Wish("an orange cat", {GINGER: True}, (LIGHT,)),
    Wish("a cat with ginger fur", {GINGER: True}, (LIGHT,)),
    Wish("a grey cat", {GINGER: False}, (LIGHT,)),
    Wish("a black cat", {LIGHT: False, GINGER: False}, (STRIPES,)),
    Wish("a dark cat", {LIGHT: False}, (GINGER,)),
    Wish("a white cat", {LIGHT: True, GINGER: False}, (STRIPES, MUZZLE)),
    Wish("a light cat", {LIGHT: True}, (GINGER, MUZZLE)),
    Wish("a cream cat", {LIGHT: True}, (GINGER, MUZZLE)),
    Wish("a striped cat", {STRIPES: True}),
    Wish("a tabby cat", {STRIPES: True}),
    Wish("a plain cat", {STRIPES: False}),
    Wish("a cat with a white muzzle", {MUZZLE: True}),
    Wish("a cat with a dark muzzle", {MUZZLE: False}),
    Wish("a cat on a bright background", {BACKGROUND: True}),
    Wish("a cat on a dark background", {BACKGROUND: False}),
    Wish("a ginger cat with a white muzzle", {GINGER: True, MUZZLE: True}, (LIGHT,)),
    Wish("a black cat on a bright background", {LIGHT: False, BACKGROUND: True},
         (GINGER, STRIPES)),
    Wish("a striped cat on a dark background", {STRIPES: True, BACKGROUND: False}),
    Wish("a light cat with a white muzzle", {LIGHT: True, MUZZLE: True}, (GINGER,)),
)

KINDS = ("t-shirt", "longsleeve", "shirt", "jacket", "dress", "skirt", "trousers", "shorts",
         "shoes", "hat")
COLORS = ("black", "grey", "white or beige", "blue", "red or pink", "brown", "colourful")
CLOTHES = (
    Wish("a black garment", {"black": True}, COLORS),
    Wish("a grey garment", {"grey": True}, COLORS),
    Wish("a white garment", {"white or beige": True}, COLORS),
    Wish("a blue garment", {"blue": True}, COLORS),
    Wish("a turquoise garment", {"blue": True}, COLORS),
    Wish("a red garment", {"red or pink": True}, COLORS),
    Wish("a pink garment", {"red or pink": True}, COLORS),
    Wish("a brown garment", {"brown": True}, COLORS),
    Wish("a green garment", {"colourful": True}, COLORS),
    Wish("a yellow garment", {"colourful": True}, COLORS),
    Wish("a patterned garment", {"patterned": True}),
    Wish("a plain garment", {"patterned": False}),
    Wish("a t-shirt", {"t-shirt": True}, KINDS),
    Wish("a long-sleeved top", {"longsleeve": True}, KINDS),
    Wish("a jacket", {"jacket": True}, KINDS),
    Wish("a dress", {"dress": True}, KINDS),
    Wish("trousers", {"trousers": True}, KINDS),
    Wish("shorts", {"shorts": True}, KINDS),
    Wish("a black dress", {"black": True, "dress": True}, COLORS + KINDS),
    Wish("a blue shirt", {"blue": True, "shirt": True}, COLORS + KINDS),
)


@dataclass(frozen=True)
class Verdict:
    """Of one prompt's edits.

    Attributes:
        met: share of the edits after which the judge says what was asked.
        stayed: share of the answers about other attributes that are as before.
        moved: mean change of the others' logits, in deviations between samples.
        strange: share of real photographs that look more like photographs (see `realism`).
    """

    met: float
    stayed: float
    moved: float
    strange: float


class Judge:
    """A classifier, and how much its answers vary between a generator's samples."""

    def __init__(self, generator: Generator, classifier: Classifier, space: str):
        self.generator, self.classifier, self.space = generator, classifier, space
        self.pool = generator.sample_latent(
            300, space=space, rng=torch.Generator().manual_seed(5), truncation_psi=0.8)
        self.scores = self.answers(self.pool)
        self.deviation = self.scores.std(dim=0)

    @torch.no_grad()
    def pictures(self, codes: Latent) -> Tensor:
        """Of codes, (n, 3, r, r) in [0, 1]."""
        return torch.cat([self.generator.decode(some, space=self.space).clamp(0, 1)
                          for some in codes.split(25)])

    @torch.no_grad()
    def judged(self, pictures: Tensor) -> Tensor:
        """The logits of pictures, (n, attributes)."""
        return torch.cat([self.classifier(some) for some in pictures.split(25)])

    def answers(self, codes: Latent) -> Tensor:
        """The logits of each code's picture, (n, attributes)."""
        return self.judged(self.pictures(codes))

    def meets(self, answers: Tensor, wish: Wish) -> Tensor:
        """Whether all is as was asked, (n,)."""
        found = [(answers[:, self.classifier.number(name)] > 0) == wanted
                 for name, wanted in wish.asked.items()]
        return torch.stack(found).all(dim=0)

    def starts(self, wish: Wish, n: int) -> Latent:
        """The first samples of which it is not so yet."""
        return self.pool[~self.meets(self.scores, wish)][:n]

    def verdict(self, before: Latent, after: Latent, wish: Wish) -> Verdict:
        """What the edits of one prompt did."""
        pictures = self.pictures(after)
        first, last = self.answers(before), self.judged(pictures)
        others = [index for index, name in enumerate(self.classifier.attributes)
                  if name not in (*wish.asked, *wish.implied)]
        same = (first[:, others] > 0) == (last[:, others] > 0)
        change = ((last - first) / self.deviation)[:, others].abs()
        strange = judge_realism(pictures, self.generator.kind).stranger
        return Verdict(float(self.meets(last, wish).float().mean()), float(same.float().mean()),
                       float(change.mean()), float(strange.mean()))


def descend_as_styleclip(
    generator: Generator, start: Latent, prompt: str, *, clip: Clip, space: str, steps: int,
    l2: float = 0.008,
) -> Latent:
    """StyleCLIP's optimiser, from its formulas, with our CLIP.

    Adam at 0.1 (its ramps) on 1 − cos + 0.008 · Σ(w − w_s)², the picture as it is, no frames.

    Source: Patashnik et al., "StyleCLIP", ICCV 2021, eq. 1 and appendix.
    """
    with torch.no_grad():
        text = clip.embed_texts([prompt])[0]
    code = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([code])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.1 * ramp(step / steps)
        picture = generator.decode(code, space=space)
        apart = 1 - clip.embed_images(picture) @ text
        loss = (apart + l2 * (code - start).square().flatten(1).sum(dim=1)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return code.detach()


SAMPLES = 3000  # that the directions are found with
STRENGTHS = (1, 2, 3, 4, 5, 6)  # deviations


def along_directions(judge: Judge) -> dict[str, Edited]:
    """The direction that the judge's own answers label; and the likeliest of GANSpace's first 20.

    Each attribute that is asked for is one direction's; every start is moved until the judge says
    that the wish is met, or as far as `STRENGTHS` goes. So both are told where to stop.
    """
    generator = judge.generator
    codes = generator.sample_latent(SAMPLES, space="w", rng=torch.Generator().manual_seed(6))
    scores = judge.answers(generator.convert(codes, "w", judge.space))
    principal = ganspace(generator, n_samples=10_000, rng=torch.Generator().manual_seed(0))
    spread = (codes - codes.mean(dim=0)) @ principal.components.T / principal.stdev

    def labelled(number: int) -> Tensor:
        found = annotated_by_score(codes, scores[:, number], share=0.2).components[0]
        return found * (codes @ found).std()

    def likeliest(number: int) -> Tensor:
        score = (scores[:, number] - scores[:, number].mean()) / scores[:, number].std()
        alike = (spread * score[:, None]).mean(dim=0)
        best = int(alike.abs().argmax())
        return principal.components[best] * principal.stdev[best] * alike[best].sign()

    def moved(way: Callable[[int], Tensor]) -> Edited:
        def edit(start: Latent, wish: Wish) -> Latent:
            step = sum(way(judge.classifier.number(name)) * (1 if wanted else -1)
                       for name, wanted in wish.asked.items())
            answer = start
            for strength in STRENGTHS:
                missed = ~judge.meets(judge.answers(answer), wish)
                answer = torch.where(missed[:, None, None], move(start, step, strength), answer)
            return answer
        return edit

    return {"labelled direction": moved(labelled), "GANSpace": moved(likeliest)}
