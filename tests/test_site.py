"""The site: what its pages are made of, and that the first page's toys do
what the library does.

The built site is tried in tests/browser/test_site_in_browser.py.
"""

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from course_lib.blending import seamless_clone
from course_lib.directions import move
from course_lib.directions.naming import load_directions, shipped_directions
from course_lib.images import load_image
from docs.site.build import alt_texts, as_page, broken_links
from docs.site.garments import KINDS, STORE, measure
from docs.site.toy import TRUNCATION, Cats, Clothes, export, inputs

SCRIPT = Path(__file__).parents[1] / "docs" / "site" / "_static" / "poisson.js"

WIDGET = "application/vnd.jupyter.widget-view+json"


def notebook() -> dict:
    """A lesson of a live tool, a folded solution and an exercise."""
    picture = base64.b64encode(b"a picture").decode()
    tool = {"output_type": "execute_result", "data": {WIDGET: {}, "image/jpeg": picture},
            "metadata": {"image/jpeg": {"alt": "a cat"}}}
    return {"metadata": {"widgets": {}}, "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": "# A"},
        {"cell_type": "code", "metadata": {}, "source": "tool", "outputs": [tool]},
        {"cell_type": "code", "metadata": {"jupyter": {"source_hidden": True}}, "source": "x = 1",
         "outputs": []},
        {"cell_type": "code", "metadata": {"tags": ["raises-exception"]}, "source": "1 / 0",
         "outputs": [{"output_type": "error"}]},
    ]}


def test_a_live_tool_leaves_its_picture_and_its_alt_text():
    page = as_page(notebook())
    (output,) = page["cells"][1]["outputs"]
    assert set(output["data"]) == {"image/jpeg"} and page["metadata"] == {}
    assert alt_texts(page) == {hashlib.sha256(b"a picture").hexdigest(): "a cat"}


def test_solutions_and_errors_are_folded():
    tags = [cell["metadata"].get("tags") for cell in as_page(notebook())["cells"]]
    assert tags == [None, [], ["hide-input"], ["raises-exception", "hide-output"]]


def test_links_that_lead_nowhere_are_reported(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="b.html#gone">2</a><img src="lost.jpg">'
        '<a href="#here">3</a><p id="here"></p><a href="https://example.org">4</a>')
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert broken_links(tmp_path) == ["a.html: b.html#gone", "a.html: lost.jpg"]


@pytest.fixture(scope="module")
def cats():
    """The graph of the first page's cats, before it is exported."""
    return Cats()


@pytest.fixture(scope="module")
def clothes():
    """And of its clothes."""
    return Clothes()


@torch.no_grad()
def test_the_cats_are_the_generator_moved_along_its_named_directions(cats, rng):
    generator, z = cats.generator, inputs(cats, rng)["z"]
    ginger = shipped_directions(generator)["ginger"]
    average = generator.latent_mean("w")
    w = average + TRUNCATION * (generator.convert(z, "z", "w") - average)
    w_plus = move(generator.convert(w, "w", "w_plus"), ginger.vector(w), 0.5 * ginger.reach,
                  layers=ginger.layers)
    strengths = torch.zeros(len(cats.names))
    strengths[cats.names.index("ginger")] = 0.5
    expected = generator.decode(w_plus, space="w_plus")[0].clamp(0, 1)
    torch.testing.assert_close(cats(z, strengths), expected, atol=1e-3, rtol=0)


@torch.no_grad()
def test_the_clothes_are_the_generator_of_a_kind_moved_along_a_stored_direction(clothes, rng):
    z, (one, *_) = inputs(clothes, rng)["z"], load_directions(STORE)
    strengths = torch.zeros(len(clothes.names))
    strengths[clothes.names.index(one.name)] = -0.5
    kind = clothes.kinds.index("dress")
    moved = move(TRUNCATION * z.clamp(-2, 2), one.vector(z), -0.5 * one.reach)
    expected = clothes.generator.with_label("dress").decode(moved)[0].clamp(0, 1)
    drawn = clothes(z, strengths, torch.eye(len(clothes.kinds))[kind])
    torch.testing.assert_close(drawn, expected, atol=1e-3, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", [one.name for one in load_directions(STORE)])
def test_a_slider_of_clothes_does_what_it_is_called_to_every_kind(clothes, name, rng):
    (one,) = [found for found in load_directions(STORE) if found.name == name]
    for kind in KINDS:
        generator = clothes.generator.with_label(kind)
        z = generator.sample_latent(12, rng=rng, truncation_psi=TRUNCATION)
        less, more = (measure(generator.decode(move(z, one.vector(z), far)).clamp(0, 1))[name]
                      for far in (-one.reach, one.reach))
        assert (more > less).float().mean() > 0.7, kind


@pytest.mark.parametrize("name", ["cats", "clothes"])
def test_the_exported_graph_draws_as_torch_does(name, rng, tmp_path, request):
    pytest.importorskip("onnxscript", reason="pip install -r requirements-site.txt")
    runtime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-site.txt")
    toy = request.getfixturevalue(name)
    export(toy, tmp_path / "toy.onnx")
    session = runtime.InferenceSession(tmp_path / "toy.onnx")
    for _ in range(5):
        some = inputs(toy, rng)
        (drawn,) = session.run(None, {name: value.numpy() for name, value in some.items()})
        with torch.no_grad():
            expected = toy(**some)
        assert expected.std() > 0.05
        torch.testing.assert_close(torch.from_numpy(drawn), expected, atol=1e-3, rtol=0)


SOLVE = """
require(process.argv[1]);
const { source, target, mask, left, top, mixed } = JSON.parse(require("fs").readFileSync(0));
const box = poisson.clone(source, target, mask, left, top, mixed);
console.log(JSON.stringify(box && { ...box, values: box.values.map((one) => [...one]) }));
"""


def solve_in_node(source, target, mask, offset, mixed: bool):
    """What the page's script answers, a picture of the target's size, or None."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed, so the page's script can't run here")

    def bytes_of(picture):
        levels = torch.cat([picture * 255, torch.full_like(picture[:1], 255)]).round().int()
        return {"width": picture.shape[2], "height": picture.shape[1],
                "data": levels.movedim(0, -1).flatten().tolist()}

    asked = {"source": bytes_of(source), "target": bytes_of(target), "left": offset[0],
             "mask": mask.flatten().int().tolist(), "top": offset[1], "mixed": mixed}
    said = subprocess.run([node, "-e", SOLVE, str(SCRIPT)], input=json.dumps(asked), text=True,
                          capture_output=True, check=True).stdout
    box = json.loads(said)
    if box is None:
        return None
    rows, columns = box["height"] + 2, box["stride"]
    values = torch.tensor(box["values"]).view(3, rows, columns)[:, 1:-1, 1:-1]
    answer = target.clone()
    answer[:, box["top"]:box["top"] + box["height"],
           box["left"]:box["left"] + box["width"]] = values
    return answer


@pytest.mark.parametrize("offset", [(20, 12), (-31, 40), (70, -9)])  # two hang over the border
@pytest.mark.parametrize("mixed", [False, True])
def test_the_pages_lasso_blends_as_the_library_does(offset, mixed, rng):
    source, target = (levels(load_image(name, size=120, device="cpu"))
                      for name in ("chelsea", "coffee"))
    mask = torch.nn.functional.avg_pool2d(  # ragged, with islands and holes
        torch.rand(1, *source.shape[1:], generator=rng), 9, 1, 4)[0] > 0.5
    gradients = "mixed" if mixed else "source"
    expected = seamless_clone(source, target, mask, offset=offset, gradients=gradients,
                              tol=1e-5).value
    found = solve_in_node(source, target, mask, offset, mixed)
    assert (found - target).abs().max() > 0.2
    torch.testing.assert_close(found, expected, atol=0.5 / 255, rtol=0)


def levels(picture):
    """The picture as bytes hold it."""
    return (picture.clamp(0, 1) * 255).round() / 255


def test_the_pages_lasso_has_no_answer_where_nothing_lands_or_all_is_covered(rng):
    picture = levels(torch.rand(3, 12, 16, generator=rng))
    mask = torch.ones(12, 16, dtype=torch.bool)
    assert solve_in_node(picture, picture, mask, (40, 0), False) is None
    assert solve_in_node(picture, picture, mask, (0, 0), True) is None
