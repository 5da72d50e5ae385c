"""Captions made from labels, and of which pictures each of them is true.

A caption names some of the attributes that its picture has, in words drawn at random: "a ginger
cat with a white muzzle", "a patterned dress". It is true of every picture that has all of them,
and false of every picture that lacks one; where a label is missing, it is neither.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.text.words import split_words
from course_lib.training.questions import (
    Question,
    background_lightness,
    between,
    coat_lightness,
    coat_warmth,
    muzzle_contrast,
    one_of,
    region,
    striped,
)


@dataclass(frozen=True)
class Attribute:
    """Something that a caption may say.

    Attributes:
        place: in the caption: of `ORDER`, "with" or "on".
        phrases: ways to say it, of which one is drawn.
        question: how the labels tell whether a picture has it.
    """

    place: str
    phrases: tuple[str, ...]
    question: Question


def everywhere(records: Sequence, pictures: Tensor) -> Tensor:
    """Yes to every picture of the set."""
    return torch.ones(len(records))


def coat(low: float, high: float, *, least: float = -1, most: float = 1) -> Question:
    """Whether the head's lightness and warmth lie in these ranges; unknown close to their ends."""

    def answers(records: Sequence, pictures: Tensor) -> Tensor:
        found = [torch.cat([measure(part.float() / 255) for part in pictures.split(512)])
                 for measure in (coat_lightness, coat_warmth)]
        yes, no = torch.ones(len(records)), torch.zeros(len(records))
        for value, (a, b), rim in zip(found, ((low, high), (least, most)), (0.02, 0.01),
                                      strict=True):
            yes = yes * ((value > a + rim) & (value < b - rim))
            no = no + ((value < a - rim) | (value > b + rim))
        return torch.where(no > 0, 0.0, torch.where(yes > 0, 1.0, torch.nan))

    return answers


def guessed(*breeds: str) -> Question:
    """Whether the network of breeds is sure of one of these, or sure of another one."""

    def answers(records: Sequence, pictures: Tensor) -> Tensor:
        likely = torch.tensor([sum(share for name, share in record["breed_guesses"]
                                   if name in breeds) for record in records])
        return torch.where(likely > 0.5, 1.0, torch.where(likely < 0.05, 0.0, torch.nan))

    return answers


def opposite(question: Question) -> Question:
    """No for yes, yes for no."""
    return lambda records, pictures: 1 - question(records, pictures)


def background_greenness(images: Tensor) -> Tensor:
    """How much more green than red and blue the strip along the top is."""
    color = region(images, 0, 0.12, 0, 1).mean(dim=(2, 3))
    return color[:, 1] - (color[:, 0] + color[:, 2]) / 2


CATS = {
    "cat": Attribute("kind", ("cat", "cat", "cat", "kitten", "cat's face"), everywhere),
    "black": Attribute("color", ("black",), coat(-1, 0.24, least=-0.1, most=0.1)),
    "white": Attribute("color", ("white",), coat(0.58, 2, least=-0.12, most=0.14)),
    "grey": Attribute("color", ("grey", "gray"), coat(0.27, 0.55, least=-0.15, most=0.045)),
    "brown": Attribute("color", ("brown",), coat(0.2, 0.42, least=0.07, most=0.2)),
    "ginger": Attribute("color", ("ginger", "orange"), coat(0.3, 0.8, least=0.19)),
    "cream": Attribute("color", ("cream", "beige"), coat(0.5, 2, least=0.08, most=0.22)),
    "dark": Attribute("shade", ("dark",), opposite(between(coat_lightness, 0.34, 0.42))),
    "light": Attribute("shade", ("light", "pale"), between(coat_lightness, 0.4, 0.47)),
    "striped": Attribute("pattern", ("striped", "tabby"), striped),
    "plain": Attribute("pattern", ("plain", "unstriped"), opposite(striped)),
    "siamese": Attribute("pattern", ("siamese",), guessed("Siamese_cat")),
    "persian": Attribute("pattern", ("persian",), guessed("Persian_cat")),
    "white muzzle": Attribute("with", ("a white muzzle", "a white chin"),
                              between(muzzle_contrast, 0.1, 0.22)),
    "dark muzzle": Attribute("with", ("a dark muzzle",),
                             opposite(between(muzzle_contrast, -0.08, 0.02))),
    "bright background": Attribute("on", ("a bright background", "a white background"),
                                   between(background_lightness, 0.45, 0.62)),
    "dark background": Attribute("on", ("a dark background", "a black background"),
                                 opposite(between(background_lightness, 0.28, 0.4))),
    "green background": Attribute("on", ("a green background", "grass"),
                                  between(background_greenness, 0.03, 0.07)),
}
"""Of cats: the coat by the colour of the head, stripes and breeds by a network's guesses."""

KINDS = {
    "t-shirt": ("t-shirt", "tee"), "longsleeve": ("long-sleeved top", "longsleeve", "sweater"),
    "trousers": ("trousers", "pants"), "shirt": ("shirt",), "jacket": ("jacket", "coat"),
    "shoes": ("shoes", "footwear"), "dress": ("dress",), "shorts": ("shorts",),
    "hat": ("hat", "cap"), "top": ("top",), "skirt": ("skirt",), "body": ("body",),
}
COLORS = {
    name: (name,) for name in ("black", "white", "blue", "red", "pink", "purple", "turquoise",
                               "green", "brown", "beige", "orange", "yellow")
} | {"grey": ("grey", "gray")}
CLOTHES = {
    "garment": Attribute("kind", ("garment", "piece of clothing"), everywhere),
    **{kind: Attribute("kind", phrases, one_of("type", kind)) for kind, phrases in KINDS.items()},
    **{f"{name} garment": Attribute("color", phrases, one_of("color", name))
       for name, phrases in COLORS.items()},
    "patterned": Attribute("pattern", ("patterned", "printed"), one_of("patterned", True)),
    "unpatterned": Attribute("pattern", ("plain",), one_of("patterned", False)),
    "kids": Attribute("who", ("child's", "children's"), one_of("kids", True)),
    "adults": Attribute("who", ("adult's",), one_of("kids", False)),
}
"""Of clothes: kind, colour, pattern and whose, as their contributors wrote them."""

TITLES = {"kind": "things", "color": "colours", "shade": "shades", "pattern": "patterns",
          "who": "whose", "with": "details", "on": "details", "frame": "small words"}
ORDER = ("who", "shade", "pattern", "color", "kind")
SAID = 0.5  # how likely a caption names an attribute that its picture has
KINDLESS = 0.08  # how likely it leaves the kind out
FURRED = 0.3  # how likely a cat's caption says its coat last: "with ginger fur"
FRAMES = ("a {}", "a {}", "the {}", "{}", "a photo of a {}", "a picture of a {}")
LINKS = {"fur": ("with",), "with": ("with",), "on": ("on", "against", "in front of")}


def compose(said: Sequence[Attribute], rng: torch.Generator) -> str:
    """A caption that says these attributes; without a kind it is their adjectives alone."""
    def drawn(options: Sequence[str]) -> str:
        return options[int(torch.randint(len(options), (), generator=rng))]

    words = {one.place: drawn(one.phrases) for one in said}
    of_a_cat = words.get("kind") in CATS["cat"].phrases
    if of_a_cat and float(torch.rand((), generator=rng)) < FURRED:
        coat = [words.pop(place) for place in ("shade", "pattern", "color") if place in words]
        words |= {"fur": f"{' '.join(coat)} fur"} if coat else {}
    noun = " ".join(words[place] for place in ORDER if place in words and place not in LINKS)
    ends = [f"{drawn(links)} {words[place]}" for place, links in LINKS.items() if place in words]
    sentence = drawn(FRAMES).format(noun) if "kind" in words else noun
    return re.sub(r"\ba (?=[aeiou])", "an ", " ".join([sentence, *ends]))


def choose(
    attributes: Mapping[str, Attribute], has: Float[Tensor, " attributes"], rng: torch.Generator
) -> list[str]:
    """Some of the attributes that a picture has: one of a place at most, and seldom no kind."""
    true = [name for name, value in zip(attributes, has.tolist(), strict=True) if value == 1]
    order = torch.randperm(len(true), generator=rng).tolist()
    chosen: dict[str, str] = {}
    for index, luck in zip(order, torch.rand(len(order), generator=rng).tolist(), strict=True):
        place = attributes[true[index]].place
        if place not in chosen and (place == "kind" or luck < SAID):
            chosen[place] = true[index]
    if KINDLESS > float(torch.rand((), generator=rng)) and chosen.keys() & {"color", "pattern"}:
        del chosen["kind"]
    return list(chosen.values())


def all_words(*sets: Mapping[str, Attribute]) -> dict[str, list[str]]:
    """Every word that a caption may hold, each once, by what it is about."""
    found: dict[str, list[str]] = {}
    known: set[str] = set()
    texts = [(attribute.place, phrase) for one in sets for attribute in one.values()
             for phrase in attribute.phrases]
    links = itertools.chain(*LINKS.values())
    texts += [("frame", text.replace("{}", "")) for text in (*FRAMES, "an fur", *links)]
    for place, text in sorted(texts, key=lambda pair: pair[0] not in ORDER):
        for word in split_words(text):
            if word not in known:
                known.add(word)
                found.setdefault(TITLES[place], []).append(word)
    return found
