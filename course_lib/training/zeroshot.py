"""What a small CLIP is worth: questions put as sentences, beside a probe of the same features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.text.towers import Towers
from course_lib.text.words import Vocabulary
from course_lib.training.captions import CATS, CLOTHES, COLORS, KINDS, compose

QUESTIONS: dict[str, dict[str, str]] = {
    "kind of garment": {kind: f"a {phrases[0]}" for kind, phrases in KINDS.items()},
    "colour of garment": {f"{color} garment": f"a {color} garment" for color in COLORS},
    "patterned": {"patterned": "a patterned garment", "unpatterned": "a plain garment"},
    "whose": {"kids": "a child's garment", "adults": "an adult's garment"},
    "coat": {color: f"a {color} cat"
             for color in ("black", "white", "grey", "brown", "ginger", "cream")},
    "stripes": {"striped": "a striped cat", "plain": "a plain cat"},
    "muzzle": {"white muzzle": "a cat with a white muzzle",
               "dark muzzle": "a cat with a dark muzzle"},
    "background": {"bright background": "a cat on a bright background",
                   "dark background": "a cat on a dark background"},
    "cat or garment": {"cat": "a cat", "garment": "a garment"},
}
"""Each a choice of sentences, by the attribute that each of them names."""


@torch.no_grad()
def measure_clip(
    towers: Towers, vocabulary: Vocabulary, held: Tensor, labels: Tensor, seen: Tensor,
    seen_labels: Tensor,
) -> dict[str, dict]:
    """Accuracy of each question's sentences, and precision of the five nearest pictures.

    Args:
        held, labels: features (pictures, n) and labels (pictures, attributes) it never saw.
        seen, seen_labels: those it learnt from, for the probe.
    """
    towers.eval()
    images, names = towers.embed_features(held), list(CATS | CLOTHES)
    found = {}
    for question, sentences in QUESTIONS.items():
        columns = [names.index(name) for name in sentences]
        asked, truth = answered(labels, columns)
        known, known_truth = answered(seen_labels, columns)
        if not (asked.any() and known.any()):
            continue  # a small set leaves some questions open
        texts = towers.embed_sentences(vocabulary.encode(list(sentences.values())))
        guess = (images[asked] @ texts.T).argmax(dim=1)
        probed = probe(seen[known], known_truth, held[asked], len(columns))
        found[question] = {
            "zero-shot": _share(guess == truth),
            "commonest answer": _share(truth == known_truth.bincount().argmax()),
            "probe": _share(probed == truth), "photos": len(truth)}
    return {"accuracy": found, "retrieval at 5": retrieval(towers, vocabulary, images, labels)}


def answered(labels: Tensor, columns: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Which pictures have exactly one of some attributes, (pictures,), and of those which one."""
    chosen = labels[:, columns] == 1
    asked = chosen.sum(dim=1) == 1
    return asked, chosen[asked].int().argmax(dim=1)


@torch.enable_grad()
def probe(seen: Tensor, truth: Tensor, held: Tensor, classes: int) -> Tensor:
    """What logistic regression on the same features answers, (pictures,)."""
    mean, deviation = seen.mean(dim=0), seen.std(dim=0).clamp(min=1e-3)
    rng = torch.Generator().manual_seed(0)
    x, weights = (seen - mean) / deviation, nn.Linear(seen.shape[1], classes)
    nn.init.zeros_(weights.weight)
    optimizer = torch.optim.AdamW(weights.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(10):
        for batch in torch.randperm(len(x), generator=rng).split(128):
            loss = F.cross_entropy(weights(x[batch]), truth[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return weights((held - mean) / deviation).argmax(dim=1)


def retrieval(towers: Towers, vocabulary: Vocabulary, images: Tensor, labels: Tensor) -> float:
    """Of the five pictures nearest to a caption of three attributes, how many it is true of."""
    rng, attributes = torch.Generator().manual_seed(0), CATS | CLOTHES
    names, right = list(attributes), []
    for has in labels[:200]:
        true = [name for name, value in zip(names, has.tolist(), strict=True)
                if value == 1 and name not in ("garment", "adults", "unpatterned")]
        places = {attributes[name].place: name for name in true}
        said = [places[place] for place in ("kind", "color", "with", "on") if place in places][:3]
        caption = compose([attributes[name] for name in said], rng)
        text = towers.embed_sentences(vocabulary.encode([caption]))[0]
        nearest = (images @ text).topk(5).indices
        columns = [names.index(name) for name in said]
        right.append((labels[nearest][:, columns] == 1).all(dim=1).float().mean())
    return round(float(torch.stack(right).mean()), 3)


def _share(right: Tensor) -> float:
    return round(float(right.float().mean()), 3)
