"""Big generators: a step of a projection in w_plus, by resolution, on made-up weights.

Networks of the official shape with random weights cost what trained ones cost: seconds and memory
depend on the shape alone. There is no peer, so the seconds themselves count.
"""

from collections.abc import Iterator

import torch

from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.stylegan2_networks import StyleGAN2Config, official_channels
from course_lib.losses import Loss, lite0_loss, perceptual_loss, pixel_loss, weighted_sum
from course_lib.projection import project
from tests.benchmarks.timing import median_seconds, peak_megabytes
from tests.toys import random_weights

Row = tuple[str, str, float, None, None, float | None]
STEPS = 2


def rows(device: torch.device | str) -> Iterator[Row]:
    """A step at each official resolution, features by Lite0 and by the discriminator."""
    for resolution in (128, 256, 512, 1024):
        generator = made_up(resolution, device)
        photo = torch.rand(3, resolution, resolution, generator=torch.Generator().manual_seed(1))
        features = {"Lite0": lite0_loss(), "discriminator": perceptual_loss(generator)}
        for name, feature in features.items():
            loss = weighted_sum({feature: 1, pixel_loss: 5})
            seconds, memory = measure(generator, photo.to(device), loss, device)
            yield f"a step, {name}", f"{resolution}²", seconds, None, None, memory


def made_up(resolution: int, device: torch.device | str = "cpu") -> StyleGAN2:
    """A generator and its discriminator in the official layout, every weight random."""
    config = StyleGAN2Config(official_channels(resolution))
    weights = random_weights(config, torch.Generator().manual_seed(0))
    return StyleGAN2.from_weights(weights, f"made up, {resolution}").to(device)


def measure(
    generator: StyleGAN2, photo: torch.Tensor, loss: Loss, device: torch.device | str
) -> tuple[float, float | None]:
    """Seconds a step, and the peak memory of a projection in MB, weights not counted."""
    def search(steps: int = STEPS) -> object:
        return project(generator, photo, space="w_plus", steps=steps, loss=loss)

    none, some = median_seconds(lambda: search(0), search, rounds=1, warm_ups=0)
    return (some - none) / STEPS, peak_megabytes(lambda: search(1), device)
