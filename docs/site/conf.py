"""The site's settings, for Sphinx; `python -m docs.site.build` calls it."""

import json
from pathlib import Path

from docutils import nodes

project = "Safety Wheels"
html_title = "Safety Wheels"
extensions = ["myst_nb"]
exclude_patterns = ["_static", "**.ipynb_checkpoints"]

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # which would fetch pages: a page of a folder may not
html_context = {"default_mode": "auto"}

nb_execution_mode = "off"  # lessons are committed executed
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
mathjax_path = "mathjax/tex-svg.js"  # one file, without a network
mathjax3_config = {"svg": {"fontCache": "global"}}
suppress_warnings = ["mystnb.unknown_mime_type"]

# What a reader who can't see a figure should know, by the name that MyST-NB gives to its file.
ALT = json.loads(Path(__file__).with_name("alt.json").read_text(encoding="utf-8"))


def say_what_is_shown(app, doctree) -> None:
    """Give each figure the alt text of its notebook."""
    for image in doctree.findall(nodes.image):
        image["alt"] = ALT.get(Path(image["uri"]).stem, image.get("alt", ""))


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", say_what_is_shown)
