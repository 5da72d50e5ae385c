"""The official diffusion models of DDPM's paper, as diffusers keeps them: "google/ddpm-cat-256".

They were trained on 1,000 times with noise growing by its own rule; what matters to the network
is only how much of the picture is left, so each of our times is one of theirs, or lies between two.

Sources: Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, section 4 (betas from
1e-4 to 0.02); the layout is that of diffusers' UNet2DModel, which reads it here.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import optional_packages
from course_lib.denoising import Noisy, alpha, sigma
from course_lib.generators.base import Generator
from course_lib.generators.diffusion import Diffusion
from course_lib.generators.diffusion_networks import DiffusionConfig, Labels, Times
from course_lib.weights import import_torchvision
from course_lib.weights.hub import from_hub, hub_folder

TRAINED = "scheduler_config.json"


@dataclass(frozen=True)
class OfficialModel:
    """A model on the hub.

    Attributes:
        bytes: of its weights, in single precision, by the paper's count of parameters.
        license: of the weights, as their publisher states it.
    """

    name: str
    hub: str
    resolution: int
    bytes: int
    license: str = "Apache 2.0"

    def __str__(self) -> str:
        return f"{self.name} ({self.resolution}x{self.resolution}, {self.bytes / 1e6:.0f} MB)"


OFFICIAL: dict[str, OfficialModel] = {one.name: one for one in (
    OfficialModel("ddpm-cifar10-32", "google/ddpm-cifar10-32", 32, 143_000_000),
    OfficialModel("ddpm-cat-256", "google/ddpm-cat-256", 256, 455_000_000),
    OfficialModel("ddpm-church-256", "google/ddpm-church-256", 256, 455_000_000),
    OfficialModel("ddpm-celebahq-256", "google/ddpm-celebahq-256", 256, 455_000_000),
)}
"""Those that the paper's authors published. Not verified: that the hub still has them so, since
none was downloaded when this table was written."""


class DDPM(Diffusion):
    """A network that guesses the noise at one of 1,000 times, seen as every diffusion model is.

    Args:
        network: diffusers' UNet2DModel.
        kept: ᾱ, how much of a picture's variance is left at each of its times, falling.
    """

    def __init__(self, network: nn.Module, kept: Float[Tensor, " trained"], name: str):
        Generator.__init__(self)
        self._set_up(DiffusionConfig(network.config.sample_size), name)
        self.network, self.latest = network, float(_time_of(kept[-1]))
        self.register_buffer("trained", _time_of(kept))

    def estimate(
        self, x_t: Noisy, t: Times, labels: Labels | None = None, seen: list[Tensor] | None = None
    ) -> Noisy:
        """x0 = (x_t − σ ε) / α, with the ε that the network guesses."""
        hook = None
        if seen is not None:
            hook = self.network.mid_block.register_forward_hook(
                lambda _, inputs, output: seen.append(output))
        noise = self.network(x_t, self.number_of(t)).sample
        if hook is not None:
            hook.remove()
        t = t[:, None, None, None]
        return (x_t - sigma(t) * noise) / alpha(t)

    def number_of(self, t: Times) -> Times:
        """Which of the network's times, from 0 on, has as much noise as our t; seldom a whole one.
        """
        after = torch.searchsorted(self.trained, t).clamp(1, len(self.trained) - 1)
        early, late = self.trained[after - 1], self.trained[after]
        return (after - 1 + (t - early) / (late - early)).clamp(0, len(self.trained) - 1)


def load_ddpm(name_or_folder: str | Path, device: torch.device | str) -> DDPM:
    """One of `OFFICIAL`, downloaded when it is asked for first; or a folder in diffusers' layout.

    Raises:
        ModuleNotFoundError: diffusers is not installed.
        ConnectionError: it is not in the cache, and can't be downloaded now.
        ValueError: the folder holds another kind of model.
    """
    diffusers, official = _import_diffusers(), OFFICIAL.get(str(name_or_folder))
    if official is None:
        folder = Path(name_or_folder).expanduser()
        _require_unet(folder)
        network, betas = _read(diffusers, str(folder)), _betas(folder / TRAINED)
        name = folder.name
    else:
        name, betas = official.name, _betas(None)
        with from_hub(official, instead="take cats-diffusion"):
            network = _read(diffusers, official.hub)
    kept = torch.cumprod(1 - betas, dim=0)
    return DDPM(network, kept, name).eval().requires_grad_(False).to(device)


def is_ddpm(name_or_folder: str | Path) -> bool:
    """Whether it names an official model, or a folder in diffusers' layout."""
    return str(name_or_folder) in OFFICIAL or (Path(name_or_folder) / "config.json").is_file()


def _read(diffusers: ModuleType, place: str) -> nn.Module:
    return diffusers.UNet2DModel.from_pretrained(
        place, use_safetensors=True, cache_dir=hub_folder()).float()


def _require_unet(folder: Path) -> None:
    """Raise a `ValueError` unless the folder's config is of a network that this module knows."""
    made = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("_class_name")
    if made != "UNet2DModel":
        raise ValueError(
            f"{folder} holds a {made}, but only diffusers' UNet2DModel is read here, the network "
            f"of google/ddpm-*: pass the folder of such a one (its subfolder \"unet\", if it has "
            f"one)."
        )


def _betas(path: Path | None) -> Float[Tensor, " trained"]:
    """How much noise each step of training added, in double precision; DDPM's where nothing is
    said.

    Raises:
        ValueError: it guesses something else than the noise, or its betas follow another rule.
    """
    said = {}
    if path is not None and path.is_file():
        said = json.loads(path.read_text(encoding="utf-8"))
    rule = said.get("beta_schedule", "linear"), said.get("prediction_type", "epsilon")
    if rule != ("linear", "epsilon"):
        raise ValueError(
            f"{path} says that betas are {rule[0]} and the network guesses {rule[1]}, but DDPM's "
            f"models have linear ones and guess epsilon: only such are read here."
        )
    return torch.linspace(said.get("beta_start", 1e-4), said.get("beta_end", 0.02),
                          said.get("num_train_timesteps", 1000), dtype=torch.float64)


def _time_of(kept: Tensor) -> Tensor:
    """The time at which so much of a picture's variance is left: α² = cos²(πt/2)."""
    return (kept.double().sqrt().acos() * 2 / math.pi).float()


def _import_diffusers() -> ModuleType:
    with optional_packages("an official diffusion model", "diffusers", "torchvision"):
        import_torchvision()
        import diffusers
    return diffusers
