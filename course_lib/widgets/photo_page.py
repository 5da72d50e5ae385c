"""What stands on `PhotoTool`'s page, and how it is laid out; what it does is in `photo`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets
import torch
from torch import Tensor

from course_lib.checks import require_option
from course_lib.familiarity import Familiarity
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.images import load_image
from course_lib.plotting import tile
from course_lib.realism import KINDS, judge_realism
from course_lib.sessions import PhotoSession, Rewording, Words
from course_lib.shapes import Image
from course_lib.widgets.canvas import Canvas, Pair, Place, Stroke, encode
from course_lib.widgets.sliders import Picture
from course_lib.widgets.wishes import told_drags

OWN = "my own photo"
SAMPLE = "the model's own"
LARGEST = 2048  # pixels along a photo's longer side; larger ones are read at this size
EYES = ((0.345, 0.496), (0.655, 0.496))  # where they lie in the cats' pictures, in shares
AIM = {"cats": EYES, "cats-128": EYES, "cats-dcgan": EYES}  # generators whose things have eyes
WORDS = dict.fromkeys(AIM, "cats-diffusion")  # who draws photos of the same things by other words
ANY = "as it is"
PAD = 512  # pixels along the square that is painted on
MODEL = 128  # pixels, of the small pictures that the model sees
BRUSHES = ("color", "sketch", "drag")
FUR = (("#F4EFE6", "cream"), ("#1F1B1A", "black"), ("#C9772E", "ginger"), ("#6B5340", "brown"),
       ("#8A93A0", "blue-grey"), ("#4E8F3A", "green"), ("#3A7DBD", "blue"))
CLICK = ("Click the middle of one eye, then of the other, and drag a point to correct it. The "
         "outline shows what the model will see.")
MISSING = ("Click both eyes, then press “Project it”.",  # by the number of points
           "Click the other eye, then press “Project it”.", "")
READY = "Paint on the left, and the photo follows."
INSIDE = "What the model sees: the square, its projection G(w0), and the edit G(w1)"
ALERT = ("border-left: 4px solid #D55E00; padding: 5px 9px; margin: 0; line-height: 1.35; "
         "background: var(--jp-layout-color2, #f3f3f3)")


@dataclass(frozen=True)
class PhotoState:
    """The photo, where it was placed, and what is wished.

    Attributes:
        name: of a photo that ships, or `OWN`.
        image: (3, H, W) in [0, 1].
        points: two places in it, (x, y) in pixels, that belong at the eyes; none: the middle.
        placed: False while the points are being chosen.
        strokes, pairs: painted on the square, in its pixels, of which there are 512 along a side.
        strengths: of each named direction, in % of its reach.
        kind, color: words for the photo, "as it is" for none; loudness: how loud, 1 to 6.
    """

    name: str
    image: Image
    points: tuple[Place, ...] = ()
    placed: bool = True
    strokes: tuple[Stroke, ...] = ()
    pairs: tuple[Pair, ...] = ()
    strengths: tuple[float, ...] = ()
    kind: str = ANY
    color: str = ANY
    loudness: float = 2.0

    @property
    def words(self) -> Words:
        """What is said, for a session."""
        kind, color = (None if word == ANY else word for word in (self.kind, self.color))
        return Words(kind, color, self.loudness)

    def lies_like(self, other: "PhotoState | None") -> bool:
        """Whether the photo is the other's, placed where that was."""
        return (other is not None and other.image is self.image and other.placed == self.placed
                and (not self.placed or other.points == self.points))


def first_photo(generator: Generator, photo: Image | str | None) -> tuple[str, Image]:
    """The name and the picture of what is shown first: one that ships, if there is a choice."""
    if photo is None and generator.name not in AIM:
        rng = torch.Generator().manual_seed(0)
        space = generator.spaces[-1]
        psi = 1 if space == "z" else 0.7
        with torch.no_grad():
            latent = generator.sample_latent(1, space=space, rng=rng, truncation_psi=psi)
            image = generator.decode(latent, space=space)[0].clamp(0, 1)
        return SAMPLE, image.cpu()
    if photo is None or isinstance(photo, str):
        name = photo or "tabby"
        return name, load_image(name, device="cpu")
    return OWN, photo.float() if isinstance(photo, Tensor) else photo


def find_rewording(words: Generator | str | None, generator: Generator) -> Rewording | None:
    """Who draws photos by other words: as asked for, or who does so of the generator's things."""
    words = words or WORDS.get(generator.name)
    if isinstance(words, str):
        words = load_generator(words, device=generator.device)
    return Rewording(words) if words else None


def photo_controls(
    name: str, names: Sequence[str], rewording: Rewording | None
) -> dict[str, ipywidgets.Widget]:
    """The photos' menu; and, where there is who draws by them, words and how loud they are said."""
    shown = {"name": ipywidgets.Dropdown(
        options=[*names, *(() if name in names else (name,))], value=name, description="photo")}
    if rewording is None:
        return shown
    shown |= {name: ipywidgets.Dropdown(options=[ANY, *words], description=label)
              for name, label, words in (("kind", "pattern", rewording.kinds),
                                         ("color", "coat", rewording.colors)) if words}
    return shown | {"loudness": ipywidgets.FloatSlider(
        2.0, min=1, max=6, step=0.5, description="how loud", continuous_update=False)}


def require_words(controls: Mapping[str, ipywidgets.Widget], **words: str) -> None:
    """Raise a `ValueError` unless the menus of these names offer these words."""
    for name, word in words.items():
        require_option(word, controls[name].options if name in controls else (ANY,), name)


def told(session: PhotoSession, picture: Image, *, whole: bool = False) -> str:
    """The energy's terms, how far drags got, what was said, how much has changed where, how strange
    the whole photo looks, and at what size it is shown; or that something may be wished.
    """
    terms = session.terms()
    if not session.is_edited:
        return READY
    energy = " + ".join(f"{name} {value:.3f}" for name, value in terms.items())
    changed = ", ".join(
        f"{value:.3f} {where}" for where, value in session.changes().items() if session.is_moved)
    said = " · ".join(filter(None, (session.words.kind, session.words.color)))
    size = ("the whole photo at its own size" if whole else
            "preview" if session.edit.is_under_way else "preview, the whole photo follows")
    return " · ".join(filter(None, [
        f"Energy: {energy}" if energy else "",
        told_drags(session.edit.editing) if terms else "", f"said: {said}" if said else "",
        f"G changed by {changed}" if changed else "",
        f"step {session.edit.editing.age} of {session.edit.steps}" if terms else "",
        told_strangeness(session, picture) if whole else "",
        f"{size}, {picture.shape[-1]} × {picture.shape[-2]}"]))


def told_strangeness(session: PhotoSession, picture: Image) -> str:
    """How the edited photo looks beside photographs of its kind; "" if none are at hand."""
    kind, size = session.generator.kind, session.generator.resolution
    if kind not in KINDS:
        return ""
    squares = [session.frame.cut(one, size).clamp(0, 1) for one in (session.photo, picture)]
    before, after = judge_realism(torch.stack(squares), kind).stranger.tolist()
    return f"stranger than {after:.0%} of photographs (before: {before:.0%})"


class PhotoPage:
    """The parts of the page.

    Args:
        image: the photo, (3, H, W).
        alt: what a reader who can't see the pictures should know.
        size: of the pictures on the screen, in pixels, at most.
        directions: names, each of which gets a slider.
        drags: whether the generator has features that a drag could pull.

    Attributes:
        placer: where the eyes are clicked; pad: where one paints; answer: the photo, edited.
        go: projects what was placed; again: lets it be placed anew; halt: ends a projection.
        bar: how far it has come; progress: the bar and `halt`.
        warning: that the model does not know the photo.
        sliders: how far to go along each direction, in % of its reach.
    """

    def __init__(
        self, image: Image, alt: str, size: int, directions: Sequence[str], *, drags: bool
    ) -> None:
        screen = {"max_size": (size, size)}
        self.placer = Canvas(
            image, mode="points", title="Where are the eyes?", alt=f"{alt} (to be placed)",
            actions=["photo"], hint=CLICK, **screen)
        self.pad = Canvas(
            torch.ones(3, PAD, PAD), mode="brushes", title="Paint what you wish",
            alt=f"{alt} (to paint on)", actions=["photo"], inks=FUR,
            brushes=BRUSHES if drags else BRUSHES[:2],
            brush_size=(PAD // 10, PAD // 3), **screen)
        self.answer = Canvas(image, title="Your photo, edited", alt=alt,
                             actions=["before", "save"], **screen)
        self.sliders = [
            ipywidgets.IntSlider(0, -100, 100, description=name, continuous_update=False,
                                 layout={"width": "22em"}, style={"description_width": "10em"})
            for name in directions
        ]
        self.go = ipywidgets.Button(description="Project it", icon="play",
                                    button_style="primary")
        self.again = ipywidgets.Button(description="Place anew", icon="crosshairs")
        self.halt = ipywidgets.Button(description="Enough", icon="stop", layout={"width": "auto"})
        self.bar = ipywidgets.IntProgress(0, 0, 1, layout={"width": "14em"})
        self.progress = ipywidgets.HBox([self.bar, self.halt], layout={"display": "none"})
        self.warning = ipywidgets.HTML()
        self._model = Picture(f"{alt}: the square, its projection, and the projection edited")

    def arrange(self, widget: ipywidgets.VBox) -> None:
        """The photo's menu and the progress above, then the pictures, the sliders, the words, the
        model.
        """
        for canvas in (self.placer, self.pad, self.answer):  # side by side as long as they can
            canvas.layout.flex, canvas.layout.min_width = "1 1 0", "320px"
        rows, pictures = widget.children
        pictures.layout.width = "100%"
        menu, *said = rows.children
        rows.children = [menu, self.go, self.again, self.progress]
        words = ipywidgets.HBox(said, layout={"flex_flow": "wrap"})
        sliders = ipywidgets.HBox(self.sliders, layout={"flex_flow": "wrap"})
        inside = ipywidgets.VBox([ipywidgets.HTML(INSIDE), self._model.widget])
        widget.children = [rows, self.warning, pictures, *[sliders] * bool(self.sliders),
                           *[words] * bool(said), inside]

    def show_model(self, pictures: Tensor) -> None:
        """The square, G(w0) and G(w1), or those of them that there are, (n, 3, r, r)."""
        self._model.value = encode(tile(pictures, len(pictures), size=MODEL))

    def show_missing(self, points: Sequence[Place]) -> None:
        """What has to be clicked before the photo can be projected."""
        self.placer.note = MISSING[len(points)]
        self.go.disabled = len(points) < 2

    def show_step(self, placed: bool, can_be_placed: bool) -> None:
        """Where the eyes are clicked, or where one paints; and the button that leads on."""
        for widget, seen in ((self.placer, not placed), (self.go, not placed),
                             (self.pad, placed), (self.again, placed and can_be_placed)):
            widget.layout.display = "" if seen else "none"

    def warn(self, familiarity: Familiarity | None, model: str) -> None:
        """Say that the model does not know a photo; nothing of one that it knows."""
        if familiarity is None or familiarity.is_known:
            self.warning.value = ""
            return
        self.warning.value = (
            f'<p role="alert" style="{ALERT}"><b>{model} does not know this</b>: its own picture '
            f"of it is {familiarity.ratio:.1f} times as far off as is usual, so an edit may "
            f"turn it into something else. Place the photo anew, or choose another.</p>"
        )
