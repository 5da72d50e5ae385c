"""All that can be trained, by the name that the command line knows it by."""

from course_lib.training.base import Training
from course_lib.training.classifier import ClassifierTraining
from course_lib.training.clip import ClipTraining
from course_lib.training.dcgan import DCGANTraining
from course_lib.training.diffusion import DiffusionTraining
from course_lib.training.encoder import EncoderTraining
from course_lib.training.flow import GlowTraining, RealNVPTraining
from course_lib.training.polish import PolishTraining
from course_lib.training.projected_gan import ProjectedTraining
from course_lib.training.stylegan2 import StyleGAN2Training
from course_lib.training.vae import VAETraining
from course_lib.training.vqvae import PriorTraining, VQVAETraining
from course_lib.training.warm import WarmTraining

FAMILIES: dict[str, type[Training]] = {one.family: one for one in (
    ClassifierTraining, ClipTraining, DCGANTraining, DiffusionTraining, EncoderTraining,
    GlowTraining, PolishTraining, PriorTraining, ProjectedTraining, RealNVPTraining,
    StyleGAN2Training, VAETraining, VQVAETraining, WarmTraining,
)}

# Checkpoints of before families were written into them, by a part that only these have.
PARTS = {"encoder": "encoder", "classifier": "classifier", "critic": "projected",
         "level": "stylegan2", "discriminator": "dcgan"}


def family_of(state: dict) -> type[Training]:
    """Whose checkpoint this is.

    Raises:
        ValueError: nobody's that is known.
    """
    named = next((family for part, family in PARTS.items() if part in state), None)
    family = state.get("family", named)
    if family not in FAMILIES:
        raise ValueError(
            f"the run's checkpoint is of no family that is known ({family}), so it can't be "
            f"exported: pass the folder of a run of {', '.join(sorted(FAMILIES))}."
        )
    return FAMILIES[family]
