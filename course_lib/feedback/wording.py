"""Checks of a6, what words do: guidance without glare, an unwanted word, how far a sentence is."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Demand, Mistake, demand_gradient
from course_lib.feedback.toys import Glance

EACH = (1, 2, 3)  # the axes of one picture


def guess_checks(rng: torch.Generator) -> list[Check]:
    """Part 2: guidance in an interval of times, with the contrast held."""
    contrasts = torch.tensor([0.4, 1.0, 1.7])[:, None, None, None]
    told = torch.randn(3, 3, 4, 4, generator=rng) * contrasts + 0.6
    free = told + 0.5 * torch.randn(3, 3, 4, 4, generator=rng)
    laws = [
        ("keep mixes the held and the plain guess", 0.4, 0.35),
        ("with all contrast kept, each picture has that of what the word alone asks for", 0.5, 1.0),
        ("before and after the interval the word alone is heard", 0.8, 0.35),
        ("the interval's ends belong to it", 0.3, 0.0),
    ]
    return [Check(law, (told, free, t, 4.0, keep, (0.3, 0.6)),
                  _guess(told, free, t, 4.0, keep, (0.3, 0.6)), _guess_mistakes())
            for law, t, keep in laws]


def _guess_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _guess(*question, **options)

    return [
        Mistake("The contrast is not held at all: scale the guess by the ratio of deviations.",
                slip(held="none")),
        Mistake("keep is turned round: at 1 all contrast is kept, at 0 none.",
                slip(held="turned round")),
        Mistake("keep is not used: mix the held guess and the plain one.", slip(held="all")),
        Mistake("The ratio is upside down: told's deviation over the guess's own.",
                slip(ratio="inverse")),
        Mistake("The contrast of `free` is kept; keep that of `told`.", slip(ratio="free")),
        Mistake("One deviation is taken over the whole batch: each picture has its own, over "
                "dims 1 to 3, keepdim=True.", slip(axes=(0, 1, 2, 3))),
        Mistake("Each channel is scaled by itself, which changes colours: take one deviation a "
                "picture.", slip(axes=(2, 3))),
        Mistake("Root mean squares are compared; a deviation is taken about the mean.",
                slip(ratio="square")),
        Mistake("The ratio of variances is taken; contrast is a deviation.",
                slip(ratio="variance")),
        Mistake("Guidance begins at `told`: it goes from `free`, g times the way to `told`.",
                slip(base="told")),
        Mistake("told and free are exchanged.", slip(base="exchanged")),
        Mistake("Guidance is on at all times: outside the interval the guess is `told`.",
                slip(when="always")),
        Mistake("Outside the interval nothing is said in yours; there the guess is `told`.",
                slip(when="free")),
        Mistake("Guidance is off at the ends of the interval, which belong to it.",
                slip(when="open")),
        Mistake("The interval is where guidance is off in yours.", slip(when="outside")),
    ]


def _guess(
    told: Tensor, free: Tensor, t: float, guidance: float, keep: float,
    interval: tuple[float, float], *, held: str = "", ratio: str = "", base: str = "",
    axes: tuple = EACH, when: str = "",
) -> Tensor:
    """The guided guess; the switches are mistakes."""
    told, free = told.double(), free.double()
    low, high = interval
    inside = {"always": True, "outside": not low <= t <= high, "open": low < t < high}.get(
        when, low <= t <= high)
    if not inside:
        return free if when == "free" else told
    plain = {"told": told + guidance * (told - free),
             "exchanged": told + guidance * (free - told)}.get(
                 base, free + guidance * (told - free))

    def contrast(x: Tensor) -> Tensor:
        if ratio == "square":
            return x.square().mean(axes, keepdim=True).sqrt()
        return x.std(axes, keepdim=True) ** (2 if ratio == "variance" else 1)

    scale = contrast(free if ratio == "free" else told) / contrast(plain)
    scale = 1 / scale if ratio == "inverse" else scale
    keep = {"none": 0, "turned round": 1 - keep, "all": 1}.get(held, keep)
    return plain * (keep * scale + 1 - keep)


def unwanted_checks(rng: torch.Generator) -> list[Check]:
    """Extra 1: an unwanted word, without what it has in common with the wanted one."""
    told, bad, free = torch.randn(3, 3, 3, 4, 4, generator=rng) + 0.4
    question = told, bad + 0.6 * told, free, 3.0, 0.8

    def slip(kind: str) -> Callable:
        return lambda *question: _unwanted(*question, kind=kind)

    mistakes = [
        Mistake("What both words have in common is taken away, too: leave out of the unwanted "
                "way what lies along the wanted one.", slip("plain")),
        Mistake("The unwanted way is projected onto the wanted one, and that is subtracted: it is "
                "the rest that shall go.", slip("along")),
        Mistake("The product is not divided by the squared length of the wanted way.",
                slip("undivided")),
        Mistake("It is divided by the length of the wanted way; by its square.", slip("root")),
        Mistake("It is divided by the squared length of the unwanted way; of the wanted one.",
                slip("other length")),
        Mistake("One product is taken over the whole batch: each picture has its own.",
                slip("batch")),
        Mistake("Each channel has a product of its own: sum over dims 1 to 3.", slip("channels")),
        Mistake("The unwanted way is added; subtract it.", slip("sign")),
        Mistake("The ways are not counted from `free`.", slip("absolute")),
        Mistake("`against` is not multiplied by guidance: it is a share of the whole step.",
                slip("unguided")),
    ]
    return [Check("the unwanted way goes, but for what lies along the wanted one", question,
                  _unwanted(*question), mistakes)]


def _unwanted(told: Tensor, bad: Tensor, free: Tensor, guidance: float, against: float, *,
              kind: str = "") -> Tensor:
    """The guess that leans to one word and away from another; `kind` is a mistake."""
    told, bad, free = told.double(), bad.double(), free.double()
    base = 0 if kind == "absolute" else free
    way, off = told - base, bad - base
    axes = {"batch": (0, 1, 2, 3), "channels": (2, 3)}.get(kind, EACH)
    length = (off if kind == "other length" else way).square().sum(axes, keepdim=True)
    length = {"undivided": torch.ones(()), "root": length.sqrt()}.get(kind, length)
    along = (way * off).sum(axes, keepdim=True) / length * way
    rest = {"plain": off, "along": along}.get(kind, off - along)
    if kind == "unguided":
        return free + guidance * way - against * rest
    return free + guidance * (way - (-1 if kind == "sign" else 1) * against * rest)


def left_checks(rng: torch.Generator) -> list[Check | Demand]:
    """Part 6: how much of the way from one sentence to another is left, through frames."""
    look = Glance(torch.randn(12, 5, generator=rng))
    start, way = torch.rand(3, 3, 8, 8, generator=rng), torch.randn(5, generator=rng) * 0.15
    frames = [(0, 1, 6), (2, 0, 5), (1, 3, 4)]
    pictures = _followed(look, start, way, rng)
    question = look, pictures, start, way, frames, 0.7
    still = look, start.clone(), start, way, frames, 0.7
    return [
        Check("along the way what is left counts, and beside it every step", question,
              _left(*question), _left_mistakes(), kind="curve"),
        Check("at the start all of the way is left, and no more", still, _left(*still),
              _left_mistakes(), kind="curve"),
        demand_gradient(question, 1),
    ]


def _followed(look: Glance, start: Tensor, way: Tensor, rng: torch.Generator) -> Tensor:
    """Pictures that have gone half the way, a good deal too far, and somewhere."""
    unit, goal = F.normalize(way, dim=0), way.norm() * torch.tensor([0.5, 2.5, -0.3])
    pictures = start + 0.05 * torch.randn(start.shape, generator=rng)
    for _ in range(60):
        pictures = pictures.detach().requires_grad_()
        gone = (look(pictures) - look(start)) @ unit
        (slope,) = torch.autograd.grad((gone - goal).square().sum(), pictures)
        pictures = pictures - 2 * slope
    return pictures.detach()


def _left_mistakes() -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda *question: _left(*question, **options)

    return [
        Mistake("That is the library's cosine, which is as content with a short step as with the "
                "whole way: measure how much of the way is left.", slip(kind="cosine")),
        Mistake("Who has gone too far pays, too: past the end nothing is left, "
                ".clamp(min=0).", slip(kind="two-sided")),
        Mistake("What is left is not squared.", slip(kind="unsquared")),
        Mistake("The distance beside the way is not squared.", slip(kind="root")),
        Mistake("Steps beside the way cost nothing in yours: add beside · across².",
                slip(kind="free")),
        Mistake("`beside` is not used: it weighs the steps beside the way.",
                slip(kind="unweighed")),
        Mistake("The steps are not measured in lengths of the way: divide by ‖way‖.",
                slip(kind="undivided")),
        Mistake("The product is divided by ‖way‖ only once; once for the direction, once for the "
                "share.", slip(kind="once")),
        Mistake("The whole change is taken for what lies beside the way: subtract what lies "
                "along it.", slip(kind="whole")),
        Mistake("The whole picture is looked at, not its frames.", slip(view="none")),
        Mistake("Only the first frame counts: average over all.", slip(view="first")),
        Mistake("The frames are summed; take their mean.", slip(view="sum")),
        Mistake("The start is looked at whole: compare the same frame of both pictures.",
                slip(view="one-sided")),
        Mistake("top and left are swapped: rows come first.", slip(view="swapped")),
        Mistake("What is seen is averaged over the frames first: each frame has its own loss.",
                slip(view="early")),
        Mistake("The pictures of the batch are averaged: return one number a picture.",
                lambda *question: _left(*question).mean()),
    ]


def _left(
    look: Callable, pictures: Tensor, start: Tensor, way: Tensor, frames: list, beside: float, *,
    kind: str = "", view: str = "",
) -> Tensor:
    """What is left of the way, (batch,); the switches are mistakes."""
    seen, known = ([look(_framed(one, frame, how)).double() for frame in frames]
                   for one, how in ((pictures, view),
                                    (start, "none" if view == "one-sided" else view)))
    changes = torch.stack(seen) - torch.stack(known)
    changes = {"first": changes[:1], "early": changes.mean(0, keepdim=True)}.get(view, changes)
    way, length = way.double(), float(way.norm())
    unit = way / length
    along = changes @ unit
    across = (changes - (0 if kind == "whole" else along[..., None] * unit)).norm(dim=-1)
    if kind == "cosine":
        return (1 - along / (changes.square().sum(-1) + 0.01).sqrt()).mean(0)
    along, across = (one / {"undivided": 1}.get(kind, length) for one in (along, across))
    if kind == "once":
        along = along * length
    rest = 1 - along if kind == "two-sided" else (1 - along).clamp(min=0)
    cost = (rest if kind == "unsquared" else rest.square()) + {
        "free": 0, "unweighed": 1}.get(kind, beside) * (across if kind == "root"
                                                        else across.square())
    return cost.sum(0) if view == "sum" else cost.mean(0)


def _framed(pictures: Tensor, frame: tuple[int, int, int], view: str) -> Tensor:
    top, left, side = frame
    if view == "swapped":
        top, left = left, top
    if view == "none":
        return pictures
    return pictures[:, :, top:top + side, left:left + side]
