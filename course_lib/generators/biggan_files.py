"""Published BigGANs, in either layout, under the names that our networks have.

Spectral norms are folded into the weights as each release does it when it draws: BigGAN-PyTorch
takes one step of the power method from its stored u, pytorch-pretrained-BigGAN uses the u and v of
`torch.nn.utils.spectral_norm`.
"""

import re
from collections.abc import Mapping as Table
from dataclasses import dataclass
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.generators.biggan_deep import BigGANDeepConfig
from course_lib.generators.biggan_networks import BigGANConfig
from course_lib.generators.loading import find_prefix, read_config, select_prefix
from course_lib.weights import StoredWeights, import_torchvision

OURS = "synthesis.blocks.0.0.bn1.gain.weight"  # names that no other family has
PLAIN = "blocks.0.0.bn1.gain.weight"
DEEP = "generator.layers.0.bn_0.scale.weight_orig"
ATTENTION = {f"snconv1x1_{theirs}": ours for theirs, ours in (
    ("theta", "theta"), ("phi", "phi"), ("g", "g"), ("o_conv", "o"))}


@dataclass(frozen=True)
class BigGANFile:
    """The config, and the weights by our names."""

    config: BigGANConfig | BigGANDeepConfig
    tensors: dict[str, Tensor]


def recognizes(tensors: Table[str, Tensor]) -> bool:
    """Whether these are a BigGAN's weights, in one of the layouts that are read."""
    return any(find_prefix(tensors, first) is not None for first in (PLAIN, DEEP))


def read_biggan(weights: StoredWeights, name: str) -> BigGANFile:
    """What a file holds.

    Raises:
        ValueError: weights or, of a file of ours, the config are missing.
    """
    prefix = find_prefix(weights.tensors, OURS)
    if prefix is not None:
        return BigGANFile(read_config(BigGANConfig, weights, name),
                          select_prefix(weights.tensors, prefix))
    deep = find_prefix(weights.tensors, DEEP)
    try:
        if deep is not None:
            return _read_deep(select_prefix(weights.tensors, deep))
        plain = find_prefix(weights.tensors, PLAIN)
        return _read_plain(select_prefix(weights.tensors, plain), name)
    except (KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{name} is no whole BigGAN (it lacks {error}), so it can't be built: check that the "
            f"file is complete and of this family."
        ) from error


def _read_plain(stored: Table[str, Tensor], name: str) -> BigGANFile:
    """Of BigGAN-PyTorch."""
    own = fold_power_step(stored)
    depth = len({key.split(".")[1] for key in own if key.startswith("blocks.")})
    linear, shared = own["linear.weight"], own["shared.weight"]
    attention = [8 << number for number in range(depth) if f"blocks.{number}.1.theta.weight" in own]
    told = own["blocks.0.0.bn1.gain.weight"].shape[1]
    if told != shared.shape[1] + linear.shape[1]:
        raise ValueError(
            f"{name} was trained without hier, its blocks read no z of their own, and such a "
            f"BigGAN is not built here: take one that was trained with --hier, as the published "
            f"ones are."
        )
    config = BigGANConfig(
        name_classes(len(shared)),
        (len(linear) // 16, *(len(own[f"blocks.{number}.0.conv1.weight"])
                              for number in range(depth))),
        linear.shape[1], shared.shape[1], *attention[:1])
    ours = {"shared.weight" if key == "shared.weight" else f"synthesis.{key}": value
            for key, value in own.items()}
    return BigGANFile(config, ours)


def _read_deep(stored: Table[str, Tensor]) -> BigGANFile:
    """Of pytorch-pretrained-BigGAN."""
    own = fold_spectral_norm(stored)
    classes = own.pop("embeddings.weight").T
    ours = {"shared.weight": classes.contiguous()}
    for key, value in own.items():
        for theirs, name in ATTENTION.items():
            key = key.replace(theirs, name)
        ours[key.replace("generator.", "synthesis.")] = value
    for key in ("synthesis.conv_to_rgb.weight", "synthesis.conv_to_rgb.bias"):
        ours[key] = ours[key][:3]  # the others are never looked at
    attention, channels = 0, [len(ours["synthesis.gen_z.weight"]) // 16]
    for number in range(1 + max(int(key.split(".")[2]) for key in ours if ".layers." in key)):
        gamma = f"synthesis.layers.{number}.gamma"
        if gamma in ours:
            attention, ours[gamma] = number, ours[gamma].reshape(())
        else:
            channels.append(len(ours[f"synthesis.layers.{number}.conv_3.weight"]))
    config = BigGANDeepConfig(name_classes(len(classes)), tuple(channels), classes.shape[1],
                              attention, len(ours["synthesis.bn.running_means"]))
    return BigGANFile(config, ours)


def fold_power_step(stored: Table[str, Tensor]) -> dict[str, Tensor]:
    """W / ‖W v‖ with v = uᵀW, of unit length, for each weight W beside which a u is stored."""
    found = {}
    for key, value in stored.items():
        if re.search(r"\.(u|sv)\d+$", key):
            continue
        u = stored.get(re.sub(r"weight$", "u0", key)) if key.endswith(".weight") else None
        if u is not None:
            rows = value.flatten(1)
            v = F.normalize(u @ rows, dim=1)
            value = value / (v @ rows.T).norm()
        found[key] = value
    return found


def fold_spectral_norm(stored: Table[str, Tensor]) -> dict[str, Tensor]:
    """W / uᵀWv for each "weight_orig" W, with the u and v beside it."""
    found = {}
    for key, value in stored.items():
        if key.endswith((".weight_u", ".weight_v")):
            continue
        if key.endswith(".weight_orig"):
            key = key.removesuffix("_orig")
            value = value / torch.dot(stored[f"{key}_u"], value.flatten(1) @ stored[f"{key}_v"])
        found[key] = value
    return found


def name_classes(count: int) -> tuple[str, ...]:
    """ImageNet's names of 1,000 classes, where torchvision is installed; else their numbers."""
    if count == 1000 and find_spec("torchvision") is not None:
        import_torchvision()
        from torchvision.models import ResNet18_Weights

        return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
    return tuple(map(str, range(count)))
