"""Text-guided edits: w* = argmin D_CLIP(G(w), t) + λ_L2 ‖w − w_s‖² + λ_ID L_ID(w).

Source: Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
eq. 1. Deviations: the change of code is measured in deviations along the axes of the space's
codes, and averaged (see `guidance`), so that one λ_L2 means the same in every space; and unless
`shared` is False all rows of w_plus change alike.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_number
from course_lib.generators.base import Generator
from course_lib.guidance import Constraint, Edit, edit
from course_lib.results import Callback
from course_lib.shapes import Latent
from course_lib.text.constraints import Identity, Look, TextPrompt, lite0_identity
from course_lib.text.models import Clip


def edit_with_text(
    generator: Generator,
    latent: Latent,
    prompt: str | Sequence[str],
    *,
    clip: Clip,
    space: str | None = None,
    l2: float = 1.0,
    identity: float = 0.0,
    identify: Look | None = None,
    steps: int = 60,
    learning_rate: float = 0.1,
    views: int = 2,
    constraints: Sequence[Constraint] = (),
    init: Float[Tensor, "starts ..."] | None = None,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    frames: int = 8,
    callback: Callback | None = None,
) -> Edit:
    """Change codes until their pictures are as the prompt says.

    Args:
        latent: w_s in `space`: a photo's code, a sample's, or several at once.
        prompt: a sentence; several that should all hold; or "from … to …" for a change.
        clip: who judges whether they are; see `load_clip`.
        l2: λ_L2, weight of the mean squared change in deviations; 0 to forget the start.
        identity: λ_ID; identify: what should stay the same, `lite0_identity()` if None.
        views: random frames a step through which the picture is looked at.
        constraints: strokes, drags and further wishes, which add up with the prompt.
        space, steps, learning_rate, init, layers, shared, frames, callback: as in
            `guidance.edit`.
    Returns:
        An `Edit`, whose energies hold "TextPrompt 1", "Identity 2" if asked for, the other
        constraints' terms and "close to the input", by step.
    Raises:
        ValueError: the prompt is empty or has a word that this CLIP does not know, or as
            `guidance.edit` does.
    """
    require_number(identity, "identity", least=0)
    wishes: list[Constraint] = [TextPrompt(prompt, clip, views=views)]
    if identity:
        wishes.append(Identity(identify or lite0_identity(), weight=identity))
    return edit(
        generator, latent, [*wishes, *constraints], space=space, smoothness=l2, steps=steps,
        learning_rate=learning_rate, init=init, layers=layers, shared=shared, frames=frames,
        callback=callback)
