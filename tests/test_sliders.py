"""Live pictures, driven without a mouse."""

import base64
import html
import io
import re

import ipywidgets
import numpy as np
import PIL.Image
import pytest
import torch

from course_lib.widgets import LiveImage, sweep


class Recorder:
    """A render function that remembers what it was asked for."""

    def __init__(self, fails_when=lambda **values: False):
        self.calls, self.fails_when = [], fails_when

    def __call__(self, **values):
        self.calls.append(values)
        if self.fails_when(**values):
            raise ValueError("grey is <too> grey: make it less so")
        grey = float(values.get("grey", 0.5))
        return [torch.full((3, 20, 30), grey)], f"{len(self.calls)} drawn"


def grey_slider(value: float = 0.5) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(value, min=0, max=1, step=0.25, description="grey")


def shown(tool: LiveImage) -> np.ndarray:
    with PIL.Image.open(io.BytesIO(tool.view.value)) as picture:
        return np.asarray(picture)


def test_the_picture_follows_its_slider():
    render = Recorder()
    tool = LiveImage(render, alt="a grey", height=40, grey=grey_slider())
    assert shown(tool).shape == (40, 60, 3) and abs(shown(tool).mean() - 128) < 2
    tool.controls["grey"].value = 1.0  # what a drag does
    assert render.calls == [{"grey": 0.5}, {"grey": 1.0}]
    assert shown(tool).mean() > 253
    assert tool.caption.value.startswith("2 drawn") and "ms" in tool.caption.value


def test_pictures_stand_side_by_side_at_one_height():
    pictures = [torch.zeros(3, 10, 10), torch.ones(1, 40, 80)]
    tool = LiveImage(lambda: (pictures, ""), alt="two", height=20)
    assert shown(tool).shape == (20, 20 + 8 + 40, 3)
    assert shown(tool)[:, :16].mean() < 10 and shown(tool)[:, 32:].mean() > 245


def test_one_picture_need_not_be_put_into_a_list():
    tool = LiveImage(lambda: (torch.zeros(3, 10, 15), ""), alt="one", height=20)
    assert shown(tool).shape == (20, 30, 3)


def test_all_controls_are_handed_over_by_name():
    render = Recorder()
    kind = ipywidgets.Dropdown(options={"Rigid": "rigid", "Affine": "affine"}, value="affine")
    LiveImage(render, alt="a", grey=grey_slider(), kind=kind)
    assert render.calls == [{"grey": 0.5, "kind": "affine"}]


def test_a_failure_is_shown_and_raised_and_the_next_picture_clears_it():
    tool = LiveImage(Recorder(lambda grey: grey > 0.8), alt="a grey", grey=grey_slider())
    before = tool.view.value
    with pytest.raises(ValueError, match="too"):
        tool.controls["grey"].value = 1.0
    assert ">grey is &lt;too&gt; grey" in tool.error.value  # readable, not taken for a tag
    assert tool.view.value == before
    tool.controls["grey"].value = 0.25
    assert tool.error.value == "" and tool.view.value != before


def test_an_unexpected_failure_is_shown_with_its_kind():
    def render(grey):
        return {}["missing"] if grey == 1 else (torch.zeros(3, 4, 4), "")

    tool = LiveImage(render, alt="black", grey=grey_slider())
    with pytest.raises(KeyError):
        tool.set(grey=1.0)
    assert "KeyError: &#x27;missing&#x27;" in tool.error.value


def test_a_tool_that_fails_at_once_is_not_made():
    with pytest.raises(ValueError, match="too"):
        LiveImage(Recorder(lambda grey: True), alt="a grey", grey=grey_slider())


def test_setting_several_controls_draws_once():
    render = Recorder()
    tool = LiveImage(render, alt="a", grey=grey_slider(), steps=ipywidgets.IntSlider(3, 1, 9))
    tool.set(grey=0.25, steps=7)
    assert render.calls[1:] == [{"grey": 0.25, "steps": 7}]
    tool.controls["steps"].value = 7  # did not move
    assert len(render.calls) == 2
    tool.controls["steps"].value = 8  # and single moves are still seen
    assert render.calls[2:] == [{"grey": 0.25, "steps": 8}]


def test_reset_returns_all_controls_and_draws_once():
    render = Recorder()
    tool = LiveImage(render, alt="a", grey=grey_slider(), steps=ipywidgets.IntSlider(3, 1, 9))
    tool.set(grey=1.0, steps=9)
    tool.reset.click()
    assert render.calls[2:] == [{"grey": 0.5, "steps": 3}]
    assert abs(shown(tool).mean() - 128) < 2


def test_a_control_that_does_not_exist_is_told_the_others():
    tool = LiveImage(Recorder(), alt="a grey", grey=grey_slider())
    with pytest.raises(ValueError, match=r"gray.*: name one of grey"):
        tool.set(gray=1.0)


def test_a_refused_value_does_not_leave_the_tool_deaf():
    render = Recorder()
    tool = LiveImage(render, alt="a", kind=ipywidgets.Dropdown(options=["a", "b"]))
    with pytest.raises(Exception, match="Invalid selection"):
        tool.set(kind="c")
    tool.controls["kind"].value = "b"
    assert render.calls[-1] == {"kind": "b"}


def test_a_reader_without_a_kernel_sees_the_picture_and_its_alt_text():
    tool = LiveImage(Recorder(), alt="a grey", grey=grey_slider(1.0))
    data, metadata = tool._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/jpeg"]) == tool.view.value
    assert metadata == {"image/jpeg": {"alt": "a grey"}}


def test_the_page_gets_the_picture_with_its_alt_text_at_its_own_size():
    tool = LiveImage(Recorder(), alt='a "grey" <b>', height=40, grey=grey_slider(1.0))
    tag = re.fullmatch("<img ([^<>]+)>", tool.view.widget.value).group(1)
    said = {name: html.unescape(said) for name, said in re.findall('([a-z]+)="([^"]*)"', tag)}
    assert (said["alt"], said["width"], said["height"]) == ('a "grey" <b>', "60", "40")
    kind, data = said["src"].split(",")
    assert kind == "data:image/jpeg;base64" and base64.b64decode(data) == tool.view.value
    assert tool.view.widget in tool.widget.children
    before = tool.view.widget.value
    tool.set(grey=0.0)
    assert tool.view.widget.value != before


def test_no_widget_has_a_tooltip_which_keeps_jupyterlab_from_showing_a_picture():
    tool = LiveImage(Recorder(), alt="a grey", grey=grey_slider())
    parts = [tool.widget]
    while parts:
        part = parts.pop()
        parts += getattr(part, "children", ())
        assert not isinstance(part, ipywidgets.Image) and getattr(part, "tooltip", None) is None


def test_toggle_buttons_take_the_room_that_they_need():
    kinds = ipywidgets.ToggleButtons(options=["source", "average", "mixed"])
    LiveImage(Recorder(), alt="a", kinds=kinds, grey=(slider := grey_slider()))
    assert kinds.layout.width == "auto" and slider.layout.width == "26em"


def test_sweep_goes_from_the_least_to_the_largest_value_of_each_control_and_back():
    render = Recorder()
    tool = LiveImage(render, alt="a", grey=grey_slider(0.3), steps=ipywidgets.IntSlider(3, 1, 9))
    del render.calls[:]
    assert sweep(tool) == 10
    assert [call["grey"] for call in render.calls[:5]] == [0, 0.25, 0.5, 0.75, 1]
    assert [call["steps"] for call in render.calls[5:10]] == [1, 3, 5, 7, 9]
    assert all(call["steps"] == 3 for call in render.calls[:5])
    assert all(call["grey"] == 0.3 for call in render.calls[5:])
    assert len(render.calls) == 11 and render.calls[-1] == {"grey": 0.3, "steps": 3}


@pytest.mark.parametrize("control, expected", [
    (ipywidgets.IntSlider(1, 0, 2), [0, 1, 2]),
    (ipywidgets.IntSlider(1, 1, 1), [1]),
    (ipywidgets.BoundedIntText(4, 0, 4), [0, 1, 2, 3, 4]),
    (ipywidgets.FloatLogSlider(1, base=10, min=-2, max=2), [0.01, 0.1, 1, 10, 100]),
    (ipywidgets.Checkbox(True), [False, True]),
    (ipywidgets.ToggleButton(False), [False, True]),
    (ipywidgets.Dropdown(options=[("A", 1), ("B", 2)]), [1, 2]),
    (ipywidgets.Dropdown(options={"A": 1, "B": 2}), [1, 2]),
    (ipywidgets.ToggleButtons(options=["x", "y"]), ["x", "y"]),
    (ipywidgets.SelectionSlider(options=[1, 10, 100]), [1, 10, 100]),
    (ipywidgets.Text("word"), ["word"]),
    (ipywidgets.ColorPicker(value="#ff0000"), ["#ff0000"]),
], ids=lambda part: type(part).__name__)
def test_sweep_knows_every_kind_of_control(control, expected):
    render = Recorder()
    tool = LiveImage(render, alt="a", it=control)
    del render.calls[:]
    assert sweep(tool) == len(expected)
    assert [call["it"] for call in render.calls[:-1]] == pytest.approx(expected)


def test_sweep_moves_both_ends_of_a_range():
    render = Recorder()
    tool = LiveImage(render, alt="a", it=ipywidgets.IntRangeSlider(value=(2, 3), min=0, max=4))
    del render.calls[:]
    sweep(tool, stops=3)
    assert [call["it"] for call in render.calls] == [(0, 2), (0, 4), (2, 4), (2, 3)]


@pytest.mark.parametrize("broken", [0.0, 0.25, 0.75, 1.0])
def test_sweep_finds_a_fault_that_exists_at_one_value_only(broken):
    tool = LiveImage(Recorder(lambda grey: grey == broken), alt="a grey", grey=grey_slider())
    with pytest.raises(RuntimeError, match=f"grey = {broken} fails: grey is <too> grey"):
        sweep(tool)


def test_sweep_finds_a_picture_that_is_not_a_number():
    def render(grey):
        return torch.full((3, 4, 4), torch.nan if grey == 1 else grey), ""

    with pytest.raises(RuntimeError, match=r"grey = 1.0 fails: .*NaN"):
        sweep(LiveImage(render, alt="a grey", grey=grey_slider()))


def test_sweep_needs_both_ends():
    with pytest.raises(ValueError, match="stops"):
        sweep(LiveImage(Recorder(), alt="a grey", grey=grey_slider()), stops=1)


def test_controls_move_together_or_not_at_all():
    tool = LiveImage(Recorder(), alt="a grey", grey=grey_slider(),
                     count=ipywidgets.IntSlider(1, description="count"))
    with pytest.raises(ValueError, match=r"count can't be 'three' .*nothing was moved"):
        tool.set(grey=1.0, count="three")
    assert tool.values() == {"grey": 0.5, "count": 1}


def test_a_failed_sweep_brings_the_controls_back():
    tool = LiveImage(Recorder(lambda grey: grey > 0.8), alt="a grey", grey=grey_slider())
    with pytest.raises(RuntimeError, match=r"grey = 1\.0 fails"):
        sweep(tool)
    assert tool.values() == {"grey": 0.5} and tool.error.value == ""
