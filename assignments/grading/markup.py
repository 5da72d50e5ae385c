"""Markup of a student's, made safe: an allow-list of tags, attributes and values, through nh3.

Nothing in it runs, asks another machine, submits a form, or lies over the page. Formulas become
MathML, which browsers draw without a script.
"""

import html
import re
import secrets
from xml.etree.ElementTree import tostring

import nh3
from latex2mathml.converter import Converter
from nbconvert.filters.markdown_mistune import IPythonRenderer
from pygments.token import STANDARD_TYPES

TAGS = set("""
    a b blockquote br caption code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre s
    span strong sub sup table tbody td tfoot th thead tr u ul
""".split())
ATTRIBUTES = {
    "*": {"style", "title"}, "a": {"href"}, "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "ol": {"start"},
}
STYLES = set("""
    background-color border-left color font-weight margin max-width opacity padding text-align width
""".split())
MATH_TAGS = set("""
    math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow mspace
    msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none
""".split())
MATH_ATTRIBUTES = set("""
    accent accentunder columnalign columnspacing display displaystyle fence form largeop
    linethickness lspace mathvariant maxsize minsize movablelimits notation rowspacing rspace
    scriptlevel separator stretchy symmetric width
""".split())
HIGHLIGHTS = {"div": {"highlight"}, "span": set(STANDARD_TYPES.values()) - {""}}
LINK = re.compile(r"\s*https?://.+", re.S)
PICTURE = re.compile(  # within the page, or handed in beside the notebook
    r"data:image/(png|jpeg|gif);base64,[\w+/=\s]+|(?!/)(?!.*\.\.)[\w /.-]+\.(png|jpe?g|gif)",
    re.I | re.A,
)
STYLE = re.compile(r"\s*[a-z-]+\s*:[\w #.%,]*", re.A)  # no url(), nothing negative
NUMBER = re.compile(r"\d{1,4}", re.A)
RULES = {"href": LINK, "src": PICTURE} | dict.fromkeys(
    ("width", "height", "colspan", "rowspan", "start"), NUMBER)
LIMITS = re.compile(r"\\(arg)?(min|max|lim|sup|inf)(?=\s*_)")  # in a display, below the word
MAX_MARKUP = 2_000_000  # characters; what is longer is shown as plain text


def safe_html(markup: str) -> str:
    """`markup` without anything that could run, load, submit, or lie over the page."""
    if len(markup) > MAX_MARKUP:
        return plain(markup)
    return nh3.clean(
        markup, tags=TAGS, attributes=ATTRIBUTES, attribute_filter=_safe_value,
        allowed_classes=HIGHLIGHTS, filter_style_properties=STYLES,
        url_schemes={"http", "https", "data"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _safe_value(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "style":
        return ";".join(part for part in value.split(";") if STYLE.fullmatch(part)) or None
    rule = RULES.get(attribute)
    return value if rule is None or rule.fullmatch(value) else None


def plain(text: str) -> str:
    """`text` as it is, in a box."""
    return f'<div class="highlight"><pre>{html.escape(text)}</pre></div>'


class Renderer(IPythonRenderer):
    """Markdown as nbconvert writes it, but for formulas, which wait for their MathML."""

    def __init__(self, **options):
        super().__init__(escape=False, exclude_anchor_links=True, **options)
        self.mark = f"formula-{secrets.token_hex(8)}-"
        self.formulas: list[tuple[str, str]] = []

    def block_math(self, body: str) -> str:
        return self._wait(body, "block")

    def inline_math(self, body: str) -> str:
        return self._wait(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        return self._wait(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    def _wait(self, latex: str, display: str) -> str:
        self.formulas.append((latex, display))
        return f"{self.mark}{len(self.formulas) - 1}."

    def with_formulas(self, safe: str) -> str:
        """`safe` markup with its formulas put in: between tags as MathML, inside one as text."""
        place = re.compile(rf"{self.mark}(\d+)\.")

        def put(found: re.Match) -> str:
            if found[0].startswith("<"):
                return place.sub(lambda one: html.escape(self.formulas[int(one[1])][0]), found[0])
            return mathml(*self.formulas[int(found[1])])
        # nh3 writes each attribute in double quotes, so this finds every tag from end to end.
        return re.sub(rf'<(?:[^>"]|"[^"]*")*>|{place.pattern}', put, safe)

    def _embed_image_or_attachment(self, src: str) -> str:
        kinds = self.attachments.get(src.removeprefix("attachment:"), {})
        for kind, data in kinds.items() if src.startswith("attachment:") else ():
            return f"data:{kind};base64,{data}"
        return src


def mathml(latex: str, display: str) -> str:
    """A formula as MathML, which browsers draw without a script; as text where that fails."""
    try:
        latex = LIMITS.sub(r"\g<0>\\limits", latex) if display == "block" else latex
        tree = Converter(display=display).convert_to_element(latex.strip())
        markup = re.sub(r"&amp;(#x?\w+;)", r"&\1", tostring(tree, encoding="unicode"))
    except Exception:
        return f"<code>{html.escape(latex)}</code>"
    return nh3.clean(markup, tags=MATH_TAGS, attributes={"*": MATH_ATTRIBUTES}, url_schemes=set())
