"""StyleGAN2 as a generator of the course: z -> w -> w_plus -> picture.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020.
"""

import copy
import itertools
import warnings
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Table
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import (
    require_count,
    require_number,
    require_option,
    require_rng,
    require_same_shape,
)
from course_lib.generators.adversarial import AdversarialGenerator
from course_lib.generators.loading import find_prefix, load_frozen
from course_lib.generators.spaces import Space
from course_lib.generators.stylegan2_files import (
    ALTERNATIVE,
    OFFICIAL,
    complete_weights,
    read_generator,
    read_judge,
)
from course_lib.generators.stylegan2_networks import Mapping, Noise, StyleGAN2Config, Synthesis
from course_lib.shapes import Image, Latent
from course_lib.thrift import unfilled
from course_lib.weights import StoredWeights

WPlus = Float[Tensor, "batch num_ws w_dim"]


class StyleGAN2(AdversarialGenerator):
    """G(z) = synthesis(mapping(z)).

    `mapping(z, c)` gives w, `synthesis(w_plus, noise=...)` pictures in about [-1, 1]; the
    methods below wrap both in the course's protocol. Each layer reads its row of w_plus as a
    style, one scale a channel; all of them together are a code in the inner space "s"
    (Wu et al., "StyleSpace Analysis", CVPR 2021). Noise maps are "random", "const" (the
    stored ones), "none", or one tensor (batch or 1, r, r) a layer.
    """

    spaces = ("z", "w", "w_plus")
    inner_spaces = ("s",)
    default_space = "w"

    def __init__(self, config: StyleGAN2Config, name: str = "stylegan2"):
        super().__init__()
        self.config, self.name = config, name
        self.resolution, self.z_dim, self.num_ws = config.resolution, config.z_dim, config.num_ws
        self.mapping = Mapping(config.z_dim, config.c_dim, config.w_dim, config.mapping_layers,
                               lr_multiplier=config.lr_multiplier,
                               class_means=config.class_means)
        self.synthesis = Synthesis(config)
        self.layers = tuple(self.synthesis.layers)

    @property
    def w_avg(self) -> Float[Tensor, " w_dim"]:
        """The mean w, which truncation pulls towards; of its class, where each has one."""
        if self.config.class_means and self.label is not None:
            return self.mapping.class_means[self.label]
        return self.mapping.w_avg

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """Sizes of the noise maps; none if no layer gives them any strength."""
        layers = self.synthesis.layers.values()
        if not any(layer.noise_strength for layer in layers):
            return ()
        return tuple(tuple(layer.noise_const.shape) for layer in layers)

    def decode(self, latent: Latent, *, space: str = "z", noise: Noise | None = None) -> Image:
        """The pictures of codes, (batch, 3, resolution, resolution), about [0, 1], unclamped."""
        return (self._synthesize(latent, space, noise=self._noise(noise)) + 1) / 2

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer ("b8.conv0", say) holds: (batch, channels, height, width)."""
        require_option(layer, self.layers, "layer")
        return self._synthesize(latent, space, noise="const", until=layer)

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """The pictures of codes and the layers' features, in one pass."""
        for layer in layers:
            require_option(layer, self.layers, "layer")
        seen: dict[str, Tensor] = {}
        image = (self._synthesize(latent, space, noise="const", seen=seen) + 1) / 2
        return image, {layer: seen[layer] for layer in layers}

    def reading_weights(
        self, layers: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "rows dim"], str]:
        """The weights by which the convolutions named (all if None) get their styles from w."""
        chosen = self.layers if layers is None else tuple(layers)
        for layer in chosen:
            require_option(layer, self.layers, "layer")
        weights = [self.synthesis.layers[layer].affine.weight for layer in chosen]
        return torch.cat(weights), "w"

    def convert(self, latent: Latent, source: str, to: str) -> Latent:
        """z -> w by the mapping network, w -> w_plus by repeating it for every layer; -> s by them.
        """
        latent = super().convert(latent, source, to)
        self.require_latent(latent, source)
        if source == "z" and to != "z":
            latent = self.mapping(latent, self._label(len(latent)))
        if to in ("w_plus", "s") and source in ("z", "w"):
            latent = latent[:, None].expand(-1, self.num_ws, -1)
        if to == "s" and source != "s":
            latent = torch.cat(self.synthesis.styles(latent), dim=1)
        return latent

    def style_slices(self) -> dict[str, slice]:
        """Where in s each layer's style stands, one number a channel that comes in."""
        ends = list(itertools.accumulate(self.synthesis.style_sizes.values(), initial=0))
        return dict(zip(self.synthesis.style_sizes, map(slice, ends, ends[1:]), strict=False))

    def style_inputs(self, latent: Latent, *, space: str = "z") -> dict[str, Tensor]:
        """By layer ("b8.torgb", too) what its style scales: the features of the one before."""
        _, seen = self.decode_with_features(latent, self.layers, space=space)
        found, x = {}, self.synthesis.b4.const.expand(len(latent), -1, -1, -1)
        for name in self.synthesis.style_sizes:
            found[name] = x
            x = seen.get(name, x)
        return found

    def _synthesize(self, latent: Latent, space: str, **options: object) -> Tensor:
        """From codes of any space, as `synthesis` does from w_plus."""
        if space != "s":
            return self.synthesis(self.convert(latent, space, "w_plus"), **options)
        self.require_latent(latent, space)
        sizes = list(self.synthesis.style_sizes.values())
        return self.synthesis.draw(latent.split(sizes, dim=1), **options)

    def truncate(
        self, latent: Latent, truncation_psi: float, *, rows: int | None = None
    ) -> Latent:
        """w_avg + ψ (w - w_avg), of w or w_plus; only of the first `rows` of w_plus if given."""
        require_number(truncation_psi, "truncation_psi")
        pulled = self.w_avg + truncation_psi * (latent - self.w_avg)
        if rows is None:
            return pulled
        require_count(rows, "rows", least=0, most=self.num_ws)
        return torch.cat([pulled[:, :rows], latent[:, rows:]], dim=1)

    def mix_styles(self, coarse: WPlus, fine: WPlus, crossover: int) -> WPlus:
        """Rows up to `crossover` of one w_plus, the rest of another: style mixing.

        Coarse rows decide pose and shape, fine ones colour and texture.
        """
        require_same_shape(coarse, fine, ("coarse", "fine"))
        require_count(crossover, "crossover", least=0, most=self.num_ws)
        return torch.cat([coarse[:, :crossover], fine[:, crossover:]], dim=1)

    def sample_latent(
        self, n: int, *, space: str = "z", rng: torch.Generator, truncation_psi: float = 1.0
    ) -> Latent:
        """As every generator's; ψ acts in w and w_plus, since the mapping ignores z's length.

        A model of classes, for none of which it was asked, draws w and w_plus of all of them.
        """
        if space == "z" and truncation_psi != 1:
            raise ValueError(
                f"truncation_psi is {truncation_psi} in z, but the mapping network normalises z, "
                f'so that nothing would change: sample with space="w".'
            )
        if self.config.c_dim and self.label is None and space != "z":
            return self._sample_classes(n, space, rng, truncation_psi)
        return super().sample_latent(n, space=space, rng=rng, truncation_psi=truncation_psi)

    def _sample_classes(
        self, n: int, space: str, rng: torch.Generator, truncation_psi: float
    ) -> Latent:
        """`n` codes, each of a class drawn at random."""
        require_count(n, "n")
        require_rng(rng)
        drawn = torch.randint(self.config.c_dim, (n,), generator=rng, device=rng.device).tolist()
        found = torch.empty(n, *self.latent_shape(space), device=self.device)
        for label in sorted(set(drawn)):
            places = [place for place, one in enumerate(drawn) if one == label]
            found[places] = self.with_label(label).sample_latent(
                len(places), space=space, rng=rng, truncation_psi=truncation_psi)
        return found

    def space(self, name: str) -> Space:
        """z as it is known; w around w_avg, its deviation drawn; every row of w_plus as w."""
        if name == "w_plus":
            return self.space("w").repeated(name, self.num_ws)
        if name == "s":  # which the layers' own weights make
            return Space(name, *self._measured.get(
                (name, self.label), self.parameters(), lambda: self._draw(name)))
        found = super().space(name)
        return replace(found, mean=self.w_avg) if name == "w" else found

    def latent_mean(self, space: str) -> Float[Tensor, "..."]:
        """0 in z, w_avg in w and in every row of w_plus; nothing is drawn for it."""
        self.require_space(space)
        means = {"w": self.w_avg, "w_plus": self.w_avg.expand(self.num_ws, -1)}
        return means[space] if space in means else super().latent_mean(space)

    def code_weights(self) -> Iterable[Tensor]:
        """Those of the mapping network."""
        return self.mapping.parameters()

    def latent_shape(self, space: str) -> tuple[int, ...]:
        """The shape of one code: (z_dim,), (w_dim,), (num_ws, w_dim), or of all styles."""
        if space == "s":
            return (sum(self.synthesis.style_sizes.values()),)
        w_dim = self.config.w_dim
        return {"z": (self.z_dim,), "w": (w_dim,), "w_plus": (self.num_ws, w_dim)}[space]

    def with_label(self, label: int) -> "StyleGAN2":
        """The same weights, for one class."""
        if not self.config.c_dim:
            return super().with_label(label)
        require_count(label, "label", least=0, most=self.config.c_dim - 1)
        chosen = copy.copy(self)  # on the same weights
        chosen.label = label
        return chosen

    def condition(self, batch: int) -> tuple[Tensor, ...]:
        """The class, of conditional models."""
        return (self._label(batch),) if self.config.c_dim else ()

    def _label(self, batch: int) -> Tensor | None:
        if not self.config.c_dim:
            return None
        if self.label is None:
            raise ValueError(
                f"{self.name} knows {self.config.c_dim} classes, and which one to draw is open: "
                f"choose one with with_label(0)."
            )
        index = torch.full((batch,), self.label, device=self.device)
        return F.one_hot(index, self.config.c_dim).float()

    def _noise(self, noise: Noise | None) -> Noise:
        if noise is None or isinstance(noise, str):
            require_option(noise, ("random", "const", "none", None), "noise")
            return noise or "const"
        sizes = [tuple(layer.noise_const.shape) for layer in self.synthesis.layers.values()]
        if [tuple(one.shape[-2:]) for one in noise] != sizes:
            raise ValueError(
                f"noise holds maps of sizes {[tuple(one.shape[-2:]) for one in noise]}, but the "
                f"layers of {self.name} need {sizes}: pass one map a layer, (batch or 1, r, r)."
            )
        return noise

    @classmethod
    def recognizes(cls, tensors: Table[str, Tensor]) -> bool:
        """Whether these are a StyleGAN2's weights, in one of the layouts that are read."""
        return any(find_prefix(tensors, first) is not None for first in (OFFICIAL, ALTERNATIVE))

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "StyleGAN2":
        """Build it from stored weights: official layout (with or without D), or the alternative.

        Warns where the discriminator is left out, or the mean code had to be estimated.

        Raises:
            ValueError: weights are missing, too many, or of the wrong shape, or the file was made
                with a setting that is not known here.
        """
        file = read_generator(weights, name)
        with unfilled():
            generator = cls(file.config, name)
        load_frozen(generator, complete_weights(generator, file.tensors), name)
        if "mapping.w_avg" not in file.tensors:
            generator._estimate_w_avg()
        judge = read_judge(weights, file.config, name)
        if judge is not None:
            generator.attach_discriminator(judge)
        return generator

    @torch.no_grad()
    def _estimate_w_avg(self) -> None:
        rng, count, classes = torch.Generator().manual_seed(123), 10_000, self.config.c_dim
        z = torch.randn(count, self.z_dim, generator=rng)
        c = torch.randint(max(1, classes), (count,), generator=rng)
        c = F.one_hot(c, classes).float() if classes else None
        self.mapping.w_avg.copy_(self.mapping(z, c).mean(dim=0))
        warnings.warn(
            f"{self.name} stores no mean code, so it was estimated from {count:,} samples: "
            f"truncated codes may differ slightly from its publisher's.", stacklevel=5,
        )
