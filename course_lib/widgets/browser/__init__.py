"""What of the widgets runs in the browser: plain JavaScript and CSS, as the files stand here.

A widget hands the browser one script. So a script that is long is written as several files, which
are read one after the other, each using what those before it define; nothing builds them.
"""

from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = {
    "canvas": (
        "element names files marks pen stage palette "
        "hands/look hands/brush hands/lasso hands/carry hands/move hands/points hands/pick canvas"
    ).split(),
    "labels": "element labels".split(),
    "sliders": "names sliders".split(),
}


def read_script(name: str) -> str:
    """The widget's script: the files that `SCRIPTS` lists under its name, joined."""
    return "\n".join(
        (HERE / f"{part}.js").read_text(encoding="utf-8") for part in SCRIPTS[name])


def read_style(name: str) -> str:
    """The widget's style sheet."""
    return (HERE / f"{name}.css").read_text(encoding="utf-8")
