"""What files of StyleGAN2 hold: in which layout, made with which settings.

Two layouts are read: the official PyTorch releases', and the alternative one that most other
implementations share. A setting that changes pictures is honoured or refused by its name.
"""

import warnings
from collections.abc import Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from numbers import Real

import torch
from torch import Tensor, nn

from course_lib.generators import dcgan
from course_lib.generators.loading import find_prefix, load_frozen, select_prefix
from course_lib.generators.stylegan2_networks import (
    Discriminator,
    StyleGAN2Config,
    fir_filter,
)
from course_lib.thrift import unfilled
from course_lib.weights import StoredWeights

OFFICIAL, ALTERNATIVE = "synthesis.b4.const", "input.input"  # of either layout, the first weight
POSITIONS = "z_dim c_dim w_dim img_resolution img_channels mapping_kwargs synthesis_kwargs".split()
# Settings that the weights' shapes tell, or that don't change pictures.
NEEDLESS = set("""
    z_dim c_dim w_dim img_resolution num_layers embed_features layer_features w_avg_beta
    channel_base channel_max num_fp16_res use_fp16 fp16_channels_last fused_modconv_default
    cmap_dim freeze_layers class_name
""".split())
# Settings of which one value is known here.
KNOWN = {"img_channels": 3, "activation": "lrelu", "architecture": "skip", "use_noise": True,
         "resample_filter": [1, 3, 3, 1]}
KNOWN_JUDGE = KNOWN | {"architecture": "resnet", "mbstd_num_channels": 1, "lr_multiplier": 0.01}
# The StyleGAN2 in StyleGAN3's release is given these by themselves and clamps at 256 unless told
# otherwise; that of the earlier release gets synthesis_kwargs and does not clamp unless told to.
STYLEGAN3_SETTINGS = {"channel_base", "channel_max", "num_fp16_res", "fused_modconv_default"}
STYLEGAN3_CLAMP = 256


@dataclass(frozen=True)
class StyleGAN2File:
    """A generator's weights under official names, and the shape of it."""

    config: StyleGAN2Config
    tensors: dict[str, Tensor]


def read_generator(weights: StoredWeights, name: str) -> StyleGAN2File:
    """The generator of a file; of several, the averaged one.

    Raises:
        ValueError: it is not whole, or made with a setting that is not known here.
    """
    prefix = find_prefix(weights.tensors, OFFICIAL)
    if prefix is None:
        prefix = find_prefix(weights.tensors, ALTERNATIVE)
        own = _official_names(select_prefix(weights.tensors, prefix), name)
        average = find_prefix(weights.tensors, "latent_avg")
        if average is not None:  # some files repeat it for each layer
            stored = weights.tensors[f"{average}latent_avg"]
            own["mapping.w_avg"] = stored.reshape(-1, stored.shape[-1]).mean(dim=0)
    else:
        own = select_prefix(weights.tensors, prefix)
    _require_known_filters(select_prefix(weights.tensors, prefix), name)
    settings = _Settings(weights, prefix.removesuffix("."))
    settings.require(KNOWN, {"conv_clamp", "lr_multiplier"}, name)
    _require_known_layers(own, name)
    return StyleGAN2File(_read_config(own, settings, name), own)


def read_judge(weights: StoredWeights, config: StyleGAN2Config, name: str) -> nn.Module | None:
    """The discriminator of a file, if it has one that is known here; a warning if it has another.

    It is StyleGAN2's own, or the DCGAN's that polished weights were trained against.
    """
    tensors = select_prefix(weights.tensors, "D.")
    if not tensors:
        return None
    try:
        return _new_judge(weights, tensors, config, f"{name}'s discriminator")
    except ValueError as error:
        warnings.warn(
            f"{name} is loaded without its discriminator ({str(error).rstrip('.')}): its pictures "
            f"are right, but losses that compare the discriminator's features are not to be had.",
            stacklevel=4,
        )
        return None


def complete_weights(module: nn.Module, tensors: Table[str, Tensor]) -> dict[str, Tensor]:
    """With what some files leave out: the filters, noise maps (drawn anew), the mean (0)."""
    rng = torch.Generator().manual_seed(0)
    known = dict(tensors)
    for key, value in module.state_dict().items():
        if key not in known and key.endswith("resample_filter"):
            known[key] = fir_filter()
        elif key not in known and key.endswith("noise_const"):
            known[key] = torch.randn(value.shape, generator=rng)
        elif key not in known and key.endswith("w_avg"):
            known[key] = torch.zeros(value.shape)
    return known


class _Settings:
    """With which arguments a network was made, and what its layers say of themselves."""

    def __init__(self, weights: StoredWeights, network: str):
        made_with = weights.settings.get(network)
        made_with = dict(made_with) if isinstance(made_with, dict) else {}
        layers = weights.settings.get(f"{network}.layers" if network else "layers")
        self.layers = layers if isinstance(layers, dict) else {}
        self.given = dict(zip(POSITIONS, made_with.pop("args", None) or (), strict=False))
        self.given |= made_with

    def all(self) -> Iterator[tuple[str, object]]:
        """Names and values, those in mapping_kwargs and the like among the others."""
        for name, value in self.given.items():
            if name.endswith("_kwargs"):
                yield from value.items() if isinstance(value, dict) else ()
            else:
                yield name, value
        for place, value in self.layers.items():
            name = place.rpartition(".")[2]
            if (name, value) != ("activation", "linear"):  # as layers without activation say
                yield name, value

    def require(self, known: Table[str, object], honoured: set[str], name: str) -> None:
        """Raise a `ValueError` at a setting that would be ignored."""
        for setting, value in self.all():
            if setting in honoured or setting in NEEDLESS | {"bias_gain"}:
                continue
            if setting not in known:
                raise ValueError(
                    f"{name} was made with {setting}={str(value)[:40]!r}, which is not known here "
                    f"and may change its pictures: use the code that it comes from."
                )
            if value != known[setting]:
                raise ValueError(
                    f"{name} was made with {setting}={str(value)[:40]!r}, but only "
                    f"{known[setting]!r} is known here, and its pictures would be wrong: use the "
                    f"code that it comes from."
                )

    def number(
        self, name: str, setting: str, place: str, default: float | None
    ) -> float | None:
        """A setting that is honoured, from the layer that has it or as it was given."""
        value = self.layers.get(place, dict(self.all()).get(setting, default))
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real)
                                  or not value > 0):
            raise ValueError(
                f"{name} was made with {setting}={str(value)[:40]!r}, which is no number above 0, "
                f"so its pictures can't be drawn: check where the file comes from."
            )
        return value


def _read_config(own: Table[str, Tensor], settings: _Settings, name: str) -> StyleGAN2Config:
    """The config that the shapes of the weights and the settings tell."""
    flat = settings.given.keys() & STYLEGAN3_SETTINGS
    clamp = STYLEGAN3_CLAMP if flat and "synthesis_kwargs" not in settings.given else None
    try:
        blocks = {int(key.split(".")[1][1:]) for key in own
                  if key.startswith("synthesis.b") and key.endswith(".conv1.weight")}
        channels = tuple(len(own[f"synthesis.b{size}.conv1.weight"]) for size in sorted(blocks))
        c_dim = own["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in own else 0
        first = own["mapping.fc0.weight"]
        depth = sum(key.startswith("mapping.fc") and key.endswith(".weight") for key in own)
        return StyleGAN2Config(
            channels, first.shape[1] - (len(first) if c_dim else 0),
            own["synthesis.b4.conv1.affine.weight"].shape[1], c_dim, depth,
            settings.number(name, "conv_clamp", "synthesis.b4.conv1.conv_clamp", clamp),
            settings.number(name, "lr_multiplier", "mapping.fc0.bias_gain", 0.01),
            "mapping.class_means" in own,
        )
    except (KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{name} is no whole StyleGAN2 (it lacks {error}), so it can't be built: check that "
            f"the file is complete and of this family."
        ) from error


def _new_judge(
    weights: StoredWeights, tensors: dict[str, Tensor], config: StyleGAN2Config, name: str
) -> nn.Module:
    first = tensors.get(f"convs.b{config.resolution // 2}.bias")
    settings = _Settings(weights, "D")
    with unfilled():
        if first is None:
            settings.require(KNOWN_JUDGE, {"conv_clamp", "mbstd_group_size", "group_size"}, name)
            clamp = settings.number(name, "conv_clamp", "b4.conv.conv_clamp", config.conv_clamp)
            group = settings.number(name, "mbstd_group_size", "b4.mbstd.group_size", 4)
            judge = Discriminator(replace(config, conv_clamp=clamp),
                                  group_size=group and int(group))
        else:
            judge = dcgan.Discriminator(dcgan.DCGANConfig(config.resolution, len(first)))
    _require_known_filters(tensors, name)
    load_frozen(judge, complete_weights(judge, tensors), name)
    return judge


def _require_known_filters(tensors: Table[str, Tensor], name: str) -> None:
    """Raise a `ValueError` if a layer resamples by another filter than StyleGAN2's."""
    for key, value in tensors.items():
        if key.endswith(("resample_filter", "blur.kernel", "upsample.kernel")):
            same = value.shape == (4, 4) and torch.allclose(
                value.float() / value.float().sum(), fir_filter(), atol=1e-3)
            if not same:
                raise ValueError(
                    f"{name} resamples by another filter than [1, 3, 3, 1] ({key}), which is not "
                    f"known here, so its pictures would be wrong: use the code that it comes from."
                )


def _require_known_layers(own: Table[str, Tensor], name: str) -> None:
    """Raise a `ValueError` where the layers alone tell of a setting that is not known here."""
    blocks = {key.rpartition(".conv1.weight")[0] for key in own if key.endswith(".conv1.weight")}
    colors = [own[f"{block}.torgb.weight"] for block in blocks if f"{block}.torgb.weight" in own]
    found = None
    if len(colors) == 1 < len(blocks):
        found = "an architecture whose last block alone draws colours, other than 'skip'"
    elif colors and all(len(weight) != 3 for weight in colors):
        found = f"img_channels={len(colors[0])}, other than 3"
    elif blocks and not any(key.endswith("noise_strength") for key in own):
        found = "use_noise=False: its layers have no noise"
    if found:
        raise ValueError(
            f"{name} was made with {found}, which is not known here, so its pictures would be "
            f"wrong: use the code that it comes from."
        )


def _official_names(tensors: Table[str, Tensor], name: str) -> dict[str, Tensor]:
    """The alternative layout's weights, under official names and in official shapes."""
    renamed = {}
    for key, value in tensors.items():
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
        elif kind != "latent_avg":
            raise ValueError(
                f"{name} holds {key}, which is no weight of the alternative StyleGAN2 layout, so "
                f"where it belongs is unknown: check where the file comes from."
            )
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
