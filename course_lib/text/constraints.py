"""What a sentence asks of a picture, and who should still be on it, as terms of an energy.

They add up with strokes and drags in `guidance.edit`.

Sources: Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
eq. 1 (D_CLIP and L_ID); Gal et al., "StyleGAN-NADA", SIGGRAPH 2022, eq. 2 (directions). Deviation:
pictures are looked at through random frames, so that no pattern of pixels answers a sentence.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_count, require_image
from course_lib.generators.base import Generator
from course_lib.guidance.strokes import Energy
from course_lib.lite0 import arrange_pictures, load_lite0
from course_lib.shapes import Image, Latent
from course_lib.text.models import Clip

FROM_TO = re.compile(r"\s*from\s+(.+?)\s+to\s+(.+?)\s*", re.IGNORECASE)
CLOSEST = 0.75  # of a picture's side: the smallest frame
SOFT = 0.1  # a change of embedding shorter than that has no clear direction yet

Look = Callable[[Tensor], Tensor]
"""Pictures (batch, 3, r, r) in [0, 1] -> what identifies what is on them, (batch, d)."""


@dataclass(frozen=True)
class TextPrompt:
    """A picture should be as a sentence says: D = 1 − cos(I(G(w)), T(t)), averaged over frames.

    "from a black cat to a ginger cat" asks for the change alone, in whatever else the picture is:
    D = 1 − cos(I(G(w)) − I(G(w0)), T(t) − T(t0)).

    Attributes:
        prompt: a sentence, or several that should all hold (their D is averaged).
        clip: whose embeddings I and T are; see `load_clip`.
        views: random frames a step, each at least `CLOSEST` of the picture wide; 0 for the picture
            itself, which adversarial texture can answer.
        seed: of the frames.
    """

    prompt: str | Sequence[str]
    clip: Clip
    weight: float = 1.0
    views: int = 2
    seed: int = 0

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy."""
        require_count(self.views, "views", least=0)
        wanted = [self._aim(sentence) for sentence in require_prompts(self.prompt)]
        rng = torch.Generator().manual_seed(self.seed)
        with torch.no_grad():
            before = self.clip.embed_images(generator.decode(latent, space=space))

        def energy(_: Tensor, image: Tensor) -> Tensor:
            seen = random_frames(image, self.views, rng) if self.views else image[None]
            found = self.clip.embed_images(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
            return sum(aim(found, before) for aim in wanted).mean(dim=0) / len(wanted)

        return energy

    def _aim(self, sentence: str) -> Callable[[Tensor, Tensor], Tensor]:
        """(embeddings (views, batch, d), z0's (batch, d)) -> D of this sentence, (views, batch)."""
        change = FROM_TO.fullmatch(sentence)
        with torch.no_grad():
            if change is None:
                text = self.clip.embed_texts([sentence])[0]
                return lambda found, before: 1 - found @ text
            origin, text = self.clip.embed_texts(list(change.groups()))
        way = text - origin
        if float(way.norm()) < 1e-3:
            raise ValueError(
                f"both ends of the prompt {sentence!r} mean the same to this model, so there is "
                f"no way from one to the other: name what should differ."
            )
        way = F.normalize(way, dim=0)

        def directional(found: Tensor, before: Tensor) -> Tensor:
            moved = found - before
            length = (moved.square().sum(dim=-1) + SOFT**2).sqrt()
            return 1 - (moved @ way) / length

        return directional


@dataclass(frozen=True)
class Identity:
    """The same individual as before: L_ID = 1 − cos(R(G(w)), R(G(w0))).

    Attributes:
        look: R, any function or network of the picture; `lite0_identity()` and
            `discriminator_identity(generator)` are ready, and for faces it may be your own face
            network.
        photo: (3, r, r), to be compared with in place of G(w0).
    """

    look: Look
    weight: float = 1.0
    photo: Image | None = None

    def bind(self, generator: Generator, latent: Latent, space: str) -> Energy:
        """Its term of the energy, which checks what the function returns."""
        if not callable(self.look):
            raise ValueError(
                f"Identity holds a {type(self.look).__name__}, which can't look at a picture: "
                f"pass a function, lite0_identity(), say."
            )
        with torch.no_grad():
            if self.photo is None:
                first = generator.decode(latent, space=space)
            else:
                require_image(self.photo, "photo")
                first = self.photo.to(latent)[None].expand(len(latent), -1, -1, -1)
            known = self._unit(first)
        return lambda _, image: 1 - (self._unit(image) * known).sum(dim=1)

    def _unit(self, images: Tensor) -> Float[Tensor, "batch d"]:
        found = self.look(images)
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"the function in Identity returned {shape} for {len(images)} pictures, but one "
                f"vector a picture, ({len(images)}, d), is compared: flatten all other axes."
            )
        if not found.isfinite().all():
            raise ValueError(
                "the function in Identity returned NaN or infinity, which can't be compared: check "
                "which range of pictures it takes; here they are in about [0, 1]."
            )
        return F.normalize(found, dim=1)


def lite0_identity(*, seen_at: int = 96) -> Look:
    """What EfficientNet-Lite0 sees of the grey picture: shapes and patterns; colour is free.

    The last features at 1/16, averaged over 3² places, so that what is where counts a little.
    """
    require_count(seen_at, "seen_at", least=32)
    load_lite0()  # or say at once that it is missing

    def look_at(images: Tensor) -> Tensor:
        luma = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
        gray = (images * luma).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        features = load_lite0(images.device)(arrange_pictures(gray, seen_at))[2]
        return F.adaptive_avg_pool2d(features, 3).flatten(1)

    return look_at


def discriminator_identity(generator: Generator) -> Look:
    """The coarsest features of the generator's own discriminator.

    Raises:
        ValueError: it has lost its discriminator.
    """
    if not generator.has_discriminator:
        raise ValueError(
            f"{generator.name} came without its discriminator, whose features would tell who is on "
            f"a picture: use lite0_identity()."
        )
    return lambda images: generator.discriminator_features(images)[-1].flatten(1)


def random_frames(
    images: Image, views: int, rng: torch.Generator
) -> Float[Tensor, "views batch 3 r r"]:
    """Each picture through frames of random place and size, at its own resolution."""
    count = views * len(images)
    share = CLOSEST + (1 - CLOSEST) * torch.rand(count, generator=rng)
    place = (torch.rand(count, 2, generator=rng) * 2 - 1) * (1 - share)[:, None]
    frames = torch.zeros(count, 2, 3)
    frames[:, 0, 0] = frames[:, 1, 1] = share
    frames[:, :, 2] = place
    repeated = images.repeat(views, 1, 1, 1)
    grid = F.affine_grid(frames.to(images), list(repeated.shape), align_corners=False)
    seen = F.grid_sample(repeated, grid, padding_mode="border", align_corners=False)
    return seen.unflatten(0, (views, len(images)))


def require_prompts(prompt: object) -> list[str]:
    """One sentence or several, as a list; a `ValueError` if it is neither."""
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, Sequence) or not all(isinstance(one, str) for one in prompts):
        raise ValueError(
            f"prompt is {prompt!r}, which is no sentence: pass a text, or a list of texts."
        )
    if not prompts or not all(one.strip() for one in prompts):
        raise ValueError(
            "the prompt is empty, so it says nothing about a picture: write what should be seen."
        )
    return list(prompts)
