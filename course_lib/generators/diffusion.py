"""Diffusion: a picture drowns in noise, and a network learns the way back, step by step.

    x_t = α(t) x + σ(t) ε,    α = cos(πt/2),  σ = sin(πt/2),  t from 0 (the picture) to 1 (noise)

A code z is the noise that the way back begins with; by DDIM's steps that way is deterministic, so
that every z has one picture, and (nearly) every picture its z.

Sources: Ho et al., "Denoising Diffusion Probabilistic Models" (DDPM), NeurIPS 2020; Song et al.,
"Denoising Diffusion Implicit Models" (DDIM), ICLR 2021, eq. 12; Nichol and Dhariwal, "Improved
Denoising Diffusion Probabilistic Models", ICML 2021 (the cosine); Salimans and Ho, "Progressive
Distillation", ICLR 2022, appendix D (v); Ho and Salimans, "Classifier-Free Diffusion Guidance",
2022, eq. 6; Pan et al., "Effective Real Image Editing with Accelerated Iterative Diffusion
Inversion", ICCV 2023 (fixed-point rounds).
"""

import copy
import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from course_lib.checks import require_count, require_number, require_option, require_rng
from course_lib.denoising import (
    Noisy,
    Prediction,
    alpha,
    ddim_step,
    ddpm_step,
    sigma,
    way_back,
)
from course_lib.generators.base import Generator
from course_lib.generators.diffusion_networks import (
    DiffusionConfig,
    FineBlocks,
    Labels,
    PatchAxes,
    Times,
    UNet,
)
from course_lib.generators.loading import find_prefix, load_configured
from course_lib.results import allowed_steps
from course_lib.shapes import Image, Latent
from course_lib.weights import StoredWeights

FIRST = "patches.axes"  # a name that no other family has
MIDDLES = {"mid@0.8": 0.8, "mid@0.5": 0.5, "mid@0.2": 0.2}  # layers by the times they belong to


@dataclass(frozen=True)
class Step:
    """One step of the way back.

    Attributes:
        t: where it begins; end: the picture, still noisy, that it leads to.
        found: what was guessed at t.
        features: of the layers that belong to it, by name.
    """

    t: float
    found: Prediction
    end: Noisy
    features: dict[str, Tensor]


class Diffusion(Generator):
    """G(z) = the end of DDIM's way back from the noise z.

    Attributes:
        steps: of that way; guidance: how far predictions lean towards the label, 1 for as they
            are. `with_steps`, `with_guidance` and `with_label` give the same weights otherwise set.
        rounds: of the fixed point that `invert` looks for at each step.
    """

    def __init__(self, config: DiffusionConfig, name: str = "diffusion"):
        super().__init__()
        self._set_up(config, name)
        self.patches, self.network = PatchAxes(config.patch), UNet(config)
        self.fine = FineBlocks(config) if config.fine else None

    def _set_up(self, config: DiffusionConfig, name: str) -> None:
        self.config, self.name, self.resolution = config, name, config.resolution
        self.z_dim = 3 * config.resolution**2
        self.layers = tuple(MIDDLES)
        self.steps, self.guidance, self.rounds = 20, 1.0, 3
        self.color: int | None = None

    def times(self) -> Float[Tensor, " times"]:
        """The times of the way back, from `latest` to 0."""
        return way_back(allowed_steps(self.steps), self.latest)

    def estimate(
        self, x_t: Noisy, t: Times, labels: Tensor | None = None, seen: list[Tensor] | None = None
    ) -> Noisy:
        """The clean picture of a noisy one: on each axis the linear guess, and what F adds."""
        t = t[:, None, None, None]
        a, b, variance = alpha(t), sigma(t), self.patches.variance[:, None, None]
        y, whole = self.patches(x_t, a), (a * a * variance + b * b).sqrt()
        spread = b * variance.sqrt() / whole
        added = self._added(y / whole, t.flatten(), labels, seen).to(y.dtype)
        return self.patches.back(a * variance / whole.square() * y + spread * added)

    def _added(
        self, shown: Tensor, t: Times, labels: Tensor | None, seen: list[Tensor] | None
    ) -> Tensor:
        """F: the U-Net's answer to patches on their axes, looked over at the picture's own size."""
        told = self.network.tell(t, labels)
        added = self.network(shown, told, seen)
        if self.fine is None:
            return added
        added, hints = added.tensor_split([self.config.axes], dim=1)
        pictures = (self.patches.back(one, 0) for one in (shown, added))
        return added + self.patches(self.fine(*pictures, hints, told), 0)

    def predict(
        self, x_t: Noisy, t: float, seen: list[Tensor] | None = None, labels: Labels | None = None
    ) -> Prediction:
        """All three views at one time, with the guidance that is set.

        Args:
            labels: of each picture; the one that is set for all if None.
        """
        require_number(t, "t", above=0, most=1)
        times = x_t.new_full((len(x_t),), t)
        labels = self._labels(len(x_t)) if labels is None else labels
        x0 = self.estimate(x_t, times, labels, seen)
        if self.guidance != 1:
            if labels is None:
                raise ValueError("guidance leans towards a word, and none is said: choose one "
                                 "by with_label, or leave with_guidance out.")
            free = self.estimate(x_t, times)
            x0 = free + self.guidance * (x0 - free)
        return Prediction.of_x0(x0, x_t, times[:, None, None, None])

    def walk(
        self, x: Noisy, times: Float[Tensor, " times"], layers: Sequence[str] = ()
    ) -> Iterator[Step]:
        """DDIM's steps along these times, with the features of layers at the steps they belong to.
        """
        due = sorted(layers, key=MIDDLES.get, reverse=True)
        for t, s in itertools.pairwise(times.tolist()):
            here = [layer for layer in due if s < MIDDLES[layer] <= t]
            middle: list[Tensor] = []
            found = self.predict(x, t, middle)
            x = ddim_step(found, torch.tensor(s))
            yield Step(t, found, x, dict.fromkeys(here, middle[0]))

    def decode(self, latent: Latent, *, space: str = "z", noise: object = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution), about [0, 1]."""
        self.refuse_noise(noise)
        self.require_latent(latent, space)
        return self.decode_said(latent, None)

    def decode_said(self, latent: Latent, labels: Labels | None) -> Image:
        """The pictures of codes that are each told something else; what is set if None.

        Args:
            labels: (batch, conditions), numbers of words from 1 on, 0 for nothing said.
        Raises:
            ValueError: there are more or fewer rows or columns, or a number has no word.
        """
        self.config.require_said(labels, len(latent), self.name)
        x, times = self._as_noise(latent), self.times().tolist()
        for t, s in itertools.pairwise(times):
            if torch.is_grad_enabled() and x.requires_grad:  # memory of one step, not of all
                x = checkpoint(self._step, x, t, s, labels, use_reentrant=False)
            else:
                x = self._step(x, t, s, labels)
        return (x + 1) / 2

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What the U-Net's middle holds at a time ("mid@0.5"): (batch, channels, h, w)."""
        return self.decode_with_features(latent, (layer,), space=space)[1][layer]

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        for layer in layers:
            require_option(layer, self.layers, "layer")
        self.require_latent(latent, space)
        seen: dict[str, Tensor] = {}
        for step in self.walk(self._as_noise(latent), self.times(), layers):
            seen |= step.features
        return (step.end + 1) / 2, {layer: seen[layer] for layer in layers}

    def invert(self, images: Image, *, space: str = "z") -> Latent:
        """DDIM's steps backwards: the noise whose way back ends at each picture.

        At each step x_s is sought whose own step leads to the x_t that is known: from its
        prediction at s follows a better x_s, `rounds` times over.

        Raises:
            ValueError: the pictures are not in [0, 1], or of another size.
        """
        self.require_space(space)
        self.require_pictures(images)
        require_count(self.rounds, "rounds", least=0)
        x, times = images * 2 - 1, self.times().flip(0).tolist()
        for t, s in itertools.pairwise(times):
            x = self._step_out(x, t, s)
        return x.flatten(1)

    def sample_ddpm(
        self, n: int, *, rng: torch.Generator, steps: int | None = None
    ) -> Image:
        """`n` pictures by DDPM's random steps; about [0, 1]."""
        require_count(n, "n")
        require_rng(rng)
        x = self._as_noise(self.sample_latent(n, rng=rng))
        times = self.with_steps(self.steps if steps is None else steps).times()
        for t, s in itertools.pairwise(times):
            fresh = torch.randn(x.shape, generator=rng, device=rng.device).to(x)
            x = ddpm_step(x, self.predict(x, float(t)), t.to(x), s.to(x), fresh)
        return (x + 1) / 2

    def with_label(self, label: int | str | None, *, color: int | str | None = None) -> "Diffusion":
        """The same weights, for a kind, a colour or both, by name or number; None for any."""
        chosen = copy.copy(self)
        chosen.label = self._number(label, self.config.kinds, "label")
        chosen.color = self._number(color, self.config.colors, "color")
        return chosen

    def with_guidance(self, guidance: float) -> "Diffusion":
        """The same weights; x0 is taken `guidance` times as far from "any" as the label asks."""
        require_number(guidance, "guidance", least=0)
        chosen = copy.copy(self)
        chosen.guidance = guidance
        return chosen

    def with_steps(self, steps: int) -> "Diffusion":
        """The same weights, with so many steps of the way back."""
        require_count(steps, "steps")
        chosen = copy.copy(self)
        chosen.steps = steps
        return chosen

    def _step(self, x: Noisy, t: float, s: float, labels: Labels | None) -> Noisy:
        return ddim_step(self.predict(x, t, labels=labels), torch.tensor(s))

    def _step_out(self, x: Noisy, t: float, s: float) -> Noisy:
        """x_s of x_t, s > t."""
        early, late = torch.tensor(t), torch.tensor(s)
        guess = alpha(late) / alpha(early) * x  # as if there were no noise
        if t > 0:
            guess = ddim_step(self.predict(x, t), late)
        for _ in range(self.rounds):
            noise = self.predict(guess, s).noise
            guess = ddim_step(Prediction.of_noise(noise, x, early), late)
        return guess

    def _as_noise(self, latent: Latent) -> Noisy:
        return latent.unflatten(1, (3, self.resolution, self.resolution))

    def _labels(self, batch: int) -> Tensor | None:
        """The words' numbers, from 1 on; None if nothing is said."""
        if self.label is None and self.color is None:
            return None
        said = [one for one, words in ((self.label, self.config.kinds),
                                       (self.color, self.config.colors)) if words]
        numbers = torch.tensor([0 if one is None else one + 1 for one in said], device=self.device)
        return numbers.expand(batch, -1)

    def _number(self, word: int | str | None, words: Sequence[str], name: str) -> int | None:
        if word is None:
            return None
        if not words:
            raise ValueError(
                f"{self.name} was trained without {name}s, so it has no {name} {word}: leave it "
                f"out."
            )
        if isinstance(word, str):
            require_option(word, words, name)
            return words.index(word)
        require_count(word, name, least=0, most=len(words) - 1)
        return word

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a diffusion model's weights."""
        return find_prefix(tensors, FIRST) is not None

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "Diffusion":
        """Build it from stored weights, and the config stored with them.

        Raises:
            ValueError: weights or the config are missing, or of the wrong shape.
        """
        return load_configured(cls, DiffusionConfig, FIRST, weights, name)
