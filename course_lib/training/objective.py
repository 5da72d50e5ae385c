"""The game: the discriminator tells real from generated, the generator fools it."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Logits = Float[Tensor, "batch 1"]


def discriminator_loss(real: Logits, fake: Logits) -> Float[Tensor, ""]:
    """-log D(x) - log(1 - D(G(z))). Source: Goodfellow et al., 2014, eq. 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Logits) -> Float[Tensor, ""]:
    """-log D(G(z)), the non-saturating one. Source: Goodfellow et al., 2014, section 3."""
    return F.softplus(-fake).mean()


def gradient_penalty(real: Logits, images: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, ""]:
    """R1 = ½ E‖∇ D(x)‖² on real pictures. Source: Mescheder et al., 2018, eq. 9."""
    (gradient,) = torch.autograd.grad(real.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2


class PathLength:
    """E(‖Jᵀy‖ - a)²: equal steps in w change the picture equally, wherever in w.

    Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, eq. 4.
    """

    def __init__(self, decay: float = 0.01):
        self.mean, self.decay = torch.zeros([]), decay

    def __call__(
        self, images: Float[Tensor, "batch 3 h w"], w_plus: Float[Tensor, "batch rows dim"]
    ) -> Float[Tensor, ""]:
        """The penalty of pictures made from `w_plus`; follows the mean length a."""
        # The same draw however the pictures lie in memory.
        noise = torch.randn_like(images, memory_format=torch.channels_last)
        noise = noise / images[0, 0].numel() ** 0.5
        (gradient,) = torch.autograd.grad((images * noise).sum(), w_plus, create_graph=True)
        lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        self.mean = torch.lerp(self.mean.to(lengths), lengths.detach().mean(), self.decay)
        return (lengths - self.mean).square().mean()


@torch.no_grad()
def update_ema(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights a step towards the model's: EMA; buffers are copied."""
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
    for slow, fast in zip(average.buffers(), model.buffers(), strict=True):
        slow.copy_(fast)


def ema_decay(shown: int, seen: int, thousands: float) -> float:
    """Of averaged weights after a step of `shown` pictures: half gone after so many thousand.

    In the beginning after a twentieth of the pictures `seen`, or the samples look like fog.
    """
    horizon = max(1, min(1000 * thousands, 0.05 * seen))
    return 0.5 ** (shown / horizon)


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 where it is fast: on CUDA."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def frozen_precision(device: torch.device) -> torch.autocast:
    """bfloat16 wherever the machine multiplies it, CPUs with AMX included.

    For training through frozen features, which bear it: on such a CPU twice as fast there.
    """
    fast = device.type == "cuda" or (
        device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False))
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def take_over(module: nn.Module, tensors: dict[str, Tensor], name: str, advice: str) -> None:
    """Give a player stored weights, if they have just its names and shapes.

    Raises:
        ValueError: they don't.
    """
    wanted = {key: value.shape for key, value in module.state_dict().items()}
    if wanted != {key: value.shape for key, value in tensors.items()}:
        raise ValueError(
            f"the {name}'s weights have other names or shapes than in this recipe, so training "
            f"can't go on from them: {advice}."
        )
    module.load_state_dict(tensors)


def teach_discriminator(
    judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor,
    optimizer: torch.optim.Optimizer, r1: float | None,
) -> dict[str, Tensor]:
    """One step of the discriminator on a batch of each kind; its losses.

    Args:
        judge: pictures -> logits, augmentation included.
        r1: weight of the gradient penalty, None at steps that go without.
    """
    real_logits, fake_logits = judge(real), judge(fake)
    loss = discriminator_loss(real_logits, fake_logits)
    found = {"discriminator": loss.detach(), "real": real_logits.detach().mean(),
             "fake": fake_logits.detach().mean()}
    optimizer.zero_grad()
    loss.backward()
    if r1 is not None:
        real.requires_grad_()
        penalty = gradient_penalty(judge(real), real)
        (r1 * penalty).backward()
        found["r1"] = penalty.detach()
    synchronized_step(optimizer)
    return found


def synchronized_step(optimizer: torch.optim.Optimizer) -> None:
    """A step along the gradients, averaged over all processes."""
    average_gradients(p for group in optimizer.param_groups for p in group["params"])
    optimizer.step()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Under torchrun, the mean of all processes' gradients; alone, nothing."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for parameter in parameters:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= torch.distributed.get_world_size()
