"""The package: what it declares, under which licences, and that it works where it is installed."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import course_lib
from course_lib.lite0 import PACKAGE

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ASSETS = ROOT / "course_lib" / "assets"
OURS = {"course_lib", "assignments", "deploy", "docs", "tests"}


def declared(*extras: str) -> set[str]:
    """The distributions that an installation with these extras asks for."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    wanted = [Requirement(line) for line in lines]
    nested = {extra for one in wanted for extra in one.extras} - set(extras)
    names = {canonicalize_name(one.name) for one in wanted} - {"safety-wheels"}
    return names | (declared(*nested) if nested else set())


packages = cache(packages_distributions)


def imported(folder: str, *, late: bool = True) -> set[str]:
    """The distributions that a folder's modules import; without `late`, only when they load."""
    known, found = packages(), set()
    for path in (ROOT / folder).rglob("*.py"):
        if "benchmarks" in path.parts:  # which have a file of requirements of their own
            continue
        for name in modules(ast.parse(path.read_text("utf-8")), late):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names | OURS:
                found.add(canonicalize_name(known.get(top, [top])[0]))
    return found


def modules(node: ast.AST, late: bool):
    """The names of the modules that a piece of source imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            yield child.module
        elif late or not isinstance(child, ast.FunctionDef):
            yield from modules(child, late)


# What is declared.

def test_late_imports_are_told_from_others():
    source = ast.parse("import a.b\ntry:\n    from c import d\nexcept E: pass\ndef f():\n import e")
    assert set(modules(source, late=False)) == {"a.b", "c"}
    assert set(modules(source, late=True)) == {"a.b", "c", "e"}


@pytest.mark.parametrize("folder, extras", [
    ("course_lib", ("lecture", "lpips", "official", "text")), ("assignments", ("grading",)),
    ("deploy", ("hub",)), ("tests", ("test",)),
])
def test_all_that_is_imported_is_declared(folder, extras):
    assert imported(folder) - declared(*extras) == set()


def test_the_library_loads_without_extras():
    assert imported("course_lib", late=False) - declared() == set()


def test_nothing_is_declared_for_nothing():
    assert declared() - imported("course_lib") == {canonicalize_name(PACKAGE)}
    assert declared("grading") - imported("course_lib") - imported("assignments") == {
        canonicalize_name(PACKAGE)}


@pytest.mark.parametrize("file, extras", [
    ("requirements.txt", ("lessons",)), ("requirements-grading.txt", ("lessons", "grading")),
    ("requirements-lecture.txt", ("lessons", "lecture")), ("requirements-hub.txt", ("hub",)),
    ("requirements-dev.txt", ("test",)),
])
def test_what_is_pinned_is_declared_and_has_one_version(file, extras):
    lines = (ROOT / file).read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    assert pins and {canonicalize_name(pin.name) for pin in pins} <= declared(*extras)
    assert all(re.fullmatch(r"==[\d.]+", str(pin.specifier)) for pin in pins)


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "requirements.txt"])
def test_the_range_of_pythons_is_the_same_everywhere(file):
    said = re.findall(r"Python (3\.\d+) to (3\.\d+)", (ROOT / file).read_text("utf-8"))
    allowed = SpecifierSet(PROJECT["requires-python"])
    inside = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed]
    assert said == [(inside[0], inside[-1])]


# Licences.

SPDX = {"CC BY-NC 4.0": "CC-BY-NC-4.0", "MIT": "MIT"}


def files_by_licence() -> dict[str, list[str]]:
    """What ships under which licence, by the cards; the photographs' is in their README."""
    found: dict[str, list[str]] = {}
    for path in sorted(ASSETS.glob("*.safetensors")):
        card = json.loads(path.with_suffix(".json").read_text("utf-8"))
        found.setdefault(card["license"], []).append(path.stem)
    assert "CC BY-NC 4.0" in (ASSETS / "photos/README.md").read_text("utf-8")
    found["CC BY-NC 4.0"].append("photos")
    return found


def test_the_licences_of_weights_are_those_of_their_cards():
    rows = [f"| {licence} | {', '.join(f'`{name}`' for name in names)} |"
            for licence, names in sorted(files_by_licence().items())]
    text = (ASSETS / "LICENSES.md").read_text("utf-8")
    assert text.partition("|---|---|\n")[2] == "\n".join(rows) + "\n"


def test_the_package_names_every_licence_that_it_ships():
    assert set(PROJECT["license"].split(" AND ")) == {"MIT"} | {
        SPDX[licence] for licence in files_by_licence()}


# A wheel.

BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
EDIT = """
import sys
from importlib.metadata import version
from pathlib import Path

import torch

import course_lib
from course_lib.blending import seamless_clone
from course_lib.generators import load_generator
from course_lib.images import load_image
from course_lib.widgets import Canvas

assert Path(course_lib.__file__).is_relative_to(sys.prefix), course_lib.__file__
assert version("safety-wheels") == course_lib.__version__

cats = load_generator("cats", device="cpu")
codes = cats.sample_latent(1, space="w", rng=torch.Generator().manual_seed(0))
cat, photo = cats.decode(codes, space="w")[0], load_image("tabby", size=96, device="cpu")
mask = torch.zeros(cat.shape[1:], dtype=torch.bool)
mask[8:56, 8:56] = True
blended = seamless_clone(cat, photo, mask, offset=(16, 16))
assert blended.converged and not torch.equal(blended.value, photo)
assert "export default" in Canvas(blended.value.clamp(0, 1), alt="a cat on a cat")._esm
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy that has what git would hand out of it."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "course_lib", copy / "course_lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-c", BUILD, cwd=copy)
    (built,) = copy.glob("*.whl")
    return built


def run(*words: str | Path, cwd: Path) -> str:
    """What a command prints, without this shell's paths."""
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(words, cwd=cwd, env=settings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_holds_every_file_of_the_library(wheel):
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "course_lib").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts}
    assert {"course_lib/py.typed", "course_lib/assets/cats.safetensors"} <= ours
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name for name in names if name.startswith("course_lib/")} == ours
    assert sum(name.endswith(("licenses/LICENSE", "assets/LICENSES.md")) for name in names) == 3


def test_an_edit_runs_from_the_wheel_in_a_fresh_environment(wheel, tmp_path):
    builder = venv.EnvBuilder(with_pip=False)
    fresh = tmp_path / "fresh"
    builder.create(fresh)
    python = builder.ensure_directories(fresh).env_exe
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
        "--quiet", wheel, cwd=tmp_path)
    place = Path(run(python, "-c", "import sysconfig as s; print(s.get_path('purelib'))",
                     cwd=tmp_path).strip())
    # Torch and the rest are those of this environment; its own course_lib stays out of sight.
    (place / "others.pth").write_text(sysconfig.get_path("purelib"))
    run(python, "-c", EDIT, cwd=tmp_path)
    assert course_lib.__version__ in wheel.name
