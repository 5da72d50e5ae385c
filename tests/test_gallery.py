"""A student's page of results, and the class's page that is made of them."""

import base64
import io
import re

import pytest
import torch
from PIL import Image as Pillow

from assignments.grading import gallery
from assignments.grading.__main__ import main
from assignments.grading.gallery import Reader, rewritten, taken_from
from course_lib.feedback.showcase import save_results
from tests.submissions.course import NAME, make_course


@pytest.fixture
def entries(rng):
    film = torch.rand(6, 3, 30, 40, generator=rng)
    return ["It <failed> & I know why.", (torch.rand(3, 50, 70, generator=rng), "a <b>picture</b>"),
            (list(film), "a film")]


def pictures_in(path) -> list[Pillow.Image]:
    found = re.findall(r"data:image/webp;base64,([^\"]+)", path.read_text())
    return [Pillow.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_page_holds_pictures_films_and_words(entries, tmp_path):
    said = save_results(tmp_path / "my_results.html", "Mine > yours", entries)
    assert said.startswith("my_results.html is written, 0.0 MB")
    picture, film = pictures_in(tmp_path / "my_results.html")
    assert (picture.size, picture.n_frames, film.size, film.n_frames) == ((70, 50), 1, (40, 30), 10)
    text = (tmp_path / "my_results.html").read_text()
    assert "It &lt;failed&gt; &amp; I know why." in text and "<b>" not in text
    assert "Mine &gt; yours" in text and "default-src 'none'" in text


def test_a_picture_is_shown_as_it_is(tmp_path):
    corner = torch.zeros(3, 64, 64)
    corner[0, :32, :32] = 1
    save_results(tmp_path / "a.html", "a", [(corner, "red")])
    (picture,) = pictures_in(tmp_path / "a.html")
    pixels = picture.convert("RGB")
    assert pixels.getpixel((8, 8))[0] > 200 and max(pixels.getpixel((50, 50))) < 30


def test_a_sentence_that_is_still_to_be_said_is_named_and_the_class_does_not_see_it(
    entries, tmp_path,
):
    page = tmp_path / "my_results.html"
    said = save_results(page, "Mine", [*entries, "What fails, and why: ..."])
    assert said.endswith("Still to be said: What fails, and why: ...")
    assert "Still" not in save_results(tmp_path / "told.html", "Mine", entries)
    texts = [text for _, text in taken_from(page)]
    assert "What fails, and why: ..." in page.read_text() and len(texts) == len(entries)


@pytest.mark.parametrize("entry, says", [
    (torch.rand(3, 4, 4), "An entry of the page is a Tensor"),
    ((torch.rand(3, 4, 4), " "), "no caption"),
    ((torch.rand(4, 4), "flat"), r"shape \(4, 4\)"),
    ((torch.rand(70, 3, 4, 4), "long"), "60 are enough"),
])
def test_what_is_no_entry_is_named(entry, says, tmp_path, as_users_run_it):
    with pytest.raises(ValueError, match=says):
        save_results(tmp_path / "a.html", "a", [entry])
    assert not (tmp_path / "a.html").exists()


def test_a_page_stays_under_five_megabytes(tmp_path, rng):
    noise = torch.rand(3, 640, 640, generator=rng)
    with pytest.raises(ValueError, match="more than the 5 MB"):
        save_results(tmp_path / "a.html", "a", [(noise, "noise")] * 30)
    assert not (tmp_path / "a.html").exists()


@pytest.fixture
def course(tmp_path):
    return make_course(tmp_path / "course")


def hand_in(course, student: str, text: str | None = None, entries=()):
    folder = course.root / "submitted" / student / NAME
    folder.mkdir(parents=True)
    if text is None:
        save_results(folder / "my_results.html", student, list(entries))
    else:
        (folder / "my_results.html").write_text(text)


def made(course, tmp_path, *more: str) -> str:
    out = tmp_path / "class"
    assert main(["--course", str(course.root), "gallery", NAME, str(out), *more]) == 0
    return (out / "index.html").read_text()


def test_the_classs_page_shows_all_and_names_nobody(course, tmp_path, entries, capsys):
    for student in ("Ada", "Grace"):
        hand_in(course, student, entries=entries)
    (course.root / "submitted" / "Late" / NAME).mkdir(parents=True)
    page = made(course, tmp_path)
    assert "<h1>Differences and sums</h1>" in page
    assert page.count("<section") == 2 and page.count("<img") == 4
    assert "Ada" not in page and "Grace" not in page and "It &lt;failed&gt;" in page
    assert len(list((tmp_path / "class").glob("*.webp"))) == 4
    assert (tmp_path / "class" / "votes.csv").read_text().split() == ["number,votes", "1,", "2,"]
    key = (tmp_path / "class-key.csv").read_text()
    assert "Ada" in key and "Grace" in key and "Late" not in key
    said = capsys.readouterr().out
    assert "Late: no my_results.html" in said and "2 of 3 are in" in said


def test_names_are_shown_if_asked_for(course, tmp_path, entries):
    hand_in(course, "Ada", entries=entries)
    assert "1 · Ada" in made(course, tmp_path, "--names")


def test_the_order_is_the_seeds_and_not_the_alphabets(course, monkeypatch):
    for number in range(6):
        (course.root / "submitted" / f"s{number}" / NAME).mkdir(parents=True)
    orders = []
    for seed in ("1", "1", "2"):
        monkeypatch.setenv("COURSE_GRADING_SEED", seed)
        orders.append(gallery.in_some_order(course, NAME))
    assert orders[0] == orders[1] != orders[2] and sorted(orders[2]) != orders[2]


HOSTILE = """<p onclick="steal()">words<script>alert(1)</script></p>
<img src="https://example.org/track.png"><img src="x" onerror="alert(1)">
<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+">
<img src="data:image/png;base64,AAAA"><img src="data:text/html;base64,PHA+">
<iframe src="javascript:alert(1)"></iframe>
<p><a href="javascript:alert(1)">link\x1b[2J\u202e</a></p>
<figure><img src="{good}"><figcaption>&lt;script&gt;alert(2)&lt;/script&gt;</figcaption></figure>
<svg onload="alert(1)"><style>@import "https://example.org/a.css"</style>"""


def png(width: int = 20, height: int = 20) -> str:
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), "red").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_of_a_hostile_page_pictures_and_words_are_left(course, tmp_path):
    hand_in(course, "mallory", text=HOSTILE.replace("{good}", png()))
    page = made(course, tmp_path)
    body = page.partition("<body>")[2]
    for word in ("<script", "onclick", "onerror", "onload", "https:", "javascript:", "<iframe",
                 "<svg", "@import", "\x1b", "\u202e", "<a "):
        assert word not in body, word
    assert body.count("<img") == 1 and "words" in body and "&lt;script&gt;alert(2)" in body


def test_a_page_that_is_no_plain_file_or_too_large_is_left_out(course, tmp_path):
    secret = tmp_path / "secret.html"
    secret.write_text("<p>secret</p>")
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "my_results.html").symlink_to(secret)
    assert taken_from(folder / "my_results.html") == "my_results.html is no plain file"
    large = tmp_path / "large.html"
    large.write_text("<p>" + "x" * 5_200_000)
    assert "more than 5 MB" in taken_from(large)
    empty = tmp_path / "empty.html"
    empty.write_bytes(b"\xff\xfe<p> </p>")
    assert "nothing" in taken_from(empty)


def test_a_picture_too_large_to_decode_is_left_out(monkeypatch):
    assert rewritten(png()) is not None
    monkeypatch.setattr(gallery, "PIXELS", 399)
    assert rewritten(png()) is None


def test_a_film_comes_back_once_and_not_twice(entries, tmp_path):
    save_results(tmp_path / "a.html", "a", entries)
    reader = Reader()
    reader.feed((tmp_path / "a.html").read_text())
    again = Pillow.open(io.BytesIO(rewritten(reader.entries[2][0])))
    assert again.n_frames == 10


def test_a_gallery_is_not_written_over_a_folder(course, tmp_path, capsys):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "mine.txt").write_text("mine")
    assert main(["--course", str(course.root), "gallery", NAME, str(tmp_path / "class")]) == 1
    assert "name a new folder" in capsys.readouterr().err
