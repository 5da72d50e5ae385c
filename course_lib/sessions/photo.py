"""The loop closed: a photo is placed, projected, edited, and the change carried back to it.

Source: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
figure 1: project, edit on the manifold, transfer the edit to the photo.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_photo
from course_lib.directions import move
from course_lib.directions.naming import shipped_directions
from course_lib.encoders import has_inverse
from course_lib.familiarity import judge_familiarity
from course_lib.framing import Frame, carry_back, place_region
from course_lib.generators.base import Generator
from course_lib.guidance import ColorStroke, Constraint, Drag, Rest
from course_lib.guidance.rest import near
from course_lib.projection import Projection, project
from course_lib.results import CLOSE_TO_INPUT, Callback
from course_lib.sessions.editing import EditSession
from course_lib.sessions.outlines import find_outline
from course_lib.sessions.rewording import Rewording, Words
from course_lib.shapes import Ellipse, Image, Latent
from course_lib.transfer import (
    Change,
    Transfer,
    estimate_flow_and_color,
    follow_morph,
    soft_ellipses,
    trust_projection,
    unchanged,
)
from course_lib.transfer.apply import MORPH_SMOOTHNESS, STIFF
from course_lib.transfer.motion import COLOR_SMOOTHNESS, shrink

PREVIEW = 512  # pixels: the longer side of the photo as it is shown while an edit is under way
COARSE = 64  # pixels: at most, the side at which motion is found for a preview
FRAMES = 5  # of the morph that is followed for the whole photo
# A photo's code lies far out, and is easily led off: so it is held more firmly than a sample's.
PRIOR = 0.3  # of the projection: a code as likely as a sample's, which edits move as they should
SMOOTHNESS, DRAG_SMOOTHNESS = 0.3, 1.0  # λ_s
REST, DRAG_REST = 9.0, 3.0  # weight of what nobody asked to change
POSE = 4  # rows of w_plus, from the coarsest, which decide on pose and build


class PhotoSession:
    """A photo and its edit.

    Place the photo, `project` it, `ask` for something, `follow`, and look at `preview` meanwhile;
    `finish` gives the photo at its own size, by other words if any were said.

    Args:
        generator: whose manifold the photo is brought to.
        photo: (3, H, W) in [0, 1].
        frame: where the generator's square lies in it; the middle if None.
        steps: of each edit; shared: as in `guidance.edit`.
        projection_steps, prior: of `projection.project`.
        rewording: who draws the photo by other words, where that can be done.

    Attributes:
        square: what lies in the frame, (3, r, r); small: the photo, 512 pixels long at most.
        projection: None until `project` has come to its end.
        familiarity: how well the model knows the photo, if that can be told.
        edit: the edit of the square's code.
        directions: those that were named for this generator, by name.
        within: where alone the photo follows, in the square; everywhere if there is none.
        keeps: where it never does.
        behind, beyond: 1 behind the thing, and there or below its head; 0 where it isn't known.
        still: whether what lies beyond stays.
        words: what is said of the photo; nothing at first.
    """

    def __init__(
        self, generator: Generator, photo: Image, *, frame: Frame | None = None, steps: int = 60,
        projection_steps: int = 100, prior: float = PRIOR, shared: bool = False,
        rewording: Rewording | None = None,
    ) -> None:
        self.generator, self.projection_steps, self.prior = generator, projection_steps, prior
        self.shared, self.rewording, self.words = shared, rewording, Words()
        self.within: tuple[Ellipse, ...] = ()
        self.keeps, self.still = self.within, False
        self.space = generator.spaces[-1]
        self.edit = EditSession(generator, space=self.space, steps=steps)
        self.directions = shipped_directions(generator)
        self.open(photo, frame)

    def open(self, photo: Image, frame: Frame | None = None) -> None:
        """Take another photo, or the same one placed anew; what was projected is forgotten."""
        require_photo(photo)
        self.photo, self.frame = photo, frame or Frame.middle(photo)
        factor = min(1.0, PREVIEW / max(photo.shape[-2:]))
        size = [max(1, round(side * factor)) for side in photo.shape[-2:]]
        self.small = shrink(photo, size)
        self._small_frame = self.frame.scaled(size[1] / photo.shape[-1])
        self.square = self.frame.cut(photo, self.generator.resolution).clamp(0, 1)
        self.projection: Projection | None = None
        self.behind = self.beyond = torch.zeros(self.square.shape[-2:])
        self.familiarity = judge_familiarity(self.generator, self.square)

    def project(self, callback: Callback | None = None) -> None:
        """Find the square's code: the inverting network's, where there is one, then descent.

        Args:
            callback: as in `projection.project`; what was found by `StopIteration` is kept.
        """
        init = "encoder" if has_inverse(self.generator, self.space) else "mean"
        found = project(
            self.generator, self.square.to(self.generator.device), space=self.space, init=init,
            steps=self.projection_steps, prior=self.prior, callback=callback)
        self.projection = found
        self.start_again()
        self._first = self.edit.before.clamp(0, 1)
        self._trust = trust_projection(self.square.to(self._first), self._first)
        self.behind, self.beyond = (
            find_outline(self.generator, found.latent, self.square, names, space=self.space)
            for names in (["background"], ["background", "chest"]))  # they go on outside the square

    def start_again(self) -> None:
        """Nothing is asked for: the photo is as it was."""
        self._strengths: dict[str, float] = {}
        self._asked: tuple[Constraint, ...] = ()
        self.edit.begin(self.projection.latent, shared=self.shared)
        self._seen: Transfer | None = None
        self.words = Words()

    def say(self, words: Words) -> None:
        """Take up words, for `finish`.

        Raises:
            ValueError: there is nobody to say them to.
        """
        if words and self.rewording is None:
            raise ValueError(
                f"{self.generator.name} is told nothing, so words change no photo: give the "
                f"session a Rewording of a model that is."
            )
        self.words = words

    def ask(
        self, constraints: Sequence[Constraint], strengths: Mapping[str, float] | None = None,
        *, smoothness: float | None = None,
    ) -> None:
        """Take up what is wished, and give a first answer.

        Args:
            constraints: on pictures of the square, as `guidance.edit` takes them.
            strengths: how far to go along named directions, in shares of each one's reach; the
                constraints are met from there.
            smoothness: λ_s; if None, one that suits photographs, and drags more than colours.
        """
        wanted = {name: float(value) for name, value in (strengths or {}).items() if value}
        afresh, moved_before = not constraints or wanted != self._strengths, self.only_moves
        self._strengths, self._asked = wanted, tuple(constraints)
        if afresh or self.only_moves > moved_before:  # a stroke's change of other rows must go
            self.edit.begin(self._moved(wanted), shared=self.shared)
        if not constraints:
            return
        drags = any(isinstance(one, Drag) for one in constraints)
        usual, rest = (DRAG_SMOOTHNESS, DRAG_REST) if drags else (SMOOTHNESS, REST)
        rows = self.only_moves and self.space == "w_plus"
        self.edit.ask([*constraints, Rest(constraints, rest)],
                      smoothness=usual if smoothness is None else smoothness,
                      layers=range(min(POSE, self.generator.num_ws)) if rows else None)

    def follow(self, should_end: Callable[[], bool], show: Callable[[], object], *,
               pause: float = 1.2) -> None:
        """Step to the end, or until told to; `show` now and then, and at the end."""
        self.edit.follow(should_end, show, pause=pause)

    @property
    def is_moved(self) -> bool:
        """Whether anything is wished for that moves the code."""
        return self.projection is not None and bool(self._asked or self._strengths)

    @property
    def only_moves(self) -> bool:
        """Whether all that is wished for is that things move: then the photo keeps its colours."""
        return self.is_moved and all(isinstance(one, Drag) for one in self._asked) and all(
            self.directions[name].pose for name in self._strengths)

    @property
    def is_edited(self) -> bool:
        """Whether anything is wished for, words included."""
        return self.is_moved or bool(self.words)

    @property
    def pictures(self) -> Float[Tensor, "3 3 r r"]:
        """What the generator is about: the square, G(w0), and G(w1) as far as it has come."""
        edited = self.edit.picture().clamp(0, 1)
        return torch.stack([self.square, self._first.to(self.square), edited.to(self.square)])

    @torch.no_grad()
    def preview(self) -> Image:
        """The photo, small, with the edit as it is now: the motion goes on from the last look's."""
        if not self.is_moved:
            self._seen = None
            return self.small
        size = 2 * [min(COARSE, self.generator.resolution)]
        now, first = (shrink(one, size) for one in (self.edit.picture().clamp(0, 1), self._first))
        trust = shrink(self._trust[None], size)[0]
        self._seen = estimate_flow_and_color(
            now, first, flow_smoothness=MORPH_SMOOTHNESS, color_smoothness=self._stiffness(),
            steps=2, trust=trust, init=self._seen or unchanged(first))
        rest = trust * (now - self._seen.explain(first))
        change = self._followed(Change(self._seen.flow, self._seen.color, rest))
        return carry_back(self.small, self._small_frame, *change).clamp(0, 1)

    @torch.no_grad()
    def finish(self, should_end: Callable[[], bool] = lambda: False) -> Image | None:
        """The whole photo, edited, (3, H, W): motion and colour followed at G's own size; then
        what was said.

        Args:
            should_end: asked between the steps; if it says so, there is no answer.
        """
        photo = self._carried(should_end) if self.is_moved else self.photo
        if photo is None or should_end():
            return None
        if not self.words:
            return photo
        eyes = [place for one in self.directions.values() for place in one.spares]
        said = self.rewording(photo, self.frame, self.words, keeps=(*self.keeps, *eyes))
        return torch.lerp(said, photo, place_region(self.beyond, self.frame, photo)).clamp(0, 1)

    def _carried(self, should_end: Callable[[], bool]) -> Image | None:
        """The photo with the code's edit; None if told to end."""
        start, end = self.projection.latent, self.edit.code()
        shares = torch.linspace(0, 1, FRAMES).to(start).reshape(-1, *[1] * (start.ndim - 1))
        frames = self.generator.decode(start + shares * (end - start), space=self.space)

        def watch(step: int, image: Image) -> None:
            if should_end():
                raise StopIteration

        try:
            morph = follow_morph(frames.clamp(0, 1), color_smoothness=self._stiffness(),
                                 trust=self._trust, callback=watch)
        except StopIteration:
            return None
        return carry_back(self.photo, self.frame, *self._followed(morph.at(1))).clamp(0, 1)

    def terms(self) -> dict[str, float]:
        """The energy's terms at the last step, the wishes as one, but for a drag's pull, which does
        not say how far it got; none without a wish."""
        terms = self.edit.terms()
        *wishes, rest, close = terms or (None, None)
        found: dict[str, float] = {}
        for name in wishes:
            kind = "the pull" if name.startswith(Drag.__name__) else "your wish"
            found[kind] = found.get(kind, 0) + terms[name]
        rests = {"the rest stays": terms[rest], CLOSE_TO_INPUT: terms[close]} if wishes else {}
        return found | rests

    def changes(self) -> dict[str, float]:
        """How much G(w1) differs from G(w0), in intensity: under colour's strokes, elsewhere."""
        _, before, after = self.pictures
        change = (after - before).abs().mean(dim=0)
        masks = [one.mask for one in self._asked if isinstance(one, ColorStroke)]
        if not masks:
            return {"everywhere": float(change.mean())}
        under = torch.stack(masks).any(dim=0).to(change.device)
        return {"under your strokes": float(change[under].mean()),
                "elsewhere": float(change[~under].mean())}

    def _moved(self, strengths: Mapping[str, float]) -> Latent:
        """The photo's code after its steps along named directions."""
        code = self.projection.latent
        for name, strength in strengths.items():
            found = self.directions[name]
            code = move(code, found.vector(code), strength * found.reach, layers=found.layers)
        return code

    def _stiffness(self) -> float:
        return STIFF if self.only_moves else COLOR_SMOOTHNESS

    def _followed(self, change: Change) -> Change:
        """What the photo follows of the square's change."""
        kept = change.moved() if self.only_moves else change
        return kept.within(self._region(change.rest.shape[-1]))

    def _region(self, side: int) -> Float[Tensor, "side side"]:
        """Where the photo follows: not where a direction spares it, but for what is asked there."""
        spared = [place for name in self._strengths for place in self.directions[name].spares]

        def resized(mask: Tensor) -> Tensor:
            return shrink(mask[None].float().to(self.generator.device), (side, side))[0]
        asked = resized(near(self._asked, self.generator.resolution))
        followed = 1 - soft_ellipses(spared, side).to(asked) * (1 - asked)
        followed = followed * (1 - soft_ellipses(self.keeps, side).to(asked))
        if spared:  # by a coat, which moves nothing
            followed = followed * (1 - resized(self.behind) * (1 - asked))
        if self.still:
            followed = followed * (1 - resized(self.beyond))
        if self.within:
            followed = followed * soft_ellipses(self.within, side, sharpness=8).to(asked)
        return followed
