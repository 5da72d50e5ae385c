"""The prior of a VQ-VAE-2: how likely each word is after those before it, by a causal transformer.

Every word is drawn from a number z ~ N(0, 1) of its own: with u = Φ(z), it is the one at which the
running sum of the probabilities passes u. So z is a code like that of any other family, and the
words of a picture lead back to it.

Sources: Razavi et al., "Generating Diverse High-Fidelity Images with VQ-VAE-2", NeurIPS 2019,
section 3.2; Vaswani et al., "Attention Is All You Need", NeurIPS 2017. Deviations: one transformer
reads both maps, the top one first, where the paper has a PixelCNN for each; words are drawn by
inversion.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

LEAST = 1e-3  # share of the probability that all words have alike, so that none is impossible

Words = Int[Tensor, "batch places"]
Numbers = Float[Tensor, "batch places"]
Probabilities = Float[Tensor, "batch _ words"]


@dataclass(frozen=True)
class PriorConfig:
    """Sizes: of the maps (height and width of each), of the vocabularies and of the network."""

    top: int = 8
    bottom: int = 16
    words: int = 128
    width: int = 128
    depth: int = 5
    heads: int = 4

    @property
    def places(self) -> int:
        """How many words a picture has."""
        return self.top**2 + self.bottom**2


class Block(nn.Module):
    """Attention to the places before, then two layers for each place alone."""

    def __init__(self, config: PriorConfig, dropout: float):
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, dropout
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attend, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                                   nn.Linear(4 * width, width))

    def forward(self, x: Tensor, past: list[Tensor] | None = None) -> Tensor:
        """(batch, places, width) of all places; with `past`, of the next one alone.

        Args:
            past: keys and values of the places before, which grows by this one's.
        """
        read = self.attend(self.norms[0](x)).unflatten(2, (3 * self.heads, -1)).transpose(1, 2)
        query, key, value = read.chunk(3, dim=1)  # (batch, heads, places, width / heads)
        if past is not None:
            if past:
                key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
            past[:] = key, value
        found = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x = x + self._dropped(self.merge(found.transpose(1, 2).flatten(2)))
        return x + self._dropped(self.think(self.norms[1](x)))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Prior(nn.Module):
    """p(word | the words before it), for every place of both maps, row by row, the top one first.

    A word of the bottom map also sees the top's at its place.
    """

    def __init__(self, config: PriorConfig, *, dropout: float = 0.2):
        super().__init__()
        self.config, places = config, config.places
        self.before = nn.Embedding(2 * config.words + 1, config.width)  # the last: none before
        self.above = nn.Embedding(config.words, config.width)
        self.place = nn.Parameter(0.02 * torch.randn(places, config.width))
        self.blocks = nn.ModuleList(Block(config, dropout) for _ in range(config.depth))
        self.norm, self.head = nn.LayerNorm(config.width), nn.Linear(config.width, config.words)
        for embedding in (self.before, self.above):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, words: Words) -> Probabilities:
        """Logits at every place, each as if only the words before it were known."""
        shifted = F.pad(self._numbered(words)[:, :-1], (1, 0), value=2 * self.config.words)
        x = self.before(shifted) + self.place + self._seen_above(words)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    @torch.no_grad()
    def draw(self, z: Numbers, order: Int[Tensor, "2 words"]) -> Words:
        """The words of numbers z, one place after another.

        Args:
            order: of each level's words, in which probabilities are summed.
        """
        words = torch.zeros(z.shape, dtype=torch.long, device=z.device)
        u, pasts = torch.special.ndtr(z), [[] for _ in self.blocks]
        token = torch.full((len(z), 1), 2 * self.config.words, device=z.device)
        for place in range(self.config.places):
            x = self.before(token) + self.place[place] + self._seen_above(words)[:, place, None]
            for block, past in zip(self.blocks, pasts, strict=True):
                x = block(x, past)
            ranks = order[self._level(place)]
            total = probabilities(self.head(self.norm(x)))[:, 0, ranks].cumsum(dim=1)
            index = (total < u[:, place, None]).sum(dim=1).clamp(max=len(ranks) - 1)
            words[:, place] = ranks[index]
            token = self._numbered(words)[:, place, None]
        return words

    @torch.no_grad()
    def locate(self, words: Words, order: Int[Tensor, "2 words"]) -> Numbers:
        """The numbers from which these words are drawn: z of the middle of each one's share."""
        shares = probabilities(self(words))
        levels = [self._level(place) for place in range(words.shape[1])]
        ranks = order[levels].expand(len(words), -1, -1)
        sorted_ = shares.gather(2, ranks)
        ends = sorted_.cumsum(dim=2)
        chosen = (ranks == words[..., None]).to(shares)
        u = ((ends - sorted_ / 2) * chosen).sum(dim=2)
        return torch.special.ndtri(u)

    def _level(self, place: int) -> int:
        return int(place >= self.config.top**2)

    def _numbered(self, words: Words) -> Words:
        """Words of the bottom map counted on after those of the top one."""
        later = torch.arange(words.shape[1], device=words.device) >= self.config.top**2
        return words + self.config.words * later

    def _seen_above(self, words: Words) -> Tensor:
        """What each place sees of the top map: nothing there, the word above it in the bottom."""
        top, factor = self.config.top, self.config.bottom // self.config.top
        grid = words[:, : top**2].unflatten(1, (top, top))
        grid = grid.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        return F.pad(self.above(grid.flatten(1)), (0, 0, top**2, 0))


def probabilities(logits: Probabilities) -> Probabilities:
    """Of logits; `LEAST` of it is shared out evenly."""
    return (1 - LEAST) * logits.float().softmax(dim=-1) + LEAST / logits.shape[-1]
