"""The words that a small CLIP has learnt, and sentences as numbers.

Its captions were made from labels, so it knows some hundred words and no others. A word that it
never learnt would be a random vector to it, and the edit noise: such a word is refused.
"""

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
PADDING = 0  # the number that fills short sentences up
LONGEST = 24  # words of a sentence


class Vocabulary:
    """Numbers for words: 1 for the first, 0 for none.

    Args:
        families: words in lower case, each once, by what they are about.
    """

    def __init__(self, families: Mapping[str, Sequence[str]]) -> None:
        self.families = families
        self.words = tuple(itertools.chain(*families.values()))
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}

    def __len__(self) -> int:
        """How many numbers there are, with that of the padding."""
        return len(self.words) + 1

    def __contains__(self, word: str) -> bool:
        """Whether it was learnt."""
        return word in self._numbers

    def encode(self, sentences: Sequence[str]) -> Int[Tensor, "sentences longest"]:
        """Each sentence's words as numbers, filled up with `PADDING`.

        Raises:
            ValueError: a sentence is empty, too long, or has a word that was never learnt.
        """
        rows = torch.full((len(sentences), LONGEST), PADDING)
        for row, sentence in zip(rows, sentences, strict=True):
            words = split_words(sentence)
            self._require_known(words, sentence)
            row[: len(words)] = torch.tensor([self._numbers[word] for word in words])
        return rows

    def _require_known(self, words: Sequence[str], sentence: str) -> None:
        if not words:
            raise ValueError(
                f"the prompt {sentence!r} has no word in it, so it says nothing about a picture: "
                f'write what should be seen, "a ginger cat", say.'
            )
        if len(words) > LONGEST:
            raise ValueError(
                f"the prompt has {len(words)} words, but this model reads {LONGEST} at most: say "
                f"it more shortly, or use several prompts."
            )
        strange = list(dict.fromkeys(word for word in words if word not in self))
        if strange:
            are = "is a word" if len(strange) == 1 else "are words"
            raise ValueError(
                f"{', '.join(map(repr, strange))} {are} that this model never learnt, so it can't "
                f"tell what such a picture looks like{self._hint(strange)}: use the words that it "
                f"knows ({self.listing()}), or load a CLIP that has read the web (see load_clip)."
            )

    def _hint(self, strange: Sequence[str]) -> str:
        close = [match for word in strange
                 for match in difflib.get_close_matches(word, self.words, n=1, cutoff=0.75)]
        return f" (did you mean {', '.join(map(repr, close))}?)" if close else ""

    def listing(self) -> str:
        """The words that it knows, family by family."""
        return "; ".join(f"{family}: {', '.join(words)}"
                         for family, words in self.families.items())


def split_words(sentence: str) -> list[str]:
    """The words of a sentence in lower case, without punctuation and numbers."""
    return [word.replace("’", "'") for word in WORD.findall(sentence.lower())]
