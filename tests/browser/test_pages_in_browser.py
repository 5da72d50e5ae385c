"""What instructors open of a student's work: feedback pages, and formgrader in their own Jupyter.

One course is graded with hostile submissions; every page of theirs is opened in a real Chromium.
"""

import base64
import re
import shlex
import shutil
from pathlib import Path

import nbformat
import pytest

from assignments.grading.__main__ import main
from assignments.grading.confinement import why_no_bubblewrap
from assignments.grading.handout import release
from tests.browser.lab import VIEW, serving
from tests.submissions.course import NAME, hand_in, make_course
from tests.submissions.hostile_pages import (
    CODE,
    EVIL,
    HANDED_IN,
    HIT,
    MARKUP,
    PICTURE,
    UNCLOSED,
    WORDS,
    forge,
)

pytestmark = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)
ROOT = Path(__file__).parents[2]
WORK = (".rendered_html", ".output_subarea", ".input_area")  # where a page shows a student's work
PLACES = ["feedback", "formgrader"]
TOUCH = """areas => document.querySelectorAll(areas).forEach(area =>
    [area, ...area.querySelectorAll('*')].forEach(one => {
        for (const kind of ['mouseover', 'mouseenter', 'focus', 'toggle', 'error', 'load'])
            one.dispatchEvent(new Event(kind, { bubbles: true }));
        if (one.click && !one.href) one.click();
    }))"""
LOOSE = """areas => [...document.querySelectorAll(areas)].flatMap(area =>
    [...area.querySelectorAll('*')].filter(one =>
        !['static', 'relative'].includes(getComputedStyle(one).position)
        || one.id || one.getAttribute('name')).map(one => one.outerHTML))"""


@pytest.fixture(scope="module")
def course(browser, tmp_path_factory):
    """A project's folder with a graded course in assignments/."""
    project = tmp_path_factory.mktemp("project")
    for name in ("nbgrader_config.py", "assignments/nbgrader_config.py",
                 "notebooks/00_start_here.ipynb"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    shutil.copytree(ROOT / "assignments/grading", project / "assignments/grading")
    course = make_course(project / "assignments")
    release(course, NAME)
    for student, fill_in in HANDED_IN.items():
        path = hand_in(course, student, fill_in(nbformat.read(course.notebook("release", NAME), 4)))
        (path.parent / "mine.png").write_bytes(base64.b64decode(PICTURE))
        (path.parent / "evil.html").write_text(f"<script>opener.{HIT.format(name='file')}</script>")
    words = ["--course", str(course.root)]
    assert main([*words, "grade", NAME, "--cell-seconds", "120"]) == 0
    path = course.notebook("autograded", NAME, "forged")
    path.write_text(nbformat.writes(forge(nbformat.read(path, 4))))
    assert main([*words, "feedback", NAME]) == 0
    return course


@pytest.fixture(scope="module")
def formgrader(course, tmp_path_factory):
    """The address of a JupyterLab that was started as the README says, at the project's root."""
    (words,) = re.findall(r"&& jupyter lab (.*)$", (ROOT / "README.md").read_text(), re.M)
    home = tmp_path_factory.mktemp("settings")
    with serving(course.root.parent, home, *shlex.split(words)) as address:
        yield address


@pytest.fixture
def visit(browser, course, formgrader, pictures):
    """Opens the page of a student's work."""
    context = browser.new_context(**VIEW)
    context.route(f"{EVIL}/**", lambda route: route.abort())

    def open_page(place: str, student: str, change=None) -> "Visit":
        seen = Visit(context.new_page(), place, student, course, formgrader)
        seen.open(change)
        seen.page.screenshot(path=pictures / f"{student}_in_{place}.png", full_page=True)
        return seen

    yield open_page
    context.close()


class Visit:
    """One page, and what it tried: addresses it asked for, dialogs, windows, complaints."""

    def __init__(self, page, place: str, student: str, course, formgrader: str):
        self.page, self.asked, self.dialogs, self.windows, self.complaints = page, [], [], [], []
        if place == "feedback":
            path = course.root / "feedback" / student / NAME / f"{NAME}.html"
            self.address, self.own = path.as_uri(), ()
        else:
            submission = find_submission(page.request, formgrader, student)
            self.address = f"{formgrader}/formgrader/submissions/{submission}/"
            self.own = tuple(f"{formgrader}/formgrader/{part}/" for part in ("static", "api"))
        page.on("request", lambda request: self.asked.append(request))
        page.on("dialog", self._dismiss)
        page.on("popup", lambda window: self.windows.append(window))
        page.on("console", lambda line: self.complaints.append(line.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, change=None) -> None:
        """Open it, its markup changed on the way if so asked."""
        if change and self.own:
            self.page.route(self.address, lambda route: route.fulfill(
                body=change(route.fetch().text()), content_type="text/html"))
        elif change:
            path = Path(self.address.removeprefix("file://"))
            changed = path.with_name("changed.html")
            changed.write_text(change(path.read_text()))
            self.address = changed.as_uri()
        self.page.goto(self.address)
        self.page.wait_for_timeout(700)

    def _dismiss(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def strange(self) -> list[str]:
        """What it asked for that is neither the page, nor formgrader's, nor the student's own."""
        home = self.address.rpartition("/")[0]
        return [url for url in (request.url for request in self.asked) if not (
            url == self.address or url.startswith(("data:", *self.own)) or "/glyphicons" in url
            or re.fullmatch(rf"{re.escape(home)}/[\w-]+\.png", url) or "favicon" in url)]

    def touch(self) -> None:
        """Move over and click on all that a student wrote; follow each link."""
        self.page.evaluate(TOUCH, ", ".join(WORK))
        for link in self.page.locator(", ".join(f"{area} a[href]" for area in WORK)).all():
            link.evaluate("link => link.click()")
        self.page.wait_for_timeout(500)

    def hits(self) -> list[str]:
        """The payloads that ran."""
        return self.page.evaluate("window.hits || []")


def find_submission(request, formgrader: str, student: str) -> str:
    """Its number in formgrader's list."""
    answer = request.get(f"{formgrader}/formgrader/api/submitted_notebooks/{NAME}/{NAME}")
    return next(one["id"] for one in answer.json() if one["student"] == student)


def test_there_are_many_payloads():
    assert len(MARKUP) + len(CODE) > 40 and len(WORDS) > 10 and len(UNCLOSED) > 10


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("student", HANDED_IN)
def test_nothing_of_a_students_runs_loads_or_navigates(visit, student, place):
    seen = visit(place, student)
    assert seen.page.locator(WORK[0]).count() > 0
    before = seen.page.url, seen.page.title()
    seen.touch()
    assert seen.hits() == [] and seen.dialogs == []
    assert seen.strange == []
    assert (seen.page.url, seen.page.title()) == before
    for window in seen.windows:  # a link that was clicked on opens a window that knows no opener
        assert re.match("https?://|chrome-error:", window.url)
        assert window.evaluate("opener === null")
    assert [line for line in seen.complaints
            if "/glyphicons" not in line and "Failed to load resource" not in line] == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("student", HANDED_IN)
def test_nothing_of_a_students_lies_over_the_page_or_bears_its_names(visit, student, place):
    seen = visit(place, student)
    assert seen.page.evaluate(LOOSE, ", ".join(WORK)) == []


@pytest.mark.parametrize("place", PLACES)
def test_no_output_swallows_what_follows_it(visit, place):
    page = visit(place, "unclosed").page
    assert page.get_by_text("Because a constant is lost.").is_visible()
    assert page.locator(".output_area").count() >= len(UNCLOSED)


@pytest.mark.parametrize("place", PLACES)
def test_the_policy_alone_keeps_scripts_from_running(visit, place):
    bare = [text for text in MARKUP.values() if "refresh" not in text and "<style>" not in text]
    text = "".join(one.format(hit="window.hits=[1]", evil=EVIL) for one in bare)
    seen = visit(place, "looks", lambda page: re.sub("(?=</body>)", lambda _: text, page))
    assert "Log in" in seen.page.content()
    assert seen.hits() == []
    assert [request.url for request in seen.asked
            if request.url.startswith(EVIL) and request.failure != "csp"] == []
    assert any("Content Security Policy" in line for line in seen.complaints)


@pytest.mark.parametrize("place", PLACES)
def test_figures_tables_colours_and_formulas_are_shown(visit, place):
    page = visit(place, "looks").page
    widths = page.eval_on_selector_all(".rendered_html img, .output_png img",
                                       "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 3 and min(widths) > 0 and max(widths) > 100
    assert page.get_by_role("cell", name="points").or_(page.locator("th")).count() > 0
    assert page.locator("td", has_text="7").evaluate("td => getComputedStyle(td).color") == \
        "rgb(213, 94, 0)"
    assert page.locator("math").count() == 6
    assert min(page.eval_on_selector_all("math", "all => all.map(m => m.clientWidth)")) > 0
    assert page.locator("mtr").count() == 4
    red = page.locator(".ansi-red-fg").first
    assert red.evaluate("e => getComputedStyle(e).color") == "rgb(231, 92, 88)"
    assert page.locator(".rendered_html .highlight .k").count() == 2


def test_formgrader_lists_the_assignments_and_takes_points(visit, formgrader, browser):
    page = browser.new_page()
    page.goto(f"{formgrader}/formgrader/manage_assignments")
    page.get_by_role("link", name=NAME).first.wait_for()
    page.close()
    seen = visit("formgrader", "looks")
    score = seen.page.locator("#words")
    score.fill("3")
    with seen.page.expect_response(lambda answer: answer.request.method == "PUT") as saved:
        score.press("Tab")
    assert saved.value.ok
    seen.page.locator(".glyphicon-eye-open").click()
    assert seen.page.get_by_text("looks", exact=True).is_visible()


def test_what_was_handed_in_beside_a_notebook_is_served_as_pictures_only(visit, formgrader):
    seen = visit("formgrader", "outputs")
    assert seen.page.request.get(f"{seen.address}mine.png").ok
    assert seen.page.request.get(f"{seen.address}evil.html").status == 404
