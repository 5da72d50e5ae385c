"""What a cell of a lesson is to a lecture: prose, a figure, a live tool, or nothing to show."""

import base64
import io
import re

import PIL.Image

SHOW_CODE = "show-code"  # the tag that puts a cell's code on its slide
WIDGET = "application/vnd.jupyter.widget-view+json"  # of an output: a live tool

# Pixels, as JupyterLab shows them without their help for the keyboard. (TransferTool is wide: its
# pictures stand in one row.)
TOOL_HEIGHTS = {
    "LatentTool": 350, "BlendTool": 510, "WarpTool": 572, "PaintTool": 670,
    "PhotoTool": 770, "SmoothTool": 560, "DirectionTool": 640, "TransferTool": 750,
    "TextTool": 690, "PartsTool": 720, "DiffuseTool": 720, "ProjectTool": 500, "LabelTool": 650,
}
TOOL_PICTURES = {"PhotoTool": 360}  # where a tool would be too high: its pictures, across
LIVE_PICTURE, BESIDE = 256, 200  # of a LiveImage: its picture, if not said; its controls and note
LARGEST_ZOOM = 2.2
SLENDER = 0.6  # as high, in widths, a figure needs more room


def source(cell: dict) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def is_prose(cell: dict) -> bool:
    """Whether it is a cell of Markdown."""
    return cell["cell_type"] == "markdown"


def has_heading(cell: dict) -> bool:
    """Whether it begins with a heading."""
    return is_prose(cell) and bool(re.match(r"#{1,3} ", source(cell)))


def is_sweep(cell: dict) -> bool:
    """Whether it moves a tool's controls through their range, which no audience need see."""
    return not is_prose(cell) and "sweep(" in source(cell)


def is_stub(cell: dict) -> bool:
    """Whether it is an exercise that nobody has written yet."""
    return "raises-exception" in cell["metadata"].get("tags", [])


def is_hidden(cell: dict) -> bool:
    """Whether a lecture leaves it out: nothing to see, and no code that was asked for."""
    if is_prose(cell):
        return not source(cell).strip()
    if SHOW_CODE in cell["metadata"].get("tags", []):
        return False
    folded = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
    return is_sweep(cell) or is_stub(cell) or folded or not any(map(_is_seen, cell["outputs"]))


def _is_seen(output: dict) -> bool:
    """Whether an output is more than an object's name, as `<Generator at 0x7f>`."""
    data = output.get("data", {})
    return set(data) != {"text/plain"} or not "".join(data["text/plain"]).startswith("<")


def is_tool(cell: dict) -> bool:
    """Whether it shows a live tool."""
    return any(WIDGET in output.get("data", {}) for output in cell.get("outputs", []))


def pictures_of(cell: dict) -> list[tuple[int, int]]:
    """Width and height of each figure that it shows; a live tool's picture is none."""
    if is_tool(cell):
        return []
    stored = [data for output in cell.get("outputs", [])
              for kind, data in output.get("data", {}).items() if kind.startswith("image/")]
    return [size_of("".join(data)) for data in stored]


def size_of(encoded: str) -> tuple[int, int]:
    """Width and height of a picture in base64."""
    return PIL.Image.open(io.BytesIO(base64.b64decode(encoded))).size


def style_of(cell: dict) -> dict:
    """How a live tool is shown on a slide, in CSS."""
    most = [wide for name, wide in TOOL_PICTURES.items() if f"{name}(" in source(cell)]
    return {"zoom": zoom_of(cell)} | ({"--sw-picture": f"{most[0]}px"} if most else {})


def zoom_of(cell: dict) -> float:
    """By how much a live tool is enlarged, so that it fills a slide 720 pixels high."""
    code = source(cell)
    named = [TOOL_HEIGHTS[name] for name in TOOL_HEIGHTS if f"{name}(" in code]
    if "LiveImage(" in code:
        asked = re.search(r"\bheight=(\d+)", code)
        named.append(BESIDE + (int(asked[1]) if asked else LIVE_PICTURE))
    return round(min(LARGEST_ZOOM, 650 / max(named, default=650)), 2)
