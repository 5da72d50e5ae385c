"""Diagrams: boxes where they belong, arrows between them, and nothing without alt text."""

import io

import IPython.display
import numpy as np
import PIL.Image
import pytest
import torch

from course_lib.diagrams import Arrow, Node, show_diagram


@pytest.fixture
def shown(monkeypatch) -> list[np.ndarray]:
    found = []
    monkeypatch.setattr(IPython.display, "display", lambda image: found.append(
        np.asarray(PIL.Image.open(io.BytesIO(image.data)))))
    return found


def test_a_picture_and_words_stand_where_they_were_put_and_an_arrow_between(shown):
    red = torch.zeros(3, 16, 16)
    red[0] = 1
    nodes = {"a": Node(0, 0, red, "photo"), "b": Node(3, 0, "G", color=0)}
    show_diagram(nodes, [Arrow("a", "b", "project")], alt="From a photo to G.")
    pixels = shown[0].astype(int)
    rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
    assert columns.max() < pixels.shape[1] / 2  # the picture is on the left,
    assert abs(np.ptp(columns) - 100) < 12 and abs(np.ptp(rows) - 100) < 12  # an inch wide
    dark = pixels.max(axis=2) < 80
    between = dark[:, columns.max() + 15 : columns.max() + 60]
    assert between.any(axis=0).mean() > 0.9  # the arrow crosses the gap


def test_an_arrow_to_nowhere_is_refused(shown):
    with pytest.raises(ValueError, match=r"'c'.*a, b"):
        show_diagram({"a": Node(0, 0, "a"), "b": Node(2, 0, "b")}, [Arrow("a", "c")], alt="?")


def test_alt_text_is_needed(shown):
    with pytest.raises(ValueError, match="alt is empty"):
        show_diagram({"a": Node(0, 0, "a")}, [], alt=" ")
