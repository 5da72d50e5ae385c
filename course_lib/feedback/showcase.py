"""A page of a student's own results: pictures, films and words, in one file, safe to open."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image as Pillow
from torch import Tensor

from course_lib.feedback.answers import as_tensor
from course_lib.images import to_uint8

LARGEST = 5_000_000  # bytes of a page
PICTURE, FILM = 640, 320  # pixels, the longer side of what is shown
FRAMES = 60  # of a film, at most
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 1.05em/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em;
        color: #222; background: #fff }}
figure {{ margin: 1.5em 0 }}
img {{ min-width: min(100%, 30em); max-width: 100%; display: block }}
figcaption {{ color: #555; font-size: 0.9em }}
</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def save_results(
    path: str | Path, title: str, entries: Sequence[str | tuple[object, str]],
    *, seconds: float = 2.0,
) -> str:
    """Write a page to hand in beside the notebook; it needs nothing but itself.

    Args:
        path: of the page, such as "my_results.html".
        title: what the page is about, in a few words.
        entries: paragraphs, and pairs (picture, caption). A picture is (channels, height, width)
            in [0, 1]; several of one size, (n, channels, height, width) or a list, are a film,
            which runs to and fro.
        seconds: how long a film runs one way.

    Returns:
        A sentence on what was written; and on a paragraph that still ends in "...".

    Raises:
        ValueError: an entry is none, a caption is missing, or the page grows beyond 5 MB.
    """
    body = "\n".join(_entry(entry, seconds) for entry in entries)
    page = PAGE.format(title=html.escape(title), policy=POLICY, body=body)
    size = len(page.encode())
    if size > LARGEST:
        raise ValueError(f"The page would have {size / 1e6:.1f} MB, more than the 5 MB that can be "
                         f"handed in: show fewer or smaller pictures, or shorter films.")
    Path(path).write_text(page, encoding="utf-8")
    unsaid = [f" Still to be said: {entry}" for entry in entries
              if isinstance(entry, str) and is_unsaid(entry)]
    return (f"{Path(path).name} is written, {size / 1e6:.1f} MB: open it, and hand it in, too."
            + "".join(unsaid))


def is_unsaid(paragraph: str) -> bool:
    """Whether its end is still to be written by the student."""
    return paragraph.rstrip().endswith(("...", "…"))


def _entry(entry: str | tuple[object, str], seconds: float) -> str:
    if isinstance(entry, str):
        return f"<p>{html.escape(entry)}</p>"
    if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[1], str):
        raise ValueError(f"An entry of the page is a {type(entry).__name__}, so nobody knows what "
                         f"it shows: pass a paragraph, or (picture, caption).")
    shown, caption = entry
    if not caption.strip():
        raise ValueError("A picture has no caption: say in a sentence what it shows.")
    data = base64.b64encode(as_webp(frames_of(shown), seconds)).decode()
    text = html.escape(caption)
    return (f'<figure><img alt="{text}" src="data:image/webp;base64,{data}">'
            f"<figcaption>{text}</figcaption></figure>")


def frames_of(shown: object) -> list[Pillow.Image]:
    """A picture, or the frames of a film, as Pillow has them, none larger than needed."""
    pictures = as_tensor(shown).detach()
    if pictures.ndim == 3:
        pictures = pictures[None]
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or not len(pictures):
        raise ValueError(f"A picture has shape {tuple(pictures.shape)}: (channels, height, width) "
                         f"is a picture, (n, channels, height, width) a film.")
    if len(pictures) > FRAMES:
        raise ValueError(f"A film has {len(pictures)} frames: {FRAMES} are enough, so take every "
                         f"other one, frames[::2].")
    return [_small(picture, FILM if len(pictures) > 1 else PICTURE) for picture in pictures]


def _small(picture: Tensor, side: int) -> Pillow.Image:
    picture = torch.nan_to_num(picture.float()).clamp(0, 1).expand(3, -1, -1)
    image = Pillow.fromarray(to_uint8(picture))
    image.thumbnail((side, side))
    return image


def as_webp(frames: list[Pillow.Image], seconds: float = 2.0) -> bytes:
    """The frames as a WebP file; several are a film that runs to and fro without an end."""
    file = io.BytesIO()
    if len(frames) == 1:
        frames[0].save(file, "WEBP", quality=88)
    else:
        way = frames + frames[-2:0:-1]
        frames[0].save(file, "WEBP", quality=75, save_all=True, append_images=way[1:], loop=0,
                       duration=max(20, int(1000 * seconds / len(frames))))
    return file.getvalue()
