"""The class's page: what students show of an assignment, side by side, without their names.

A student's page is never shown as it is. Its pictures are decoded and written anew, its words taken
as text, and a page is made of these; all else in it is left out.
"""

import base64
import binascii
import csv
import hashlib
import html
import io
from argparse import Namespace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from PIL import Image as Pillow
from PIL import ImageSequence

from assignments.grading.confinement import is_plain_file
from assignments.grading.course import Course, CourseError, require_new
from assignments.grading.display import printable
from course_lib.feedback.showcase import FILM, FRAMES, LARGEST, PICTURE, as_webp, is_unsaid

NAME = "my_results.html"
POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
PIXELS = 4096 * 4096  # of a picture that is decoded, at most
SHOWN, WORDS = 40, 4000  # pictures and letters of a student's, at most
FORMATS = ("WEBP", "PNG", "JPEG", "GIF")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 1.05em/1.5 system-ui, sans-serif; margin: 2em auto; padding: 0 1em; max-width: 80em;
        color: #222; background: #fff }}
section {{ border-top: 1px solid #ccc; padding: 0.5em 0 1em }}
.row {{ display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start }}
figure {{ margin: 0; max-width: min(100%, 40em) }}
img {{ min-width: min(100%, 20em); max-width: 100%; display: block }}
figcaption {{ color: #555; font-size: 0.85em; max-width: 24em }}
p {{ max-width: 46em }}
</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def gallery(course: Course, options: Namespace) -> None:
    """Make the page, its pictures, an empty vote sheet, and the key to who is which number."""
    name, to = options.assignment, options.to
    course.require(name)
    require_new(to)
    shown, left = [], []
    for student in in_some_order(course, name):
        entries = taken_from(course.notebook("submitted", name, student).with_name(NAME))
        shown += [(student, entries)] if isinstance(entries, list) else []
        left += [f"{student}: {entries}"] if isinstance(entries, str) else []
    if not shown:
        raise CourseError(f"Nobody who handed in {name} has a page of results, so there is "
                          f"nothing to show: {left[0] if left else 'nothing was handed in'}")
    to.mkdir(parents=True, exist_ok=True)
    sections = [section(to, number, student if options.names else "", entries)
                for number, (student, entries) in enumerate(shown, start=1)]
    page = PAGE.format(title=html.escape(title_of(course, name)), policy=POLICY,
                       body="\n".join(sections))
    (to / "index.html").write_text(page, encoding="utf-8")
    _table(to / "votes.csv", ["number", "votes"], [[n, ""] for n in range(1, len(shown) + 1)])
    key = to.with_name(f"{to.name}-key.csv")
    _table(key, ["number", "student"], [[n, who] for n, (who, _) in enumerate(shown, start=1)])
    for line in left:
        print(printable(line))
    print(f"{len(shown)} of {len(shown) + len(left)} are in {to}/index.html; {key} tells who is "
          f"which number, and is for you alone.")


def title_of(course: Course, name: str) -> str:
    """The first line of the assignment, which is its heading."""
    first = nbformat.read(course.notebook("source", name), 4).cells[0].source
    return first.partition("\n")[0].lstrip("# ")


def in_some_order(course: Course, name: str) -> list[str]:
    """Who handed something in, in an order that tells nothing and stays the same."""
    def place(student: str) -> str:
        return hashlib.sha256(f"{course.seed()} {name} {student}".encode()).hexdigest()

    return sorted(course.students(name), key=place)


def _table(path: Path, head: list[str], rows: list[list]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])


class Reader(HTMLParser):
    """What is text in a student's page, paragraph by paragraph, and its pictures' data."""

    def __init__(self):
        super().__init__()
        self.entries: list[list] = []  # [the picture's data or None, its text]
        self.inside: list | None = None

    def handle_starttag(self, tag: str, attributes: list) -> None:
        """A picture or a paragraph begins."""
        if tag == "img":
            self.entries.append([dict(attributes).get("src") or "", ""])
        elif tag == "p":
            self.entries.append([None, ""])
        if tag in ("p", "figcaption") and self.entries:
            self.inside = self.entries[-1]

    def handle_endtag(self, tag: str) -> None:
        """Text is taken only where one is open."""
        if tag in ("p", "figcaption"):
            self.inside = None

    def handle_data(self, data: str) -> None:
        """Letters that a reader sees."""
        if self.inside is not None:
            self.inside[1] += data


def taken_from(path: Path) -> list[tuple[bytes | None, str]] | str:
    """What a student's page shows: WebP files, written anew, and texts; or why there is nothing."""
    if not path.exists() and not path.is_symlink():
        return f"no {NAME}"
    if not is_plain_file(path) or path.parent.is_symlink():
        return f"{NAME} is no plain file"
    if path.stat().st_size > LARGEST + 100_000:
        return f"{NAME} has more than 5 MB"
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8", errors="replace"))
    taken = []
    for source, text in reader.entries[:SHOWN]:
        picture = None if source is None else rewritten(source)
        if picture is not None or (source is None and text.strip() and not is_unsaid(text)):
            taken.append((picture, printable(text.strip())[:WORDS]))
    return taken or f"{NAME} shows nothing that can be taken over"


def rewritten(source: str) -> bytes | None:
    """A picture's data URI, decoded and written anew as WebP; None if it is no picture."""
    head, _, data = source.partition(";base64,")
    if not head.startswith("data:image/"):
        return None
    try:
        file = io.BytesIO(base64.b64decode(data, validate=True))
        with Pillow.open(file, formats=FORMATS) as picture:
            count = min(getattr(picture, "n_frames", 1), 2 * FRAMES)
            if picture.width * picture.height * count > PIXELS:
                return None
            frames = [one.convert("RGB") for _, one in
                      zip(range(count), ImageSequence.Iterator(picture), strict=False)]
    except (OSError, ValueError, SyntaxError, binascii.Error, Pillow.DecompressionBombError):
        return None
    frames = frames[:len(frames) // 2 + 1]  # films run to and fro
    for one in frames:
        one.thumbnail((FILM, FILM) if len(frames) > 1 else (PICTURE, PICTURE))
    return as_webp(frames)


def section(to: Path, number: int, student: str, entries: list[tuple[bytes | None, str]]) -> str:
    """One student's part of the page; the pictures go into files beside it."""
    pictures, words = [], []
    for index, (data, text) in enumerate(entries):
        if data is None:
            words.append(f"<p>{html.escape(text)}</p>")
            continue
        name = f"{number}-{index}.webp"
        (to / name).write_bytes(data)
        told = html.escape(text)
        pictures.append(f'<figure><img loading="lazy" alt="{told}" src="{name}">'
                        f"<figcaption>{told}</figcaption></figure>")
    title = html.escape(f"{number} · {printable(student)}" if student else str(number))
    return (f'<section id="n{number}"><h2>{title}</h2><div class="row">{"".join(pictures)}</div>'
            f"{''.join(words)}</section>")
