"""StyleGAN2 as a generator of the course: z -> w -> w_plus -> picture.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020.
"""

import copy
import re
from collections.abc import Mapping as Table
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import (
    require_count,
    require_number,
    require_option,
    require_same_shape,
)
from course_lib.generators import dcgan
from course_lib.generators.base import Generator, fill, part
from course_lib.generators.stylegan2_networks import (
    Discriminator,
    Mapping,
    Noise,
    StyleGAN2Config,
    Synthesis,
    fir_filter,
)
from course_lib.shapes import Image, Latent
from course_lib.weights import StoredWeights

WPlus = Float[Tensor, "batch num_ws w_dim"]


class StyleGAN2(Generator):
    """G(z) = synthesis(mapping(z)).

    `mapping(z, c)` gives w, `synthesis(w_plus, noise=...)` pictures in about [-1, 1]; the
    methods below wrap both in the course's protocol. Noise maps are "random", "const" (the
    stored ones), "none", or one tensor (batch or 1, r, r) a layer.
    """

    spaces = ("z", "w", "w_plus")

    def __init__(self, config: StyleGAN2Config, name: str = "stylegan2"):
        super().__init__()
        self.config, self.name, self.label = config, name, None
        self.resolution, self.z_dim, self.num_ws = config.resolution, config.z_dim, config.num_ws
        self.mapping = Mapping(config.z_dim, config.c_dim, config.w_dim, config.mapping_layers)
        self.synthesis = Synthesis(config)
        self.layers = tuple(self.synthesis.layers)

    @property
    def w_avg(self) -> Float[Tensor, " w_dim"]:
        """The mean w, which truncation pulls towards."""
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
        w_plus = self.convert(latent, space, "w_plus")
        return (self.synthesis(w_plus, noise=self._noise(noise)) + 1) / 2

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer ("b8.conv0", say) holds: (batch, channels, height, width)."""
        require_option(layer, self.layers, "layer")
        w_plus = self.convert(latent, space, "w_plus")
        return self.synthesis(w_plus, noise="const", until=layer)

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
        """z -> w by the mapping network, w -> w_plus by repeating it for every layer."""
        latent = super().convert(latent, source, to)
        self.require_latent(latent, source)
        if source == "z" and to != "z":
            latent = self.mapping(latent, self._label(len(latent)))
        if to == "w_plus" and source != "w_plus":
            latent = latent[:, None].expand(-1, self.num_ws, -1)
        return latent

    def truncate(
        self, latent: Latent, truncation_psi: float | int, *, rows: int | None = None
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
        self, n: int, *, space: str = "z", rng: torch.Generator, truncation_psi: float | int = 1.0
    ) -> Latent:
        """As every generator's; ψ acts in w and w_plus, since the mapping ignores z's length."""
        if space == "z" and truncation_psi != 1:
            raise ValueError(
                f"truncation_psi is {truncation_psi} in z, but the mapping network normalises z, "
                f'so that nothing would change: sample with space="w".'
            )
        return super().sample_latent(n, space=space, rng=rng, truncation_psi=truncation_psi)

    def latent_mean(self, space: str) -> Float[Tensor, "..."]:
        """0 in z, w_avg in w and in every row of w_plus."""
        if space == "w":
            return self.w_avg
        return self._repeated(self.w_avg) if space == "w_plus" else super().latent_mean(space)

    def latent_std(self, space: str) -> Float[Tensor, "..."]:
        """1 in z; in w, and so in every row of w_plus, from 10,000 codes."""
        if space == "w_plus":
            return self._repeated(super().latent_std("w"))
        return super().latent_std(space)

    def latent_shape(self, space: str) -> tuple[int, ...]:
        """The shape of one code: (z_dim,), (w_dim,) or (num_ws, w_dim)."""
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

    def _repeated(self, code: Tensor) -> Tensor:
        return code.expand(self.num_ws, -1)

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
        return any(name.endswith(("synthesis.b4.const", "g_ema.input.input")) for name in tensors)

    @classmethod
    def from_weights(cls, weights: StoredWeights, name: str) -> "StyleGAN2":
        """Build it from stored weights: official layout (with or without D), or the alternative.

        Raises:
            ValueError: weights are missing, too many, or of the wrong shape.
        """
        tensors = dict(weights.tensors)
        if "g_ema.input.input" in tensors:
            tensors = {f"G_ema.{key}": value for key, value in _official_names(tensors).items()}
        elif "synthesis.b4.const" in tensors:
            tensors = {f"G_ema.{key}": value for key, value in tensors.items()}
        own = part(tensors, "G_ema.")
        config = _read_config(own, weights.settings.get("G_ema", {}), name)
        judging = part(tensors, "D.")
        with torch.device("meta"):
            generator, judge = cls(config, name), _new_judge(judging, config)
        fill(generator, _completed(generator, own), name)
        if judging:
            fill(judge, _completed(judge, judging), f"{name}'s discriminator")
            generator._judge.append(judge)
        return generator


def _read_config(tensors: Table[str, Tensor], settings: Any, name: str) -> StyleGAN2Config:
    """The config that the shapes of the weights tell; the clamp stands in the settings."""
    try:
        resolutions = sorted({int(found[1]) for key in tensors
                              if (found := re.match(r"synthesis\.b(\d+)\.conv1\.weight", key))})
        channels = tuple(len(tensors[f"synthesis.b{r}.conv1.weight"]) for r in resolutions)
        c_dim = tensors["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in tensors else 0
        first = tensors["mapping.fc0.weight"]
        depth = sum(re.fullmatch(r"mapping\.fc\d+\.weight", key) is not None for key in tensors)
        known = settings if isinstance(settings, dict) else {}
        synthesis = known.get("synthesis_kwargs") or {}
        return StyleGAN2Config(
            channels, first.shape[1] - (len(first) if c_dim else 0),
            tensors["synthesis.b4.conv1.affine.weight"].shape[1], c_dim, depth,
            synthesis.get("conv_clamp"),
        )
    except (KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{name} is no whole StyleGAN2 (it lacks {error}), so it can't be built: check that "
            f"the file is complete and of this family."
        ) from error


def _new_judge(tensors: Table[str, Tensor], config: StyleGAN2Config) -> nn.Module:
    """StyleGAN2's own discriminator, or the DCGAN's that polished weights were trained against."""
    first = tensors.get(f"convs.b{config.resolution // 2}.bias")
    if first is None:
        return Discriminator(config)
    return dcgan.Discriminator(dcgan.DCGANConfig(config.resolution, len(first)))


def _completed(module: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the constants that some files leave out: the filters, and (drawn anew) noise maps."""
    rng = torch.Generator().manual_seed(0)
    known = dict(tensors)
    for key, value in module.state_dict().items():
        if key not in known and key.endswith("resample_filter"):
            known[key] = fir_filter()
        elif key not in known and key.endswith("noise_const"):
            known[key] = torch.randn(value.shape, generator=rng)
    return known


def _official_names(tensors: Table[str, Tensor]) -> dict[str, Tensor]:
    """The widespread alternative layout's weights, under official names and in official shapes."""
    renamed = {}
    for key, value in part(tensors, "g_ema.").items():
        kind, _, rest = key.partition(".")
        index = int(rest.split(".")[0]) if rest[:1].isdigit() else 0
        tail = rest.partition(".")[2] if rest[:1].isdigit() else rest
        if kind == "style":
            renamed[f"mapping.fc{index - 1}.{tail}"] = value
        elif kind == "input":
            renamed["synthesis.b4.const"] = value[0]
        elif kind == "noises":
            level, layer = divmod(int(rest.removeprefix("noise_")) + 1, 2)
            renamed[f"synthesis.b{4 << level}.conv{layer}.noise_const"] = value[0, 0]
        elif kind in ("conv1", "convs"):
            block = "b4.conv1" if kind == "conv1" else f"b{8 << index // 2}.conv{index % 2}"
            renamed |= _official_layer(f"synthesis.{block}", tail, value)
        elif kind in ("to_rgb1", "to_rgbs"):
            block = "b4" if kind == "to_rgb1" else f"b{8 << index}"
            renamed |= _official_layer(f"synthesis.{block}.torgb", tail, value)
        else:
            raise ValueError(
                f"{key} is no weight of the alternative StyleGAN2 layout, so where it belongs is "
                f"unknown: check where the file comes from."
            )
    if "latent_avg" in tensors:
        renamed["mapping.w_avg"] = tensors["latent_avg"].flatten()
    return renamed


def _official_layer(name: str, tail: str, value: Tensor) -> dict[str, Tensor]:
    """One weight of a convolution or of a to_rgb."""
    reshaped = {
        "conv.weight": ("weight", lambda v: v[0]),
        "conv.modulation.weight": ("affine.weight", lambda v: v),
        "conv.modulation.bias": ("affine.bias", lambda v: v),
        "noise.weight": ("noise_strength", lambda v: v.reshape(())),
        "activate.bias": ("bias", lambda v: v),
        "bias": ("bias", lambda v: v.flatten()),
    }
    if tail not in reshaped:  # the filters, which are the same everywhere
        return {}
    official, change = reshaped[tail]
    return {f"{name}.{official}": change(value)}
