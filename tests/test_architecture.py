"""Holds the library to its drawing: who may import whom, and how large and documented a module is.

The rules are functions of source text, so that each can be shown to fail.
"""

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "course_lib"

# The syllabus. A module imports only what stands before it.
READING_ORDER = """
    shapes results checks caching thrift writing  pixels images weights  gradients solvers
    smoothing blending warping energies  denoising generators  lite0 losses encoders classifiers
    descent projection classes familiarity realism tuning deep_prior  guidance sdedit text
    transfer framing  directions parts sessions metrics
    plotting diagrams feedback  widgets  present  training
""".split()

# Packages with an order of their own; their front door, __init__, comes last.
ROOMS = {
    "generators": (
        "cards loading interpolation spaces capabilities base adversarial "
        "dcgan stylegan2_layers stylegan2_networks stylegan2_files stylegan2 "
        "biggan_networks biggan_deep biggan_files biggan "
        "vae vqvae_layers vqvae_prior vqvae flow_steps flow "
        "diffusion_networks diffusion official_ddpm"
    ).split(),
    "widgets": (
        "browser background sliders latent marks canvas tool blend tools project directions parts "
        "labels wishes paint_page paint diffuse transfer photo_page photo text_page text"
    ).split(),
    "feedback": (
        "answers pictures showcase diagnosis core toys recipes wishes closeness sealed poisson "
        "gradient_domain segments morphs warping codes projection reach directions histograms "
        "transfer guidance steps wording beyond"
    ).split(),
    "weights": "files checkpoints unpickling flattening downloads hub".split(),
    "guidance": "axes strokes drag energy rest candidates editing".split(),
    "solvers": "conjugate_gradients multigrid fourier lbfgs".split(),
    "text": "words towers real models constraints editing".split(),
    "blending": "placing poisson modes".split(),
    "directions": "moving moments ganspace sefa annotated effects naming".split(),
    "parts": "clusters finding moving locality naming".split(),
    "transfer": "motion apply regions alternatives".split(),
    "sessions": "editing outlines rewording photo text".split(),
    "present": "cells slides stage pictures __main__".split(),
}

METHODS = """
    losses encoders classifiers descent projection classes familiarity realism tuning deep_prior
    guidance sdedit text transfer framing directions parts sessions metrics
""".split()
MAX_LINES = 300
MAX_BODY = 40  # lines, without the docstring


def read_house(folder: Path = HOUSE) -> dict[str, str]:
    """Every module's source by its dotted name inside the library; "" is the library itself."""
    sources = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        sources[name] = path.read_text(encoding="utf-8")
    return sources


def imports_of(name: str, sources: dict[str, str]) -> set[str]:
    """The library's modules that the module `name` imports, wherever in its source."""
    found = set()
    is_package = any(other.startswith(f"{name}.") for other in sources) or name == ""
    for node in ast.walk(ast.parse(sources[name])):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                here = ["course_lib", *filter(None, name.split("."))]
                above = here[: len(here) - node.level + is_package]
                origin = ".".join([*above, *filter(None, [origin])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner.removeprefix("course_lib.") in sources else origin)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called.endswith(("import_module", "__import__")):
                found.add(str(node.args[0].value))
    ours = {module for module in found if (module + ".").startswith("course_lib.")}
    return {module.removeprefix("course_lib").removeprefix(".") for module in ours}


def place(name: str) -> tuple[int, int]:
    """Where a module stands: its rank in the reading order, then inside its package."""
    room, _, inner = name.partition(".")
    order = ROOMS.get(room, [])
    return READING_ORDER.index(room), order.index(inner) if inner in order else len(order)


def unplaced(sources: dict[str, str]) -> list[str]:
    """Sentences about modules that have no place in the drawing."""
    faults = []
    for name in filter(None, sources):
        room, _, inner = name.partition(".")
        if room not in READING_ORDER:
            faults.append(f"{name} has no place: write it into READING_ORDER, on purpose.")
        elif room in ROOMS and inner and inner not in ROOMS[room]:
            faults.append(f"{name} has no place in its package: write it into ROOMS, on purpose.")
    return faults


def forbidden_imports(sources: dict[str, str]) -> list[str]:
    """Sentences about imports that the drawing does not allow."""
    faults = []
    placed = [name for name in sources if name.partition(".")[0] in READING_ORDER]
    for name in placed:
        for other in sorted(imports_of(name, sources)):
            reason = _objection(name, other)
            if reason:
                faults.append(f"{name} imports {other or 'course_lib itself'}: {reason}.")
    if "" in sources and imports_of("", sources):
        faults.append("course_lib/__init__.py imports modules: then each import loads them all.")
    return faults


def _objection(name: str, other: str) -> str | None:
    room, target = name.partition(".")[0], other.partition(".")[0]
    if target not in READING_ORDER:
        return "that is no module of the drawing"
    if target == "training" and room != "training":
        return "nobody imports how the weights were made"
    if target == "widgets" and room != "widgets":
        return "nothing imports the widgets"
    if target == "plotting" and room not in ("diagrams", "feedback", "widgets", "training"):
        return "only diagrams, feedback, widgets and training draw figures"
    if target == "generators" and room in METHODS and other != "generators.base":
        return "a method speaks to generators.base alone, so that it works on every family"
    if room == target == "training":
        return None
    if place(other) >= place(name):
        return "it does not stand before it in the reading order"
    return None


def undocumented(sources: dict[str, str]) -> list[str]:
    """The modules, and the public functions, classes and methods, without a docstring."""
    faults = []
    for name, source in sources.items():
        tree = ast.parse(source)
        if not ast.get_docstring(tree):
            faults.append(f"{name or 'course_lib'} has no docstring.")
        for node in _public(tree):
            if not ast.get_docstring(node):
                faults.append(f"{name}.{node.name} has no docstring.")
    return faults


def _public(tree: ast.Module | ast.ClassDef):
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    yield from _public(node)


def overlong(sources: dict[str, str]) -> list[str]:
    """Sentences about modules that should be two."""
    lengths = {name: source.count("\n") for name, source in sources.items()}
    return [
        f"{name} has {length} lines, more than {MAX_LINES}: give a part of it a name of its own."
        for name, length in lengths.items() if length > MAX_LINES
    ]


def overlong_bodies(sources: dict[str, str]) -> list[str]:
    """Sentences about functions that should be two."""
    faults = []
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if length > MAX_BODY:
                    faults.append(f"{name}.{node.name} has a body of {length} lines, more than "
                                  f"{MAX_BODY}: give a part of it a name of its own.")
    return faults


def retyped_terms(sources: dict[str, str]) -> list[str]:
    """Sentences about names of an energy's terms that are typed where a constant should stand.

    Of names of several words, as one word may mean other things.
    """
    named = [node.value.value for node in ast.walk(ast.parse(sources["results"]))
             if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    terms = {term for term in named if " " in term}
    return [
        f"{name} types {node.value!r}: take the constant in results, lest one of the two change."
        for name, source in sources.items() if name != "results"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and node.value in terms
    ]


def lost_lessons(sources: dict[str, str]) -> list[str]:
    """Sentences about docstrings that name a lesson's section which that lesson does not have."""
    faults = []
    for name, source in sources.items():
        flat = " ".join(source.split())
        for number, section in re.findall(r'[Ll]esson (\d\d)[^"]{0,80}"([^"]+)"', flat):
            lesson, = (HOUSE.parent / "notebooks").glob(f"{number}_*.ipynb")
            if f"## {section}" not in lesson.read_text(encoding="utf-8"):
                faults.append(f"{name} names “{section}”, which lesson {number} lacks: follow it.")
    return faults


RULES = [unplaced, forbidden_imports, undocumented, overlong, overlong_bodies,
         retyped_terms, lost_lessons]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_library_keeps_the_rule(rule):
    sources = read_house()
    assert {"", "shapes", "images", "gradients", "widgets", "widgets.sliders"} <= sources.keys()
    assert rule(sources) == []


def test_imports_are_found_in_the_library_as_it_is():
    sources = read_house()
    assert imports_of("gradients", sources) == {"checks", "shapes"}
    assert imports_of("widgets", sources) >= {"widgets.canvas", "widgets.sliders"}
    assert imports_of("shapes", sources) == set()


@pytest.mark.parametrize("statement, expected", [
    ("import course_lib.plotting as p", {"plotting"}),
    ("from course_lib import plotting, images", {"plotting", "images"}),
    ("from course_lib.plotting import show_images", {"plotting"}),
    ("from course_lib.generators import base, load_generator", {"generators.base", "generators"}),
    ("from . import plotting", {"plotting"}),
    ("from .plotting import show_images", {"plotting"}),
    ("import course_lib", {""}),
    ("def late():\n    from course_lib.plotting import show_images", {"plotting"}),
    ("from importlib import import_module\nimport_module('course_lib.plotting')", {"plotting"}),
    ("import course_library\nfrom torch import plotting", set()),
])
def test_every_way_to_import_is_seen(statement, expected):
    others = dict.fromkeys(("plotting", "images", "generators", "generators.base"), "")
    assert imports_of("blending", others | {"blending": statement}) == expected


def test_imports_relative_to_a_package_are_seen():
    sources = {
        "images": "", "widgets.sliders": "from ..images import to_uint8",
        "widgets": "from .sliders import LiveImage\nfrom ..images import to_uint8",
    }
    assert imports_of("widgets.sliders", sources) == {"images"}
    assert imports_of("widgets", sources) == {"widgets.sliders", "images"}


@pytest.mark.parametrize("name, source, complaint", [
    ("gradients", "from course_lib.blending import blend_poisson", "does not stand before it"),
    ("checks", "from course_lib.checks import require_count", "does not stand before it"),
    ("blending", "from course_lib.plotting import show_images", "draw figures"),
    ("metrics", "from course_lib import plotting", "draw figures"),
    ("feedback", "from course_lib.widgets import LiveImage", "nothing imports the widgets"),
    ("training", "import course_lib.widgets.sliders", "nothing imports the widgets"),
    ("widgets.canvas", "from course_lib.training import cats", "nobody imports"),
    ("projection", "from course_lib.generators.stylegan2 import Synthesis", "every family"),
    ("projection", "from course_lib.generators import load_generator", "every family"),
    ("generators.base", "from course_lib.generators.dcgan import DCGAN", "does not stand before"),
    ("generators.dcgan", "from course_lib.generators import load_generator", "not stand before"),
    ("warping", "from course_lib.helpers import clamp", "no module of the drawing"),
    ("warping", "import course_lib", "no module of the drawing"),
    ("", "from course_lib.images import load_image", "loads them all"),
])
def test_a_forbidden_import_is_reported(name, source, complaint):
    others = dict.fromkeys((
        "blending", "plotting", "widgets", "widgets.sliders", "training", "training.cats",
        "generators", "generators.base", "generators.dcgan", "generators.stylegan2",
    ), "")
    faults = forbidden_imports(others | {name: source})
    assert len(faults) == 1 and complaint in faults[0], faults


@pytest.mark.parametrize("name, source", [
    ("blending", "from course_lib.solvers import conjugate_gradient"),
    ("feedback", "from course_lib.plotting import show_images"),
    ("projection", "from course_lib.generators.base import Generator"),
    ("generators", "from course_lib.generators.dcgan import DCGAN"),
    ("generators.dcgan", "from course_lib.generators.base import Generator"),
    ("widgets.canvas", "from course_lib.generators import load_generator"),
    ("training.cats", "from course_lib.generators.stylegan2 import StyleGAN2\n"
                      "from course_lib.training.data import batches"),
])
def test_an_allowed_import_is_not_reported(name, source):
    others = dict.fromkeys((
        "solvers", "plotting", "generators.base", "generators.dcgan", "generators.stylegan2",
        "training.data",
    ), "")
    assert forbidden_imports(others | {name: source}) == []


def test_a_new_file_must_be_placed_on_purpose():
    assert "READING_ORDER" in unplaced({"utils": ""})[0]
    assert "ROOMS" in unplaced({"generators.mystery": ""})[0]
    assert unplaced({"": "", "text": "", "training.cats": "", "generators": ""}) == []


def test_missing_docstrings_are_reported():
    source = "def f(): ...\nclass C:\n 'Has one.'\n def m(self): ...\n def _p(self): ..."
    assert undocumented({"text": source}) == [
        "text has no docstring.", "text.f has no docstring.", "text.m has no docstring.",
    ]


def test_the_front_page_names_every_module():
    page = ast.get_docstring(ast.parse(read_house()[""]))
    rooms = {name.partition(".")[0] for name in read_house()} - {""}
    assert {room for room in rooms if f"`{room}`" not in page} == set()


def test_a_term_that_is_typed_again_is_reported():
    sources = {"results": "CLOSE = 'close to the input'", "energies": "{'close to the input': 1}"}
    assert "energies types 'close to the input'" in retyped_terms(sources)[0]
    assert not retyped_terms(sources | {"energies": "'a price: close to the input'"})


def test_a_section_that_a_lesson_lacks_is_reported():
    source = "# Lesson 01 says so in \"Nowhere at all\"."
    assert "lesson 01 lacks" in lost_lessons({"text": source})[0]
    assert not lost_lessons({"text": "# Plainly in lesson 01, \"One row, by hand\"."})


def test_overlong_modules_are_reported():
    assert overlong({"text": "\n" * 301})
    assert not overlong({"text": "\n" * 300})


def test_overlong_bodies_are_reported_and_docstrings_are_free():
    body = "def f():\n 'Says what.'\n" + " x = 1\n" * 40
    assert overlong_bodies({"text": body}) == []
    assert "text.f has a body of 41 lines" in overlong_bodies({"text": body + " x = 2\n"})[0]
