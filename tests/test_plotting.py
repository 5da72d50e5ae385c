"""Figures: what is shown, on which scale, with which words."""

import base64
import io

import IPython.display
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure

from course_lib import plotting
from course_lib.images import to_uint8
from course_lib.plotting import (
    enlarge,
    show_curves,
    show_figure,
    show_grid,
    show_images,
    show_maps,
    tile,
)
from course_lib.results import Solution

plt.switch_backend("agg")


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """The matplotlib figures that are shown, instead of their JPEGs."""
    shown = []
    monkeypatch.setattr(plotting, "show_figure", lambda figure, *, alt: shown.append(figure))
    yield shown
    plt.close("all")


@pytest.fixture
def displayed(monkeypatch) -> list:
    """What reaches the notebook."""
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    return shown


def drawn(figure: Figure) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def test_pictures_are_drawn_as_bytes_on_one_scale(figures, rng):
    images = [torch.rand(3, 4, 6, generator=rng) * 3 - 1, torch.full((1, 4, 6), 0.5)]
    show_images(images, ["before", "after"], alt="noise and grey")
    first, second = drawn(figures[0])
    assert first.shape == second.shape == (4, 6, 3) and first.dtype == np.uint8
    assert first.min() == 0 and first.max() == 255 and (second == 128).all()
    assert [axes.get_title() for axes in figures[0].axes] == ["before", "after"]
    assert not any(axes.axison for axes in figures[0].axes)


@pytest.mark.parametrize("count, columns, expected", [
    (3, None, (1, 3)), (3, 2, (2, 2)), (4, 2, (2, 2)), (2, 5, (1, 2)), (1, None, (1, 1)),
])
def test_pictures_stand_in_rows(count, columns, expected, figures):
    show_images([torch.zeros(3, 4, 4)] * count, alt="black", columns=columns)
    grid = figures[0].axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == expected
    assert len(drawn(figures[0])) == count


def test_pictures_of_one_row_have_one_height(figures):
    show_images([torch.zeros(3, 10, 10), torch.zeros(3, 20, 50)], ["a", "b"], alt="black")
    figures[0].canvas.draw()
    boxes = [axes.images[0].get_window_extent() for axes in figures[0].axes]
    assert boxes[0].height == pytest.approx(boxes[1].height, rel=0.05)
    assert boxes[1].width == pytest.approx(2.5 * boxes[0].width, rel=0.05)


def test_maps_share_a_scale_that_is_symmetric_about_zero(figures):
    maps = {"small": torch.tensor([[0.1, -0.2]]), "large": torch.tensor([[3.0], [0.0]])}
    show_maps(maps, alt="two maps")
    limits = [axes.images[0].get_clim() for axes in figures[0].axes]
    assert limits == [(-3, 3), (-3, 3)]
    assert figures[0].axes[0].get_title() == "small\n(±3)"


def test_a_map_of_zeros_is_drawn(figures):
    show_maps({"zero": torch.zeros(2, 3)}, alt="nothing")
    assert figures[0].axes[0].images[0].get_clim() == (-1, 1)


def test_curves_are_named_and_told_apart_without_colour(figures):
    y = torch.tensor([3.0, 2.0, 1.0], requires_grad=True)
    curves = {"ours": y, "theirs": ([1, 2], torch.tensor([5.0, 6.0]))}
    show_curves(curves, x_label="step", y_label="energy", alt="one falls, one rises", log=True)
    axes = figures[0].axes[0]
    ours, theirs = axes.lines
    assert ours.get_xdata().tolist() == [0, 1, 2] and ours.get_ydata().tolist() == [3, 2, 1]
    assert theirs.get_xdata().tolist() == [1, 2] and theirs.get_ydata().tolist() == [5, 6]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("step", "energy", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours", "theirs"]
    assert ours.get_color() != theirs.get_color() and ours.get_marker() != theirs.get_marker()


def test_a_figure_becomes_a_small_jpeg_with_alt_text_and_is_closed(displayed):
    before = plt.get_fignums()
    show_images([torch.rand(3, 300, 400)] * 2, ["a", "b"], alt="two pictures of noise")
    assert len(displayed) == 1 and plt.get_fignums() == before
    data, metadata = DisplayFormatter().format(displayed[0])
    assert metadata["image/jpeg"]["alt"] == "two pictures of noise"
    content = base64.b64decode(data["image/jpeg"])
    with PIL.Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "JPEG" and 500 < picture.width < 900
    assert len(content) < 150_000


@pytest.mark.parametrize("alt", ["", "  \n", None])
def test_a_figure_without_alt_text_is_refused_and_closed(alt, displayed, as_users_run_it):
    figure = plt.figure()
    with pytest.raises(ValueError, match=r"alt is empty, .*: say"):
        show_figure(figure, alt=alt)
    assert displayed == [] and not plt.fignum_exists(figure.number)


def test_nothing_to_show_and_missing_titles_are_explained(figures):
    with pytest.raises(ValueError, match="no picture to show"):
        show_images([], alt="nothing")
    with pytest.raises(ValueError, match="no picture to show"):
        show_maps({}, alt="nothing")
    for titles in (["one"], ["one", "two", "three"]):
        with pytest.raises(ValueError, match=f"{len(titles)} titles for 2 pictures"):
            show_images([torch.zeros(3, 4, 4)] * 2, titles, alt="black")


@pytest.mark.parametrize("shape", [(3, 1, 5000), (3, 1, 600), (3, 5000, 1), (3, 1, 1)])
def test_thin_pictures_are_shown_small(shape, displayed):
    show_images([torch.rand(shape)], ["thin"], alt="a line")
    with PIL.Image.open(io.BytesIO(displayed[0].data)) as picture:
        assert max(picture.size) <= 4100


def test_one_picture_need_not_be_put_into_a_list(figures, rng):
    image = torch.rand(3, 4, 6, generator=rng)
    show_images(image, alt="noise")
    show_images(image[None], alt="noise")  # a batch of one
    assert [len(drawn(figure)) for figure in figures] == [1, 1]
    assert (drawn(figures[0])[0] == drawn(figures[1])[0]).all()


def test_what_is_no_picture_no_map_or_no_size_is_explained(as_users_run_it, figures):
    image = torch.zeros(3, 4, 4)
    solution = Solution(image, torch.zeros(1), True)
    for fault, call in {
        "pass its .value": lambda: show_images(solution, alt="a"),
        "image is a Solution": lambda: show_images([image, solution], alt="a"),
        "columns is 0": lambda: show_images([image], alt="a", columns=0),
        "height is -1": lambda: show_images([image], alt="a", height=-1),
        "height is 1000": lambda: show_maps({"a": image[0]}, alt="a", height=1000),
        r"red has shape \(3, 4, 4\).*one channel": lambda: show_maps({"red": image}, alt="a"),
    }.items():
        with pytest.raises(ValueError, match=fault):
            call()
    assert figures == []


def test_steps_may_be_counted_from_one_and_have_whole_ticks(figures):
    show_curves({"a": [3.0, 2, 1]}, x_label="step", y_label="energy", alt="it falls", first=1)
    show_curves({"a": ([0.1, 0.4], [1, 2])}, x_label="x", y_label="y", alt="it rises")
    assert figures[0].axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]
    assert all(tick == round(tick) for tick in figures[0].axes[0].get_xticks())
    assert any(tick != round(tick) for tick in figures[1].axes[0].get_xticks())


def test_a_broken_picture_leaves_no_figure_open(figures):
    before = plt.get_fignums()
    with pytest.raises(ValueError, match="NaN"):
        show_images([torch.zeros(3, 4, 4), torch.full((3, 4, 4), torch.nan)], alt="broken")
    assert plt.get_fignums() == before and figures == []


def test_enlarging_repeats_pixels_as_often_as_fits(rng):
    small = torch.rand(2, 3, 4, 5, generator=rng)
    large = enlarge(small, 15)
    assert large.shape == (2, 3, 12, 15)
    for row in range(3):
        torch.testing.assert_close(large[..., row::3, 2::3], small)
    assert torch.equal(enlarge(small, 3), small)


def test_tiles_stand_row_by_row_on_white(rng):
    images = torch.rand(5, 3, 4, 4, generator=rng) * 3 - 1
    sheet = tile(images, 3, size=8, gap=2)
    assert sheet.shape == (3, 2 * 8 + 2, 3 * 8 + 2 * 2)
    for index, image in enumerate(images):
        top, left = 10 * (index // 3), 10 * (index % 3)
        corners = sheet[:, top : top + 8 : 2, left : left + 8 : 2]
        torch.testing.assert_close(corners, image.clamp(0, 1))
    assert (sheet[:, 8:10] == 1).all() and (sheet[:, :, 8:10] == 1).all()
    assert (sheet[:, 10:, 20:] == 1).all()  # where the sixth would be
    assert tile(images, 5, size=4, gap=0).shape == (3, 4, 20)


def test_tiles_need_a_column(rng):
    with pytest.raises(ValueError, match="columns"):
        tile(torch.rand(5, 3, 4, 4, generator=rng), 0)


def test_in_a_grid_each_name_stands_at_its_row_and_column(figures, rng):
    images = torch.rand(6, 3, 20, 10, generator=rng)
    show_grid(images, ["cat", "cup"], ["a", "b", "c"], alt="noise", height=0.2, gap=2)
    axes, = figures[0].axes
    sheet = axes.images[0].get_array()
    assert sheet.shape == (2 * 20 + 2, 3 * 10 + 2 * 2, 3)
    for ticks, names in ((axes.get_yticks(), axes.get_yticklabels()),
                         (axes.get_xticks(), axes.get_xticklabels())):
        assert len(ticks) == len(names)
    for row, y in enumerate(axes.get_yticks()):
        for column, x in enumerate(axes.get_xticks()):
            seen = sheet[int(y - 9.5) : int(y + 10.5), int(x - 4.5) : int(x + 5.5)]
            assert (seen == to_uint8(images[3 * row + column])).all()
    assert [name.get_text() for name in axes.get_yticklabels()] == ["cat", "cup"]
    assert [name.get_text() for name in axes.get_xticklabels()] == ["a", "b", "c"]


def test_the_names_of_a_grid_are_part_of_its_figure(displayed):
    for rows in (["", ""], ["a long name of a row", "another"]):
        show_grid(torch.zeros(4, 3, 8, 8), rows, ["a", "b"], alt="black", height=0.5)
    plain, named = (PIL.Image.open(io.BytesIO(one.data)).width for one in displayed)
    assert named > plain + 60


def test_a_grid_needs_one_picture_a_cell(figures, as_users_run_it):
    for count, rows in ((3, ["a", "b"]), (0, [])):
        with pytest.raises(ValueError, match=f"{count} pictures for {len(rows)} rows"):
            show_grid(torch.zeros(count, 3, 4, 4), rows, ["a", "b"], alt="black")
    with pytest.raises(ValueError, match="height is -1"):
        show_grid(torch.zeros(1, 3, 4, 4), ["a"], ["b"], alt="black", height=-1)
    assert figures == []
