"""The instructor's tools: releases, cells, remote calls, walls, and all of them together."""

import asyncio
import csv
import html
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from filelock import FileLock
from nbformat.v4 import new_output

from assignments.grading import confinement, remote
from assignments.grading.__main__ import main
from assignments.grading.cells import (
    defined_names,
    imports_of,
    is_test,
    needed_by_tests,
    split_hidden,
)
from assignments.grading.confinement import ConfinementError, why_no_bubblewrap
from assignments.grading.course import Course, CourseError
from assignments.grading.execution import Kernel, merged
from assignments.grading.handout import is_stale, release
from course_lib.results import Solution
from tests.submissions.course import (
    NAME,
    RIGHT,
    filled_in,
    find,
    hand_in,
    make_course,
    release_notebook,
    source_notebook,
    write,
)

REAL = Course()
TRUSTING = ["--let-students-code-reach-my-files"]
needs_wall = pytest.mark.skipif(
    bool(why_no_bubblewrap()), reason=f"students' code is not run here: {why_no_bubblewrap()}"
)


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    made = make_course(tmp_path_factory.mktemp("released"))
    release(made, NAME)
    return made


@pytest.fixture
def course(released, tmp_path):
    """The tiny course, released, in a folder of the test's own."""
    shutil.copytree(released.root, tmp_path, dirs_exist_ok=True)
    return Course(tmp_path)


# Handing out.

def secrets(notebook):
    """The lines of solutions and hidden tests that stand nowhere else."""
    inside, hidden, shown = False, set(), ""
    for line in "\n".join(cell.source for cell in notebook.cells).split("\n"):
        if "### BEGIN" in line or "### END" in line:
            inside = "### BEGIN" in line
        elif inside:
            hidden.add(line.strip())
        else:
            shown += line + "\n"
    return {line for line in hidden if len(line) > 8 and line not in shown}


@pytest.mark.parametrize("name", REAL.assignments())
def test_a_release_is_what_its_source_makes(name):
    assert not is_stale(REAL, name), f"run: python -m assignments.grading prepare {name}"


@pytest.mark.parametrize("name", REAL.assignments())
def test_a_release_holds_no_solution_and_no_hidden_test(name):
    lost = secrets(nbformat.read(REAL.notebook("source", name), 4))
    handed_out = nbformat.read(REAL.notebook("release", name), 4)
    text = "\n".join(cell.source for cell in handed_out.cells)
    assert len(lost) > 5
    assert [line for line in lost if line in text] == []
    assert not any(cell.get("outputs") for cell in handed_out.cells)
    assert "### BEGIN" not in text and "COURSE_GRADING_SEED" not in text


def test_a_changed_source_makes_its_release_stale(course, capsys):
    assert not is_stale(course, NAME)
    source = source_notebook()
    source.cells[0].source = "# Another title"
    write(source, course.notebook("source", NAME))
    assert is_stale(course, NAME)
    assert main(["--course", str(course.root), "check"]) == 1
    capsys.readouterr()
    assert main(["--course", str(course.root), "prepare"]) == 0
    assert [line.split(":")[1].split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "making", "hand"]
    assert main(["--course", str(course.root), "check"]) == 0


def test_hidden_tests_must_come_last(course):
    source = source_notebook()
    find(source, "check_integrate").source += "\nassert True"
    write(source, course.notebook("source", NAME))
    with pytest.raises(CourseError, match="move them to the end"):
        release(course, NAME)


def test_an_unknown_assignment_is_named(course, capsys):
    assert main(["--course", str(course.root), "prepare", "a9"]) == 1
    assert "no assignment 'a9'" in capsys.readouterr().err


def test_a_submissions_process_loads_the_commands_without_torch():
    code = "import sys, assignments.grading.__main__; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[1])
    assert said.stdout == "False\n"


# Cells.

def test_test_cells_are_split_and_names_found():
    assert split_hidden("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS") == ("a", "b")
    source = "%matplotlib inline\ndef f():\n    g = 1\nx, (y, z) = 1, t\nclass C: pass\na.b = 1"
    assert defined_names(source) == ["f", "x", "y", "z", "C"]


def test_streams_are_kept_as_a_terminal_shows_them():
    figure, text = new_output("display_data"), [" 10 %\r 90 %", "\r100 %\r\nlong ", "x" * 10**6]
    outputs = [new_output("stream", text=part) for part in text]
    warning = new_output("stream", name="stderr", text="careful")
    assert merged([outputs[0], figure, outputs[1], warning, outputs[2]]) == [
        new_output("stream", text="100 %\nlong " + "x" * 10**6), figure, warning,
    ]


def test_only_the_given_cells_that_tests_need_run_beside_them():
    test = {"nbgrader": {"grade": True, "solution": False}}
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(cells=[
        cell("import torch as t, os.path"), cell("size = 3"), cell("unused = 1"),
        cell("picture = t.ones(size)\npicture[0] = 2"), cell("picture[1] = 3"),
        cell("show(answer(picture))"),
        cell("answer = 1", metadata={"nbgrader": {"grade": False, "solution": True}}),
        cell("assert answer == picture", metadata=test), cell("late = picture"),
    ])
    assert needed_by_tests(notebook) == {notebook.cells[place].source for place in (0, 1, 3, 4)}


def test_imports_are_those_of_given_cells():
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(cells=[
        cell("%matplotlib inline\nimport os, torch as t\nfrom a import b as c\nx = 1"),
        cell("import os, torch as t\ndef f():\n    import late"),
        cell("import secret", metadata={"nbgrader": {"grade": True, "solution": False}}),
    ])
    assert imports_of(notebook) == "import os, torch as t\nfrom a import b as c"


# Remote calls.

@pytest.fixture
def line(tmp_path):
    """A line to a `serve` in a thread; what it answers for is in the dictionary."""
    names = {}
    socket = str(tmp_path / "calls")
    thread = threading.Thread(target=remote.serve, args=(socket, names), daemon=True)
    thread.start()
    call = remote.Call(socket)
    yield names, call
    call.close()
    thread.join(5)


@pytest.mark.parametrize("value", [
    3, 2.5, 1j, "text", None, True, [1, (2, "b")], {"a": [1]}, {3: (4,)},
])
def test_plain_values_arrive_as_they_are(line, value):
    names, call = line
    names["same"] = lambda x: x
    assert call.ask(name="same")(value) == value


def test_tensors_arrays_and_solutions_arrive(line):
    names, call = line
    tensor = torch.rand(2, 3, dtype=torch.float64)
    names.update(
        part=lambda t: (t * 2)[:, 1], array=lambda t: t.numpy(),
        number=lambda t: np.float32(t.sum()), shapes=lambda t: torch.max(t, dim=0),
        solved=lambda t: Solution(t, torch.ones(1), True),
    )
    ask = {name: call.ask(name=name)(tensor) for name in names}
    assert torch.equal(ask["part"], tensor[:, 1] * 2) and not ask["part"].requires_grad
    names["tracked"] = lambda t: t.requires_grad_() * 1
    assert call.ask(name="tracked")(tensor.clone()).requires_grad
    assert isinstance(ask["array"], np.ndarray) and (ask["array"] == tensor.numpy()).all()
    assert ask["number"] == np.float32(tensor.sum())
    assert isinstance(ask["solved"], Solution) and torch.equal(ask["solved"].value, tensor)
    assert torch.equal(ask["shapes"][0], tensor.max(dim=0).values)


def test_functions_go_both_ways(line):
    names, call = line
    names["descend"] = lambda loss, x: loss(x) + loss(2 * x)
    names["adder"] = lambda n: lambda x: x + n
    names["apply"] = lambda function, x: function(x)
    assert call.ask(name="descend")(lambda x: x ** 2, torch.tensor(3.0)) == 45
    three = call.ask(name="adder")(3)
    assert three(4) == 7
    assert call.ask(name="apply")(three, 5) == 8
    assert call.ask(name="apply")(torch.sum, torch.ones(4)) == 4


@pytest.mark.parametrize("error, seen", [
    (NotImplementedError("Part 2"), NotImplementedError), (SystemExit(1), RuntimeError),
    (KeyError("x"), KeyError), (type("Own", (Exception,), {})("mine"), RuntimeError),
])
def test_errors_arrive_as_errors(line, error, seen):
    names, call = line

    def fail():
        raise error
    names["fail"] = fail
    with pytest.raises(seen):
        call.ask(name="fail")()
    names["fine"] = lambda: 1
    assert call.ask(name="fine")() == 1


def test_answers_cannot_carry_code(line, monkeypatch, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)
    names, call = line
    names["f"] = lambda: 0
    function = call.ask(name="f")
    monkeypatch.setattr(remote, "_plain", lambda *value: Payload())
    with pytest.raises(Exception, match=r"weights_only|Unsupported"):
        function()
    assert not (tmp_path / "owned").exists()


def test_answers_cannot_pretend_to_be_numbers(line):
    class Yes:
        def __call__(self):
            return self

        def __eq__(self, other):
            return True
        __hash__ = None
    names, call = line
    names["f"] = lambda: object()
    names["yes"] = Yes()
    with pytest.raises(ValueError, match="where numbers are expected"):
        call.ask(name="f")()
    assert call.ask(name="yes") != 5
    with pytest.raises(AttributeError):
        _ = call.ask(name="yes").shape


# Walls.

def test_without_a_wall_nothing_is_graded(course, monkeypatch, capsys):
    hand_in(course, "ann", filled_in(course, **RIGHT))
    monkeypatch.setattr(confinement, "why_no_bubblewrap", lambda: "the program bwrap is missing")
    assert main(["--course", str(course.root), "grade", NAME]) == 1
    said = capsys.readouterr().err
    assert "bwrap is missing" in said and "apt install bubblewrap" in said
    assert not course.notebook("autograded", NAME, "ann").exists()


@needs_wall
def test_behind_the_wall_is_the_library_that_grades_and_imports_leave_no_names(
    tmp_path, monkeypatch
):
    # In a copied course folder, an editable install still names the library of the first one.
    (tmp_path / "course_lib").mkdir()
    (tmp_path / "course_lib/__init__.py").write_text("copy = True")
    monkeypatch.setattr(confinement, "library_folder", lambda: tmp_path / "course_lib")

    async def ask():
        async with Kernel(60, imports="import fractions", kind="bubblewrap", files={}) as kernel:
            return await kernel.run(
                "import course_lib, gc, sys\nprint(course_lib.copy, gc.isenabled(), "
                "'fractions' in sys.modules, 'fractions' in globals())")

    with ThreadPoolExecutor(1) as pool:  # this thread may have the browser tests' loop
        (output,) = pool.submit(asyncio.run, ask()).result()
    assert output.text == "True True True False\n"


def test_a_course_that_the_kernel_could_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(confinement, "environment_folders", lambda: [str(tmp_path)])
    with pytest.raises(ConfinementError, match="move the course"):
        confinement.require_hidden("bubblewrap", tmp_path / "course")
    confinement.require_hidden("none", tmp_path / "course")
    tmp_path.chmod(0o755)
    with pytest.raises(ConfinementError, match="chmod 700"):
        confinement.require_hidden("user", tmp_path)


# Everything together.

@needs_wall
@pytest.mark.parametrize("name", REAL.assignments())
def test_the_solution_scores_all_and_the_release_nothing(name, tmp_path):
    course = Course(tmp_path)
    source = nbformat.read(REAL.notebook("source", name), 4)
    write(source, course.notebook("source", name))
    release(course, name)
    handed_out = nbformat.read(course.notebook("release", name), 4)
    for cell in filter(is_test, source.cells):
        cell.source = find(handed_out, cell.metadata.nbgrader.grade_id).source
    write(source, course.notebook("submitted", name, "solved"))
    write(handed_out, course.notebook("submitted", name, "untouched"))
    assert main(["--course", str(tmp_path), "grade", name]) == 0
    points = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
              for cell in filter(is_test, source.cells)}
    for student, share in (("solved", 1), ("untouched", 0)):
        for part in parts(course.notebook("autograded", name, student)):
            assert part["score"] == share * points[part["name"]], (student, part)
    assert main(["--course", str(tmp_path), "feedback", name]) == 0
    page = (tmp_path / "feedback/untouched" / name / f"{name}.html").read_text()
    text = html.unescape(re.sub(r"<[^>]*>", "", page))
    assert f"{name} (Score: 0.0 / 100.0)" in text
    assert "Part 1 · " in text and "Test cell" not in text
    lost = secrets(nbformat.read(REAL.notebook("source", name), 4))
    assert [line for line in lost if line in text] == []


def parts(autograded):
    from assignments.grading.gradescope import results
    found = results(autograded)
    assert found["output"] == ""
    return found["tests"]


def heed_interrupts():
    """As at a terminal, also where these tests run in the background, where none are heeded."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@needs_wall
def test_who_stops_the_grading_leaves_no_wrong_grade(course):
    slow = RIGHT | {"integrate": "import time\ntime.sleep(60)\n" + RIGHT["integrate"]}
    hand_in(course, "slow", filled_in(course, **slow))
    words = [sys.executable, "-m", "assignments.grading", "--course", str(course.root), "grade",
             NAME, "--jobs", "1"]
    grading = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True, preexec_fn=heed_interrupts)
    log = course.root / "logs" / f"autograde-{NAME}-slow.txt"
    for _ in range(600):
        if log.exists() and grading.poll() is None:
            break
        time.sleep(0.1)
    time.sleep(4)  # the kernel is up, and its cell asleep
    assert main(["--course", str(course.root), "grade", NAME]) == 1  # a second one is refused
    os.killpg(grading.pid, signal.SIGINT)  # as Ctrl-C does, to all of the terminal's processes
    said, complained = grading.communicate(timeout=30)
    assert grading.returncode == 1 and "Stopped: " in said and "slow: graded" not in said
    assert "Traceback" not in complained and not course.is_graded(NAME, "slow")
    assert "slow: not graded: nbgrader autograde was stopped" in said and "Converting" not in said


def test_two_gradings_at_once_and_gradings_of_nothing_are_refused(course, capsys):
    assert main(["--course", str(course.root), "grade", NAME, *TRUSTING]) == 1
    assert "Nobody has handed in" in capsys.readouterr().err
    hand_in(course, "ann", filled_in(course, **RIGHT))
    assert main(["--course", str(course.root), "feedback", NAME, "bob"]) == 1
    assert "bob has handed in no" in capsys.readouterr().err
    with FileLock(course.root / "logs" / f"grade-{NAME}.lock"):
        assert main(["--course", str(course.root), "grade", NAME, *TRUSTING]) == 1
    assert "being graded here already" in capsys.readouterr().err


def test_an_export_says_what_is_not_graded_yet(course):
    hand_in(course, "early", filled_in(course, **RIGHT))
    words = ["--course", str(course.root)]
    assert main([*words, "export", str(course.root / "grades.csv")]) == 0
    with open(course.root / "grades.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["student"], row["score"]) == ("early", "0.0") and "not graded yet" in row["flags"]


def test_extras_come_on_top_of_the_maximum(tmp_path):
    source = source_notebook()
    find(source, "check_integrate").metadata.nbgrader.grade_id = "extra-check"
    course = Course(tmp_path)
    write(source, course.notebook("source", NAME))
    release(course, NAME)
    hand_in(course, "ann", release_notebook())
    assert main(["--course", str(tmp_path), "export", str(tmp_path / "grades.csv")]) == 0
    with open(tmp_path / "grades.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["max_score"]) == 2 + 4


ASK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from assignments.grading.course import Course
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(16) as pool:
    print(*set(pool.map(lambda _: Course(Path(sys.argv[1])).seed(), range(64))))
"""


@pytest.mark.parametrize("given", [None, "4711"])
def test_one_seed_is_made_however_many_ask_for_it(tmp_path, monkeypatch, given):
    monkeypatch.delenv("COURSE_GRADING_SEED", raising=False)
    if given:
        write(given + "\n", tmp_path / "seed.txt")
    asking = [subprocess.Popen([sys.executable, "-c", ASK, str(tmp_path)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for process in asking:
        assert process.stdout.readline() == "ready\n"
    for process in asking:
        process.stdin.write("go\n")
        process.stdin.flush()
    seeds = [process.communicate()[0] for process in asking]
    assert len(set(seeds)) == 1 and seeds[0].strip().isdigit()
    assert given is None or seeds[0].strip() == given
    assert [path.name for path in tmp_path.iterdir()] == ["seed.txt"]


def test_an_export_of_nothing_says_so(course, capsys):
    words = ["--course", str(course.root)]
    assert main([*words, "export", str(course.root / "grades.csv")]) == 0
    assert "nobody has handed anything in" in capsys.readouterr().out
    assert main([*words, "export", str(course.root / "nowhere" / "grades.csv")]) != 0
