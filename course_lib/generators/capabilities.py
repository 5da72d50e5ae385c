"""What some families of generators can do and others can't.

A family that has a capability overrides its method; here each says in a sentence that it is
missing. A method that needs one asks for it by that name, before it works:
`generator.offers("invert")`, `generator.require_capability("features")`.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_option
from course_lib.denoising import LATEST, Noisy, Prediction
from course_lib.shapes import Image, Latent

MISSING = {
    "features": "has no layers to look into, so nothing that compares or follows features works "
                "on it: take what reads pictures or codes alone",
    "discriminator_features": "came without a discriminator, whose features would be compared: "
                              "pass loss=pixel_loss, or lite0_loss()",
    "invert": "has no inverse of its own, so nothing leads from a picture to its code in one "
              "step: search for it with projection.project",
    "predict": "draws a picture at once, not in steps that one could reach into: take a diffusion "
               "model",
    "log_likelihood": "does not know how likely a picture is: take a flow, or compare distances "
                      "with metrics.nearest_sample",
    "reading_weights": "has no layer that reads its code linearly, so its weights alone tell no "
                       "direction: use ganspace",
    "style_slices": "has no styles, one scale a channel, of which a part's own could be changed: "
                    "take a StyleGAN2",
    "with_mix": "is told no class, so there are none to mix: take a BigGAN, or project the photo "
                "with projection.project",
    "mix_styles": "has no styles, of which coarse ones and fine ones could be mixed: blend two "
                  "codes with interpolate",
}


class Capabilities:
    """Methods beside the core, each a capability of its own.

    Attributes:
        layers: names for `features`, from coarse to fine; none in families without layers.
        num_ws: rows of w_plus, of families with styles.
        classes: their names, of families that are told which one to draw, or a mixture.
        steps, latest: of families that `predict`, how many steps lead from noise to a picture, and
            at what time they begin.
    """

    name: str
    layers: tuple[str, ...] = ()
    num_ws: int = 0
    classes: tuple[str, ...] = ()
    steps: int = 0
    latest: float = LATEST

    def offers(self, capability: str) -> bool:
        """Whether this generator has a capability, one of `MISSING`'s names."""
        require_option(capability, tuple(MISSING), "capability")
        return getattr(type(self), capability) is not getattr(Capabilities, capability)

    def require_capability(self, capability: str) -> None:
        """Raise a `ValueError` unless this generator has it."""
        if not self.offers(capability):
            raise self._lacks(capability)

    def features(self, latent: Latent, layer: str, *, space: str = "z") -> Tensor:
        """What a layer holds on the way to the pictures: (batch, channels, height, width)."""
        raise self._lacks("features")

    def decode_with_features(
        self, latent: Latent, layers: Sequence[str], *, space: str = "z"
    ) -> tuple[Image, dict[str, Tensor]]:
        """What `decode` gives, and by layer what `features` does; where a family can, in one pass.
        """
        features = {layer: self.features(latent, layer, space=space) for layer in layers}
        return self.decode(latent, space=space), features

    @property
    def has_discriminator(self) -> bool:
        """Whether a discriminator came along, whose features losses compare."""
        return self.offers("discriminator_features")

    def discriminator_features(self, images: Image) -> list[Tensor] | None:
        """What the discriminator makes of pictures in [0, 1], fine to coarse; None without one."""
        return None

    def discriminator_score(self, images: Image) -> Float[Tensor, " batch"] | None:
        """How real the discriminator takes pictures in [0, 1] for, as logits; None without one."""
        return None

    def invert(self, images: Image, *, space: str) -> Latent:
        """Codes of pictures in [0, 1] by the family's own inverse, without a search.

        Of a flow it is exact; of an autoencoder what its encoder says; of a diffusion model the
        chain run backwards.
        """
        raise self._lacks("invert")

    def predict(self, x_t: Noisy, t: float) -> Prediction:
        """What pictures in [-1, 1], with noise as of time t, tell of the clean ones."""
        raise self._lacks("predict")

    def times(self) -> Float[Tensor, " times"]:
        """The times of the way from noise to a picture, from `latest` to 0."""
        raise self._lacks("predict")

    def log_likelihood(self, images: Image) -> Float[Tensor, " batch"]:
        """ln p(x) of pictures in [0, 1], in nats."""
        raise self._lacks("log_likelihood")

    def reading_weights(
        self, layers: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "rows dim"], str]:
        """The rows by which layers (all if None) read the code linearly, and the code's space."""
        raise self._lacks("reading_weights")

    def style_slices(self) -> dict[str, slice]:
        """Where in a code of space "s" each layer's style stands."""
        raise self._lacks("style_slices")

    def style_inputs(self, latent: Latent, *, space: str = "z") -> dict[str, Tensor]:
        """By layer what its style scales: (batch, channels, height, width)."""
        raise self._lacks("style_slices")

    def with_mix(self, mix: Float[Tensor, "mixes classes"]) -> "Capabilities":
        """The same generator for mixtures of its classes, one for all codes or one for each."""
        raise self._lacks("with_mix")

    def mix_styles(self, coarse: Latent, fine: Latent, crossover: int) -> Latent:
        """Rows up to `crossover` of one w_plus, the rest of another."""
        raise self._lacks("mix_styles")

    def _lacks(self, capability: str) -> ValueError:
        return ValueError(f"{self.name} {MISSING[capability]}.")
