"""Text-guided edits: which picture does a sentence mean?

`models` loads a CLIP, `constraints` makes terms of an energy of it, `editing` descends.
"""

from course_lib.text.constraints import (
    Identity,
    TextPrompt,
    discriminator_identity,
    lite0_identity,
)
from course_lib.text.editing import edit_with_text
from course_lib.text.models import REAL, Clip, load_clip

__all__ = [
    "REAL", "Clip", "Identity", "TextPrompt", "discriminator_identity", "edit_with_text",
    "lite0_identity", "load_clip",
]
