"""What may stand on a page made of a student's work: an allow-list."""

import base64
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.converters import GenerateFeedback
from traitlets.config import PyFileConfigLoader

from assignments.grading.course import HERE, Course
from assignments.grading.markup import MATH_TAGS, TAGS, Renderer, mathml, safe_html
from assignments.grading.pages import (
    NOT_SHOWN,
    clean,
    code_filter,
    markdown_filter,
    safe_attachments,
    safe_output,
    safe_picture,
)
from assignments.grading.plugins import STOPPED, HideTests
from tests.submissions.course import source_notebook
from tests.submissions.hostile_pages import CODE, EVIL, HANDED_IN, MARKUP, PICTURE, WORDS

PAYLOADS = MARKUP | WORDS


@pytest.mark.parametrize("markup", [
    "<b>bold</b> and <em>not</em>", '<td colspan="2">1</td>', "<pre>a &lt; b</pre>",
    '<p style="color:red;padding:0.3em 0.8em">x</p>', '<img src="mine/a b.png" alt="mine">',
    f'<img src="data:image/png;base64,{PICTURE}">', '<span class="nf">f</span>',
])
def test_what_a_page_needs_stays(markup):
    table = f"<table><tbody><tr>{markup}</tr></tbody></table>" if "<td" in markup else markup
    assert safe_html(table) == table


@pytest.mark.parametrize("name", PAYLOADS)
def test_nothing_that_could_run_or_load_is_left(name):
    shown = markdown_filter({}, PAYLOADS[name].format(hit="HIT()", evil=EVIL))
    for tag in BeautifulSoup(shown, "html.parser").find_all():
        assert tag.name in TAGS | MATH_TAGS
        if tag.name not in MATH_TAGS:
            assert set(tag.attrs) <= {"href", "src", "alt", "title", "class", "rel",
                                      "target", "style"}
            assert not re.search("position|url|-", tag.get("style", ""))
        assert tag.get("href", "https://").startswith(("https://", "http://evil.invalid"))
        assert re.fullmatch(r"(data:image/png;base64,.*)|[\w-]+\.png", tag.get("src", "x.png"))


@pytest.mark.parametrize("url", [
    "javascript:x", "JAVASCRIPT:x", "java\tscript:x", " javascript:x", "data:text/html,x",
    "vbscript:x", "file:///etc/passwd", "//evil.invalid", "/lab", "evil.html", "../x", "#top", "",
    "blob:x", "about:blank", "mailto:x@y", "ftp://x",
])
def test_links_lead_to_the_web_or_nowhere(url):
    assert "href" not in safe_html(f'<a href="{url}">x</a>')


@pytest.mark.parametrize("url", [
    "/api/contents", "../mine.png", "a/../../b.png", "http://evil.invalid/a.png", "//x/a.png",
    "data:image/svg+xml;base64,AAAA", "data:text/html;base64,AAAA", "x", "a.svg", "C:\\a.png",
    "https:a.png", "file:///a.png",
])
def test_pictures_come_from_the_notebook_or_from_beside_it(url):
    assert "src" not in safe_html(f'<img src="{url}">')


@pytest.mark.parametrize("style", [
    "position: fixed", "background: url(x)", "width: calc(1px)", "margin: -9px", "z-index: 9",
    "color: expression(x)", "color: var(--x)", "width: 1px\\0", "inset: 0", "content: 'x'",
])
def test_a_style_can_neither_load_nor_lift_anything_over_the_page(style):
    assert safe_html(f'<p style="{style}; color: red">x</p>') == '<p style="color:red">x</p>'


def test_formulas_become_mathml_and_stay_apart_from_code():
    shown = markdown_filter({}, "$x < 1$ and `$y$`\n\n$$\\frac12$$")
    assert "<mo>&lt;</mo>" in shown and "<code>$y$</code>" in shown
    assert '<math display="block">' in shown and "<mfrac>" in shown


def test_a_formula_inside_a_tag_stays_text():
    shown = markdown_filter({}, '![$a" onerror=x $](x.png)')
    assert shown == '<p><img src="x.png" alt="a&quot; onerror=x "></p>\n'


@pytest.mark.parametrize("latex", [
    r"\href{javascript:x}{y}", r"\style{position: fixed}{y}", r"\class{modal}{y}", r"\text{<img>}",
    r"\color{red\" onclick=x}{y}", "</math><script>", "&#60;script&#62;", r"\unicode{x3c}script>",
])
def test_a_formula_holds_nothing_but_mathml(latex):
    shown = mathml(latex, "inline")
    for word in ("<img", "<script", "href", "style=", "class=", "onclick=\"", "onclick=x>"):
        assert word not in shown.replace("&lt;", "")


def test_what_no_formula_can_be_made_of_is_shown_as_it_is():
    assert mathml("x_1_<b>", "inline") == "<code>x_1_&lt;b&gt;</code>"
    assert Renderer(attachments={}).with_formulas("<p>none</p>") == "<p>none</p>"


@pytest.mark.parametrize("data, kept", [
    (PICTURE, PICTURE), (PICTURE[:40] + "\n" + PICTURE[40:], PICTURE), ("", ""), (None, ""),
    ('x" onerror=y', ""), (base64.b64encode(b"<svg onload=x>").decode(), ""), ([PICTURE], PICTURE),
    ({"a": 1}, ""),
])
def test_a_picture_is_base64_of_the_kind_it_is_said_to_be(data, kept):
    assert safe_picture("image/png", data) == kept
    assert safe_picture("image/jpeg", data) == safe_picture("image/svg+xml", data) == ""


def test_attachments_are_pictures():
    given = {"a": {"image/png": PICTURE, "text/html": "x"}, "b": {"image/svg+xml": PICTURE}, "c": 3}
    assert safe_attachments(given) == {"a": {"image/png": PICTURE}}
    assert safe_attachments("x") == {}


def test_of_a_pictures_metadata_sizes_and_words_are_kept():
    given = {"width": 50, "height": "9 onload=x", "alt": "a figure", "class": "modal"}
    output = NotebookNode(output_type="display_data", data={"image/png": PICTURE},
                          metadata={"image/png": given, "filenames": {"image/png": "x"}})
    assert safe_output(output).metadata == {"image/png": {"width": 50, "alt": "a figure"}}


@pytest.mark.parametrize("data", [
    {"image/svg+xml": "<svg/>"}, {"application/javascript": "x"}, {"text/vnd.mermaid": "x"},
    {"application/vnd.jupyter.widget-view+json": {}}, {"image/png": "x"}, {}, None, "x",
])
def test_outputs_of_other_kinds_are_said_not_to_be_shown(data):
    output = NotebookNode(output_type="display_data", data=data, metadata=None)
    assert safe_output(output).data == {"text/plain": NOT_SHOWN}


def test_each_output_stays_one_output():
    # The feedback page tells outputs of visible tests from those of hidden ones by their number.
    kinds = [{"output_type": "stream", "name": "x", "text": ["a", "\ud800"]},
             {"output_type": "error", "ename": 1, "evalue": None, "traceback": [2, "x"]},
             {"output_type": "execute_result", "data": {"a": "b"}}, {"output_type": "unknown"}]
    notebook = new_notebook(cells=[new_code_cell("x")])
    notebook.cells[0].outputs = [NotebookNode(kind) for kind in kinds]
    clean(notebook)
    assert [output.output_type for output in notebook.cells[0].outputs] == [
        "stream", "error", "display_data", "display_data"]
    assert notebook.cells[0].outputs[0].text == "a?"


@pytest.mark.parametrize("text", ["x = a" + ".b" * 200_000, "[" * 100_000, "a" + " " * 100_000])
def test_long_lines_are_shown_plainly(text):
    for shown in (code_filter(text), markdown_filter({}, text)):
        assert shown == f'<div class="highlight"><pre>{text}</pre></div>'


def test_a_picture_pasted_into_the_text_is_shown_however_large():
    large = base64.b64encode(base64.b64decode(PICTURE) + bytes(90_000)).decode()
    shown = markdown_filter({}, f"![mine](data:image/png;base64,{large})")
    assert shown == f'<p><img src="data:image/png;base64,{large}" alt="mine"></p>\n'


def test_there_are_many_payloads():
    assert len(MARKUP) + len(CODE) + len(WORDS) > 50 and len(HANDED_IN) > 3


@pytest.mark.parametrize("name, value, said", [
    ("KeyboardInterrupt", "", STOPPED), ("NotThereYet", "Part 2: off by 1", "Part 2: off by 1"),
])
def test_a_page_tells_what_a_test_said_and_not_by_which_lines_of_the_course(name, value, said):
    trace = ["File /somewhere/course_lib/feedback/core.py:87", "recv_bytes", value]
    info = {"grade_id": "extra-check", "grade": True, "solution": False, "points": 5}
    cell = new_code_cell("check()", metadata={"nbgrader": info}, outputs=[
        new_output("error", ename=name, evalue=value, traceback=trace)])
    page, resources = HideTests().preprocess(
        new_notebook(cells=[cell]), {"nbgrader": {"max_score": 105}})
    (line,) = page.cells[0].outputs[0].traceback
    assert line.endswith(said) and "course_lib" not in line
    assert resources["nbgrader"]["max_score"] == 100


@pytest.mark.parametrize("name", Course().assignments())
def test_extras_are_no_part_of_a_pages_maximum_written_ones_neither(name):
    notebook = nbformat.read(Course().notebook("source", name), 4)
    points = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)
    _, resources = HideTests().preprocess(notebook, {"nbgrader": {"max_score": points}})
    assert points > 100 and resources["nbgrader"]["max_score"] == 100


@pytest.fixture(scope="module")
def exporter():
    """What makes the pages to give back, as this course's settings have it."""
    settings = PyFileConfigLoader("nbgrader_config.py", str(HERE)).load_config()
    maker = GenerateFeedback(config=settings)
    return maker.exporter_class(parent=maker, config=maker.config)


def test_the_list_of_a_page_names_the_parts_and_the_page_asks_for_no_font(exporter):
    notebook = source_notebook()
    heading = "Words.\n\n## Part 1 · Edges & <sums> (5 points)"
    notebook.cells.insert(4, new_markdown_cell(heading))
    notebook.cells[-1].source += "\n\n```\n@font-face {mine}\n```"
    for cell in notebook.cells:
        if info := cell.metadata.get("nbgrader"):
            info |= {"score": 1.0, "comment": "Well." if info["solution"] else None}
    page, _ = exporter.from_notebook_node(notebook, {"nbgrader": {
        "notebook": "a0", "score": 3.0, "max_score": 9.0, "late_penalty": 0}})
    soup = BeautifulSoup(page, "html.parser")
    part = "Part 1 · Edges & <sums>"
    assert [(link["href"], link.text) for link in soup.select("#toc a")] == [
        ("#comment-differences", "Comment: differences"),
        ("#check_differences", "check_differences"),
        ("#comment-integrate", f"Comment: {part}"), ("#check_integrate", part),
        ("#words", part), ("#comment-words", f"Comment: {part}")]
    assert len(soup.select("#toc li")) == 6
    assert not any("@font-face" in style.text for style in soup.find_all("style"))
    assert "@font-face {mine}" in soup.find(id="notebook").text
