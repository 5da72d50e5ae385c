"""Generators small enough for tests: StyleGAN2 with random weights, and families like no GAN."""

import math
import re

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.generators.base import Generator
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import (
    Discriminator,
    StyleGAN2Config,
    official_channels,
)
from course_lib.weights import StoredWeights

SMALL = StyleGAN2Config(official_channels(32, 512, 32), 24, 20, mapping_layers=3)
TINY = StyleGAN2Config((8, 8, 8), 8, 8, mapping_layers=2)
FIR = torch.outer(*[torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 8] * 2)
BRIGHTNESS, CONTRAST = 0.5, 0.15  # of the pictures of Flow and Chain, whose numbers are about ±1


def random_weights(config: StyleGAN2Config, rng: torch.Generator) -> StoredWeights:
    """Weights in the official layout, every one of them random, G_ema and D."""
    with torch.device("meta"):
        networks = {"G_ema": StyleGAN2(config), "D": Discriminator(config)}
    tensors = {}
    for prefix, network in networks.items():
        for name, value in network.state_dict().items():
            tensor = torch.randn(value.shape, generator=rng)
            if "resample_filter" in name:
                tensor = FIR.float()
            elif re.search(r"mapping.fc.*weight", name):
                tensor = tensor * 100
            elif "affine.bias" in name:
                tensor = 1 + 0.1 * tensor
            tensors[f"{prefix}.{name}"] = tensor
    settings = {"synthesis_kwargs": {"conv_clamp": config.conv_clamp}}
    return StoredWeights(tensors, {"G_ema": settings})


def alternative_layout(weights: StoredWeights, config: StyleGAN2Config) -> StoredWeights:
    """The same weights as the widespread alternative names and shapes them."""
    own = {k.removeprefix("G_ema."): v for k, v in weights.tensors.items() if k[0] == "G"}
    tensors = {"input.input": own["synthesis.b4.const"][None]}
    for i in range(config.mapping_layers):
        for kind in ("weight", "bias"):
            tensors[f"style.{i + 1}.{kind}"] = own[f"mapping.fc{i}.{kind}"]
    convs, number = 0, 0
    for level, resolution in enumerate(config.resolutions):
        block = f"synthesis.b{resolution}"
        for name in ["conv0", "conv1"] if level else ["conv1"]:
            new = f"convs.{convs}" if level else "conv1"
            convs += 1 if level else 0
            tensors[f"{new}.conv.weight"] = own[f"{block}.{name}.weight"][None]
            tensors[f"{new}.conv.modulation.weight"] = own[f"{block}.{name}.affine.weight"]
            tensors[f"{new}.conv.modulation.bias"] = own[f"{block}.{name}.affine.bias"]
            tensors[f"{new}.noise.weight"] = own[f"{block}.{name}.noise_strength"][None]
            tensors[f"{new}.activate.bias"] = own[f"{block}.{name}.bias"]
            if name == "conv0":
                tensors[f"{new}.conv.blur.kernel"] = FIR.float() * 4
            tensors[f"noises.noise_{number}"] = own[f"{block}.{name}.noise_const"][None, None]
            number += 1
        new = f"to_rgbs.{level - 1}" if level else "to_rgb1"
        tensors[f"{new}.conv.weight"] = own[f"{block}.torgb.weight"][None]
        tensors[f"{new}.conv.modulation.weight"] = own[f"{block}.torgb.affine.weight"]
        tensors[f"{new}.conv.modulation.bias"] = own[f"{block}.torgb.affine.bias"]
        tensors[f"{new}.bias"] = own[f"{block}.torgb.bias"][None, :, None, None]
        if level:
            tensors[f"{new}.upsample.kernel"] = FIR.float() * 4
    named = {f"g_ema.{k}": v for k, v in tensors.items()}
    return StoredWeights(named | {"latent_avg": own["mapping.w_avg"]}, {})


def tame(rng: torch.Generator, *, noise: bool = False) -> StyleGAN2:
    """A small random generator whose pictures stay near [0, 1]."""
    tensors = dict(random_weights(TINY, rng).tensors)
    for name in tensors:
        if name.endswith("torgb.weight"):
            tensors[name] = tensors[name] / 5
        if name.endswith("noise_strength"):
            tensors[name] = torch.tensor(0.3 if noise else 0.0)
        if name.endswith("mapping.w_avg"):
            tensors[name] = torch.zeros(8)
    return StyleGAN2.from_weights(StoredWeights(tensors, {}), "tame")


class Plain(Generator):
    """A family that has only z, and none of StyleGAN2's methods: the code is the picture."""

    name, resolution, z_dim = "plain", 4, 48

    def __init__(self):
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def decode(self, latent, *, space="z", noise=None):
        return torch.sigmoid(latent).reshape(-1, 3, 4, 4)


class Painter(Generator):
    """The first two numbers of z are the picture's red and green, the third is never seen."""

    name, resolution, z_dim = "painter", 4, 3

    def __init__(self):
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def decode(self, latent, *, space="z", noise=None):
        colors = F.pad(latent[:, :2], (0, 1)) / 20 + 0.5
        return colors[:, :, None, None].expand(-1, -1, 4, 4)


class Linear(Generator):
    """A family without w whose features are y = A z."""

    name, resolution, z_dim, layers = "linear", 4, 6, ("y",)

    def __init__(self, matrix: torch.Tensor):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def features(self, latent, layer, *, space="z"):
        return (latent @ self.matrix.T)[:, :, None, None]

    def decode(self, latent, *, space="z", noise=None):
        return self.features(latent, "y")[:, :3].expand(-1, -1, 4, 4)


class Disc(Generator):
    """z is where a soft disc lies, (x, y) from the middle in units of 6 pixels."""

    name, resolution, z_dim, layers = "disc", 32, 2, ("picture",)

    def __init__(self):
        super().__init__()
        self.unit = nn.Parameter(torch.ones(1), requires_grad=False)

    def decode(self, latent, *, space="z", noise=None):
        axis = torch.arange(32.0)
        centre = 16 + 6 * latent[:, :, None, None]
        square = (axis - centre[:, :1]) ** 2 + (axis[:, None] - centre[:, 1:]) ** 2
        return torch.exp(-square / 40).expand(-1, 3, -1, -1) * self.unit

    def features(self, latent, layer, *, space="z"):
        grey = self.decode(latent)[:, :1]
        return torch.cat([grey, grey**2], dim=1)


class Flow(Generator):
    """A family with an exact inverse and a likelihood: two affine couplings of half the columns.

    Each scales and shifts one half by what a convolution reads in the other.
    """

    name, layers = "flow", ("coupled once",)

    def __init__(self, resolution: int = 8):
        super().__init__()
        self.resolution, self.z_dim = resolution, 3 * resolution**2
        rng = torch.Generator().manual_seed(0)
        self.nets = nn.ModuleList(nn.Conv2d(3, 6, 3, padding=1) for _ in range(2))
        for parameter in self.parameters():
            parameter.requires_grad_(False).copy_(
                0.2 * torch.randn(parameter.shape, generator=rng))

    def decode(self, latent, *, space="z", noise=None):
        self.require_latent(latent, space)
        x = self.features(latent, "coupled once")
        return BRIGHTNESS + CONTRAST * self._couple(1, x)

    def features(self, latent, layer, *, space="z"):
        return self._couple(0, latent.unflatten(1, (3, self.resolution, self.resolution)))

    def invert(self, images, *, space):
        self.require_space(space)
        return self._inverted(images)[0]

    def log_likelihood(self, images):
        z, log_det = self._inverted(images)
        return (-z.square() / 2 - math.log(2 * math.pi) / 2).sum(dim=1) + log_det

    def _couple(self, index: int, x: torch.Tensor) -> torch.Tensor:
        read, changed = x[..., index::2], x[..., 1 - index :: 2]
        log_scale, shift = self._coefficients(index, read)
        return _columns(index, read, changed * log_scale.exp() + shift)

    def _inverted(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z, and ln |det dz/dx|."""
        x = (images - BRIGHTNESS) / CONTRAST
        log_det = torch.full((len(x),), -self.z_dim * math.log(CONTRAST))
        for index in (1, 0):
            read, changed = x[..., index::2], x[..., 1 - index :: 2]
            log_scale, shift = self._coefficients(index, read)
            x = _columns(index, read, (changed - shift) * (-log_scale).exp())
            log_det = log_det - log_scale.flatten(1).sum(dim=1)
        return x.flatten(1), log_det

    def _coefficients(self, index: int, read: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        log_scale, shift = self.nets[index](read).chunk(2, dim=1)
        return log_scale.tanh(), shift


def _columns(index: int, read: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """Every other column of each, `read` from column `index` on."""
    pair = (read, changed) if index == 0 else (changed, read)
    return torch.stack(pair, dim=-1).flatten(-2)


class Chain(Generator):
    """A family whose decode is a chain of steps, as a diffusion model's: DDIM with a small net.

    No layer has features of its own: each is passed at every step. `invert` runs the chain
    backwards, each step by fixed-point rounds.
    """

    name, steps = "chain", 10

    def __init__(self, resolution: int = 8):
        super().__init__()
        self.resolution, self.z_dim = resolution, 3 * resolution**2
        rng = torch.Generator().manual_seed(0)
        self.net = nn.Conv2d(3, 3, 3, padding=1)
        for parameter in self.parameters():
            parameter.requires_grad_(False).copy_(
                0.2 * torch.randn(parameter.shape, generator=rng))

    def decode(self, latent, *, space="z", noise=None):
        self.require_latent(latent, space)
        x, turn = latent.unflatten(1, (3, self.resolution, self.resolution)), self._turn
        for time in torch.linspace(1, 0, self.steps + 1)[:-1]:
            x = math.cos(turn) * x - math.sin(turn) * self._v(x, time)
        return BRIGHTNESS + CONTRAST * x

    def invert(self, images, *, space):
        self.require_space(space)
        x, turn = (images - BRIGHTNESS) / CONTRAST, self._turn
        for time in torch.linspace(1, 0, self.steps + 1)[:-1].flip(0):
            after = x
            for _ in range(20):
                x = (after + math.sin(turn) * self._v(x, time)) / math.cos(turn)
        return x.flatten(1)

    @property
    def _turn(self) -> float:
        """The angle of a step: x_t = cos(πt/2) x + sin(πt/2) ε, and v is its slope."""
        return math.pi / 2 / self.steps

    def _v(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.net(x) + time)
