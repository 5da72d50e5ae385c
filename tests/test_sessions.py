"""Sessions: an edit and the whole loop, without a page or a mouse."""

from dataclasses import replace

import pytest
import torch

from course_lib.directions.naming import NamedDirection
from course_lib.framing import Frame
from course_lib.generators import load_generator
from course_lib.guidance import ColorStroke, Drag
from course_lib.images import load_image
from course_lib.sessions import EditSession, PhotoSession, Rewording, Words
from tests.test_diffusion import SMALL, small
from tests.toys import tame

NEVER = {"should_end": lambda: False, "show": lambda: None}


@pytest.fixture
def generator(rng):
    return tame(rng)


@pytest.fixture
def red() -> ColorStroke:
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[6:10, 4:12] = True
    return ColorStroke(mask, (1.0, 0.0, 0.0))


@pytest.fixture
def session(generator, rng) -> PhotoSession:
    """A photo of the generator's kind, in the middle of a larger one, projected."""
    thing = generator.decode(generator.sample_latent(1, rng=rng))[0].clamp(0, 1)
    photo = torch.rand(3, 50, 70, generator=rng)
    photo[:, 5:37, 20:52] = thing.repeat_interleave(2, 1).repeat_interleave(2, 2)
    session = PhotoSession(generator, photo, frame=Frame((35.5, 20.5), 32.0), steps=6,
                           projection_steps=8)
    session.project()
    return session


def test_an_edit_is_followed_to_its_end_and_told_as_a_sum(generator, rng, red):
    edit, shown = EditSession(generator, space="w", steps=6), []
    edit.begin(generator.sample_latent(1, space="w", rng=rng))
    assert not edit.is_under_way and edit.terms() == {}
    edit.ask([red], smoothness=0.05)
    first = edit.terms()
    assert edit.is_under_way and list(first) == ["ColorStroke 1", "close to the input"]
    edit.follow(lambda: False, lambda: shown.append(edit.editing.age), pause=0)
    assert shown == [2, 3, 4, 5, 6] and not edit.is_under_way
    assert edit.terms()["ColorStroke 1"] < first["ColorStroke 1"]
    torch.testing.assert_close(edit.picture(share=0.0), edit.before, atol=1e-5, rtol=0)


def test_an_edit_ends_when_told_to(generator, rng, red):
    edit = EditSession(generator, space="w", steps=100_000)
    edit.begin(generator.sample_latent(1, space="w", rng=rng))
    edit.ask([red], smoothness=0.05)
    edit.follow(lambda: edit.editing.age > 3, lambda: None)
    assert edit.editing.age == 4


def test_before_any_wish_the_photo_is_the_photo(session):
    assert torch.equal(session.finish(), session.photo)
    assert torch.equal(session.preview(), session.small)
    assert session.terms() == {}


def test_an_edit_comes_back_to_the_photo_at_its_own_size_and_nowhere_else(session, red):
    session.ask([red])
    session.follow(**NEVER)
    whole = session.finish()
    change = (whole - session.photo).abs()
    assert whole.shape == (3, 50, 70) and change[:, 5:37, 20:52].mean() > 1e-4
    assert change[:, :4].max() < 1e-4 and change[:, :, :18].max() < 1e-4
    terms = session.terms()
    assert list(terms) == ["your wish", "the rest stays", "close to the input"]
    changes = session.changes()
    assert changes["under your strokes"] > 0 and changes["elsewhere"] >= 0


def test_the_preview_agrees_with_the_whole(session, red):
    session.ask([red])
    session.follow(**NEVER)
    preview, whole = session.preview(), session.finish()
    assert preview.shape == whole.shape  # a photo of less than 512 pixels is its own preview
    assert (preview - whole).abs().mean() < 0.5 * (whole - session.photo).abs().mean()


def test_when_all_is_taken_back_the_photo_is_back(session, red):
    session.ask([red])
    session.follow(**NEVER)
    session.ask([])
    assert torch.equal(session.finish(), session.photo)


def test_the_whole_photo_can_be_called_off(session, red):
    session.ask([red])
    assert session.finish(lambda: True) is None


def test_a_projection_can_be_called_off_with_what_was_found(session):
    def enough(step: int, image: torch.Tensor) -> None:
        if step == 2:
            raise StopIteration

    session.open(session.photo)
    assert session.projection is None
    session.project(enough)
    assert len(session.projection.losses) == 3


def test_named_directions_lead_from_the_photo_and_strokes_go_on_from_there(session, red):
    vector = (1.0,) + (0.0,) * 7
    session.directions = {"wide": NamedDirection("wide", "tame", "w", vector, (0, 1), 2.0)}
    session.ask([], {"wide": 0.5})
    moved = session.edit.code() - session.projection.latent
    assert moved[0, :2, 0].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert float(moved[0, 2:].abs().max()) < 1e-5
    session.ask([red], {"wide": 0.5})
    torch.testing.assert_close(session.edit.editing.origin - session.projection.latent, moved)
    session.ask([red], {"wide": 0.0})
    torch.testing.assert_close(session.edit.editing.origin, session.projection.latent)


def test_a_direction_spares_what_it_is_told_to_unless_something_is_asked_there(session):
    """The left eye, say, is the photo's own, until a stroke lies on it."""
    vector, eye = (1.0,) + (0.0,) * 7, (0.25, 0.5, 0.35, 0.35)
    wide = NamedDirection("wide", "tame", "w", vector, None, 2.0)
    session.directions = {"wide": wide, "coat": replace(wide, name="coat", spares=(eye,))}
    x, y = session.frame.to_photo(torch.tensor([[0.25, 0.5]]))[0].round().int().tolist()
    there = torch.zeros(16, 16, dtype=torch.bool)
    there[8, 4] = True

    def changed(name: str, *constraints) -> float:
        session.ask([], {name: 1.0})
        session.ask(constraints, {name: 1.0})
        whole, seen = session.finish(), session.preview()
        torch.testing.assert_close(whole, seen, atol=0.1, rtol=0)
        return float((whole - session.photo)[:, y, x].abs().max())

    assert changed("coat") < 0.1 * changed("wide")
    assert changed("coat", ColorStroke(there, (1.0, 0, 0))) > 2 * changed("coat")


# ---- by other words

def test_words_change_the_frame_alone_and_not_what_is_kept(rng):
    rewording = Rewording(small(rng))
    photo = torch.rand(3, 60, 80, generator=rng)
    frame = Frame((39.5, 29.5), 40.0)
    free = rewording(photo, frame, Words("hat", guidance=4.0))
    kept = rewording(photo, frame, Words("hat", guidance=4.0), keeps=[(0.5, 0.5, 0.3, 0.3)])
    middle = (slice(None), slice(27, 33), slice(37, 43))
    assert torch.equal(free[:, :9], photo[:, :9]) and torch.equal(free[..., :19], photo[..., :19])
    assert (free - photo).abs().max() > 1e-3
    assert (kept - photo)[middle].abs().mean() < 0.3 * (free - photo)[middle].abs().mean()


def test_a_photo_is_brought_into_noise_once_for_all_words(rng, monkeypatch):
    model = small(rng)
    seen, invert = [], model.invert
    monkeypatch.setattr(model, "invert", lambda images: seen.append(images) or invert(images))
    rewording, photo = Rewording(model), torch.rand(3, 20, 20, generator=rng)
    for words in (Words("hat"), Words("sock"), Words(color="red")):
        rewording(photo, Frame.middle(photo), words)
    assert len(seen) == 1
    rewording(photo.clone(), Frame.middle(photo), Words("hat"))
    rewording(photo, Frame((9.5, 9.5), 10.0), Words("hat"))
    assert len(seen) == 3


def test_of_a_photo_that_the_model_knows_the_cat_answers_and_hardly_the_rest():
    rewording = Rewording(load_generator("cats-diffusion", device="cpu"))
    photo = load_image("bandit", size=128, device="cpu")
    answering = rewording.invert(photo, Frame.middle(photo)).answering
    assert 0 <= answering.min() and answering.max() <= 1
    forehead, leaves = answering[16:26, 24:40], answering[4:40, [*range(6), *range(58, 64)]]
    assert forehead.mean() > 0.9 and leaves.mean() < 0.1
    ginger = rewording(photo, Frame.middle(photo), Words(color="ginger"))
    change = (ginger - photo).abs().mean(dim=0)
    assert change[36:48, 48:80].mean() > 10 * change[8:80, :10].mean()


def test_words_are_said_of_the_photo_as_it_was_edited(session, red, rng):
    session.rewording = Rewording(small(rng))
    session.say(Words(color="blue"))
    of_photo = session.finish()
    session.ask([red])
    session.follow(**NEVER)
    both = session.finish()
    session.say(Words())
    edited = session.finish()
    expected = session.rewording(edited, session.frame, Words(color="blue")).clamp(0, 1)
    torch.testing.assert_close(both, expected)
    assert not torch.equal(of_photo, session.photo) and not torch.equal(both, of_photo)
    session.start_again()
    assert not session.is_edited and torch.equal(session.finish(), session.photo)


def test_a_drag_turns_the_head_and_recolors_nothing():
    photo = load_image("silver", size=256, device="cpu")
    session = PhotoSession(load_generator("cats-128", device="cpu"), photo, projection_steps=30)
    session.project()
    start = torch.tensor([[63.0, 90.0]])  # the nose
    session.ask([Drag(start, start + torch.tensor([[7.0, 0.0]]))])
    session.follow(lambda: False, lambda: None)
    assert session.only_moves and session.edit.editing.drags_missed(0)["tracked"] < 3.5
    code = session.edit.code() - session.projection.latent
    assert code[:, 4:].abs().max() == 0 < code[:, :4].abs().max()
    edited = session.finish()
    hues = [one.mean(dim=(1, 2)) for one in (photo, edited)]
    torch.testing.assert_close(*hues, atol=0.01, rtol=0)
    assert (edited - photo).abs().mean() > 0.01
    session.ask([Drag(start, start), ColorStroke(torch.ones(128, 128).bool(), (1, 1, 1))])
    assert not session.only_moves and session.edit.editing.layers is None
    session.follow(lambda: False, lambda: None)
    session.ask([Drag(start, start + 1)])  # the stroke is gone, and what it did
    code = session.edit.code() - session.projection.latent
    assert session.only_moves and code[:, 4:].abs().max() == 0


def test_words_and_coats_leave_eyes_and_what_lies_behind_the_cat_as_they_were():
    photo = load_image("bandit", size=128, device="cpu")
    session = PhotoSession(load_generator("cats-128", device="cpu"), photo, projection_steps=20,
                           rewording=Rewording(load_generator("cats-diffusion", device="cpu")))
    session.project()
    behind = session.behind > 0.9
    beyond = (session.beyond > 0.9) & (session.behind < 0.1)
    assert 0.1 < behind.float().mean() < 0.6 and beyond.float().mean() > 0.03
    face, eye = (slice(32, 52), slice(50, 78)), (slice(61, 67), slice(41, 47))

    def change() -> torch.Tensor:
        return (session.finish() - photo).abs().mean(dim=0)

    session.say(Words(color="ginger"))
    found = change()
    assert found[face].mean() > 0.05 and found[eye].mean() < 0.2 * found[face].mean()
    assert found[behind].mean() < 0.01 and found[beyond].mean() < 0.02
    session.start_again()
    session.ask([], {"light coat": 1.0})
    found = change()
    assert found[behind].mean() < 0.2 * found[face].mean()


def test_words_need_somebody_who_understands_them(session, generator, rng):
    with pytest.raises(ValueError, match="give the session a Rewording"):
        session.say(Words("hat"))
    with pytest.raises(ValueError, match="take a diffusion model"):
        Rewording(generator)
    with pytest.raises(ValueError, match="trained without words"):
        Rewording(small(rng, replace(SMALL, kinds=(), colors=())))


@pytest.mark.parametrize(("photo", "sentence"), [
    (torch.zeros(1, 3, 20, 20), r"pass photo\[0\] of a batch"),
    (torch.zeros(1, 20, 20), "of a grey one"),
    (torch.full((3, 20, 20), 200.0), "divide by 255"),
])
def test_what_is_no_photo_is_refused_before_anything_is_drawn(photo, sentence, generator, rng):
    with pytest.raises(ValueError, match=sentence):
        Rewording(small(rng))(photo, Frame((9.5, 9.5), 20.0), Words("hat"))
    with pytest.raises(ValueError, match=sentence):
        PhotoSession(generator, photo)


def test_a_pose_keeps_the_photos_colors_and_a_coat_does_not():
    photo = load_image("silver", size=256, device="cpu")
    session = PhotoSession(load_generator("cats-128", device="cpu"), photo, projection_steps=30)
    session.project()
    off = {}
    for name in ("head up", "light coat"):
        session.ask([], {name: 0.8})
        hues = [one.mean(dim=(1, 2)) for one in (photo, session.finish())]
        off[name] = float((hues[1] - hues[0]).abs().max())
        assert session.only_moves == (name == "head up")
    assert off["head up"] < 0.02 < off["light coat"]
    session.ask([], {"head up": 0.8, "light coat": 0.1})
    assert not session.only_moves
