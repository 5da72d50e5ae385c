"""The site: what its pages are made of, and that the first page's toy is the course's generator.

The built site is tried in tests/browser/test_site_in_browser.py.
"""

import base64
import hashlib

import pytest
import torch

from docs.site.build import alt_texts, as_page, broken_links

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
def toy():
    """The first page's graph, before it is exported."""
    from docs.site.toy import Toy

    return Toy()


def test_the_toy_is_the_generator_moved_along_its_named_directions(toy, rng):
    from course_lib.directions import move
    from course_lib.directions.naming import shipped_directions
    from docs.site.toy import TRUNCATION

    generator = toy.generator
    z = torch.randn(1, generator.z_dim, generator=rng)
    ginger = shipped_directions(generator)["ginger"]
    average = generator.latent_mean("w")
    w = average + TRUNCATION * (generator.convert(z, "z", "w") - average)
    w_plus = move(generator.convert(w, "w", "w_plus"), ginger.vector(w), 0.5 * ginger.reach,
                  layers=ginger.layers)
    strengths = torch.zeros(len(toy.names))
    strengths[toy.names.index("ginger")] = 0.5
    with torch.no_grad():
        expected = generator.decode(w_plus, space="w_plus")[0].clamp(0, 1)
        torch.testing.assert_close(toy(z, strengths), expected, atol=1e-3, rtol=0)


def test_the_exported_graph_draws_as_torch_does(toy, rng, tmp_path):
    pytest.importorskip("onnxscript", reason="pip install -r requirements-site.txt")
    runtime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-site.txt")
    from docs.site.toy import export

    export(toy, tmp_path / "toy.onnx")
    session = runtime.InferenceSession(tmp_path / "toy.onnx")
    for _ in range(5):
        z = torch.randn(1, toy.generator.z_dim, generator=rng)
        strengths = 2 * torch.rand(len(toy.names), generator=rng) - 1
        (drawn,) = session.run(None, {"z": z.numpy(), "strengths": strengths.numpy()})
        with torch.no_grad():
            expected = toy(z, strengths)
        assert expected.std() > 0.05
        torch.testing.assert_close(torch.from_numpy(drawn), expected, atol=1e-3, rtol=0)
