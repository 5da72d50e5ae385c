"""A larger network that begins as exactly the function a smaller one has learnt.

New channels start at random, but nothing that was learnt listens to them yet: their outgoing
weights are 0. A new resolution adds nothing to the picture yet. From there, training finds a use.

Source: Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016 (the idea).
"""

import math

import torch
from torch import Tensor

from course_lib.generators import dcgan
from course_lib.generators.stylegan2 import StyleGAN2

Tensors = dict[str, Tensor]


@torch.no_grad()
def widen_generator(small: Tensors, large: StyleGAN2) -> Tensors:
    """What `large` must load to paint the pictures of a smaller StyleGAN2, doubled or not.

    Args:
        small: weights of a StyleGAN2 with the same codes, and fewer channels or resolutions.
        large: freshly made, for its new weights.
    Raises:
        ValueError: it has no room for the small one, or other codes.
    """
    found = {key: value.clone() for key, value in large.state_dict().items()}
    learnt = {_block(key) for key in small} | {"mapping", "synthesis.b4"}
    for key in sorted(small.keys() | {key for key in found if _block(key) in learnt}):
        if not _fits(small.get(key), found.get(key), codes="mapping" in key or "affine.w" in key):
            old, new = (None if x is None else tuple(x.shape)
                        for x in (small.get(key), found.get(key)))
            raise ValueError(
                f"the generator's weights can't go on in this recipe: {key} has shape {old}, for "
                f"which there is no room in {new}: start from a StyleGAN2 with the same codes and "
                f"no more channels (--start-from)."
            )
    for key, new in found.items():
        if key.endswith("torgb.weight"):  # new channels and resolutions add no colour yet
            new.zero_()
    for key, old in small.items():
        new = found[key]
        if key.endswith("torgb.weight"):  # its sum over inputs is divided by √inputs
            old = old * math.sqrt(new.shape[1] / old.shape[1])
        elif old.ndim == 4 and key.endswith("weight"):
            new[: len(old), old.shape[1] :] = 0
        new[tuple(slice(n) for n in old.shape)] = old
    return found


def _block(key: str) -> str:
    """Mapping, or one resolution: all of it was learnt, or nothing of it."""
    return "mapping" if key.startswith("mapping") else ".".join(key.split(".")[:2])


def _fits(old: Tensor | None, new: Tensor | None, *, codes: bool) -> bool:
    """Whether an old tensor has room in the new one, along codes exactly."""
    if old is None or new is None or old.ndim != new.ndim:
        return False
    room = all(a <= b for a, b in zip(old.shape, new.shape, strict=True))
    return room and not (codes and old.shape[-1:] != new.shape[-1:])


@torch.no_grad()
def deepen_discriminator(small: Tensors, large: dcgan.Discriminator) -> Tensors:
    """What `large` must load to say of a picture what a smaller one says of it at half the size.

    Its new first layer averages the colours down, in six of its channels: leaky ReLU(x) less
    leaky ReLU(-x) is 1.2 x.

    Args:
        small: weights of a DCGAN's discriminator, for pictures of half the resolution.
        large: freshly made, for its new weights.
    Raises:
        ValueError: the rest of its layers has other names or shapes, or the first is too narrow.
    """
    found = {key: value.clone() for key, value in large.state_dict().items()}
    first, second = list(large.convs)[:2]
    edge, inner = f"convs.{first}.", f"convs.{second}."
    wanted = {key: value.shape for key, value in found.items() if not key.startswith(edge)}
    wanted[f"{inner}weight"] = (len(found[f"{inner}bias"]), 3, 4, 4)  # it still reads pictures
    fits = wanted == {key: value.shape for key, value in small.items()}
    if not fits or len(found[f"{edge}bias"]) < 6:
        raise ValueError(
            "the critic has other layers than this one has behind its first, so it can't be "
            "deepened: pass that of a DCGAN for pictures of half the size (--critic)."
        )
    weight, reads = found[f"{inner}weight"].zero_(), small[f"{inner}weight"]
    weight[:, :6] = torch.cat([reads, -reads], dim=1) / 1.2
    found |= small | {f"{inner}weight": weight}
    mean = torch.zeros(3, 3, 4, 4)
    mean[range(3), range(3), 1:3, 1:3] = 1 / 4
    found[f"{edge}weight"][:6] = torch.cat([mean, -mean])
    found[f"{edge}bias"][:6] = 0
    return found
