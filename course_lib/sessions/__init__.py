"""Edits that a person directs, without a page or a mouse; the widgets draw what they hold.

`EditSession` changes pictures of a generator. `Rewording` draws a photo again by other words.
`PhotoSession` closes the loop around both: a photo is placed and projected, its code is edited, and
the change is carried back to the photo. `TextSession` edits pictures and photos by sentences.
"""

from course_lib.sessions.editing import EditSession
from course_lib.sessions.photo import PhotoSession
from course_lib.sessions.rewording import Rewording, Words
from course_lib.sessions.text import TextSession

__all__ = ["EditSession", "PhotoSession", "Rewording", "TextSession", "Words"]
