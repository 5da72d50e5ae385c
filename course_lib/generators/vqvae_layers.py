"""Layers of a VQ-VAE-2: the vocabulary, and the convolutions around it.

Sources and deviations: see `vqvae`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

Features = Float[Tensor, "batch _ _ _"]  # (batch, channels, height, width)
Words = Int[Tensor, "batch _ _"]  # (batch, height, width)


class Codebook(nn.Module):
    """A vocabulary e_1 … e_K, each word the mean of the vectors that lately chose it.

    Attributes:
        vectors: the words; counts, sums: moving averages of how many vectors a batch gives to
            each word, and of their sum.
    """

    decay, epsilon = 0.99, 1e-5
    fewest = 1.0  # vectors a batch, of a word that is kept

    def __init__(self, words: int, dim: int):
        super().__init__()
        self.register_buffer("vectors", torch.randn(words, dim))
        self.register_buffer("counts", torch.ones(words))
        self.register_buffer("sums", self.vectors.clone())

    def forward(self, x: Features) -> tuple[Features, Words]:
        """The nearest words in place of vectors, and which these are (eq. 1 and 2)."""
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 tells few words apart
            words = self.nearest(x)
            found = self.vectors[words].movedim(-1, 1)
            if self.training:
                self.follow(x.detach().movedim(1, -1).flatten(0, 2), words.flatten())
        return x + (found - x).detach(), words

    def nearest(self, x: Features) -> Words:
        """argmin ‖x − e_k‖ at each place."""
        flat = x.detach().movedim(1, -1).flatten(0, 2)
        squares = self.vectors.square().sum(dim=1) - 2 * flat @ self.vectors.T
        return squares.argmin(dim=1).unflatten(0, (len(x), *x.shape[2:]))

    @torch.no_grad()
    def follow(self, x: Float[Tensor, "n dim"], words: Int[Tensor, " n"]) -> None:
        """Move each word towards the mean of the vectors that chose it; few of them: begin anew."""
        chosen = F.one_hot(words, len(self.vectors)).to(x)
        self.counts.lerp_(chosen.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ x, 1 - self.decay)
        total, words_known = self.counts.sum(), len(self.counts)
        smooth = (self.counts + self.epsilon) / (total + words_known * self.epsilon) * total
        self.vectors.copy_(self.sums / smooth[:, None])
        idle = self.counts < self.fewest
        fresh = x[torch.randint(len(x), (words_known,), device="cpu").to(x.device)]
        for kept, begun in ((self.vectors, fresh), (self.sums, fresh)):
            kept[idle] = begun[idle]
        self.counts[idle] = 1


class Residual(nn.Module):
    """x + what two convolutions make of it, so many times; then ReLU."""

    def __init__(self, width: int, inner: int, blocks: int):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Conv2d(width, inner, 3, padding=1),
                          nn.ReLU(), nn.Conv2d(inner, width, 1))
            for _ in range(blocks))

    def forward(self, x: Features) -> Features:
        """Of the same shape."""
        for block in self.blocks:
            x = x + block(x)
        return F.relu(x)


def halve(inputs: int, outputs: int) -> nn.Module:
    """Half the size."""
    return nn.Conv2d(inputs, outputs, 4, 2, 1)


def double(inputs: int, outputs: int) -> nn.Module:
    """Twice the size."""
    return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
