"""The tool for edit transfer in a real browser, driven by its slider and menu."""

import numpy as np

SETUP = """
import torch, torch.nn.functional as F
from course_lib.images import crop_square, load_image
from course_lib.widgets.transfer import TransferTool
photo = crop_square(load_image("chelsea", device="cpu"), size=280)
small = F.interpolate(photo[None], (32, 32), mode="area")[0]
red = torch.tensor([1.0, 0.6, 0.5])[:, None, None]
morphs = {
    "red": torch.stack([small * (1 + s * (red - 1)) for s in (0, 0.5, 1)]),
    "to the right": torch.stack([small.roll(s, -1) for s in (0, 1, 2)]),
}
tool = TransferTool(photo, morphs, alt="a cat", size=260)
tool
"""


def redness(pixels: np.ndarray) -> float:
    return pixels[..., 0].mean() - pixels[..., 2].mean()


def test_the_answer_and_the_naive_ways_follow_slider_and_menu(lab):
    page = lab.open_cells(SETUP)
    photo, answer = lab.canvas(0), lab.canvas(1)
    naive = [lab.canvas(index) for index in (2, 3, 4)]
    lab.settle()
    assert redness(answer.pixels()) > redness(photo.pixels()) + 20
    assert "photo's detail" in answer.note and all("detail" in one.note for one in naive)
    naive[1].spots((0, 0))
    lab.keep("transfer_tool")
    painted, before = answer.painted, answer.pixels()
    page.locator(".jp-OutputArea .noUi-handle").first.focus()
    page.keyboard.press("Home")
    answer.wait_for_picture(painted)
    lab.settle()
    assert "strength" in page.locator(".jp-OutputArea").inner_text()
    assert redness(answer.pixels()) < redness(before) - 20
    page.keyboard.press("End")
    lab.settle()
    painted = answer.painted
    page.get_by_role("combobox").last.select_option("to the right")
    answer.wait_for_picture(painted)
    lab.settle(1)
    assert np.abs(answer.pixels() - before).max() > 60 and answer.error == ""
    lab.keep("transfer_tool_motion")
    answer.button("Before / after").click()
    lab.settle()
    assert np.abs(answer.pixels() - photo.pixels()).mean() < 1
    answer.button("Before / after").click()
    with page.expect_download() as download:
        answer.button("Save image").click()
    assert download.value.suggested_filename == "transfertool.png"
