"""The hub for a class: what ships in deploy/, tried with a real hub and proxy on loopback."""

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import yaml

from deploy import collect, load, roster, spawning, start, trial
from deploy.places import COURSE, FIRST, HOME, Places
from deploy.roster import Roster
from deploy.student import Student, StudentError

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


# The class list.

def test_the_class_list_admits_whom_it_names_with_their_own_password_alone(tmp_path):
    people = Roster(tmp_path / "hub" / "roster.json")
    grace, alan = people.add("grace"), people.add("alan")
    assert people.admits("grace", grace) and people.admits("alan", alan)
    assert not people.admits("grace", alan) and not people.admits("grace", "")
    assert not people.admits("ada", grace) and not people.admits("", "")
    assert grace not in people.path.read_text() and people.path.stat().st_mode & 0o077 == 0


def test_a_new_password_ends_the_old_one_and_removal_ends_both(tmp_path):
    people = Roster(tmp_path / "roster.json")
    old, new = people.add("grace"), people.add("grace")
    assert not people.admits("grace", old) and people.admits("grace", new)
    people.remove("grace")
    assert not people.admits("grace", new)


def test_the_class_list_is_made_by_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_HUB", str(tmp_path))
    assert roster.main(["add", "grace", "alan"]) == 0
    handed_out = dict(line.split(",") for line in capsys.readouterr().out.splitlines())
    people = Roster(tmp_path / "hub" / "roster.json")
    assert all(people.admits(*pair) for pair in handed_out.items())
    assert roster.main(["list"]) == 0 and capsys.readouterr().out.split() == ["alan", "grace"]


def a_list(monkeypatch, file: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file), "utf-8"))


def test_a_class_list_is_added_from_a_file_once_a_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_HUB", str(tmp_path))
    a_list(monkeypatch, b"\xef\xbb\xbfgrace\r\n\r\n alan \r\ngrace\r\n")  # as Windows writes it
    assert roster.main(["add"]) == 0
    handed_out = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in handed_out] == ["grace", "alan"]
    people = Roster(tmp_path / "hub" / "roster.json")
    assert all(people.admits(*pair) for pair in handed_out)


@pytest.mark.parametrize("words, file, bad, good", [
    ([], b"grace\nalan turing\n\nada\nJos\xe9\n",
     ["line 2 ('alan turing')", "line 5 ('Jos\ufffd')"], "grace"),
    (["grace", "alan turing", "../ada"], b"", ["'alan turing', '../ada' cannot"], "'grace'"),
])
def test_bad_names_are_all_named_in_one_sentence_and_nobody_is_added(
    tmp_path, monkeypatch, capsys, words, file, bad, good
):
    monkeypatch.setenv("COURSE_HUB", str(tmp_path))
    ada = Roster(tmp_path / "hub" / "roster.json").add("ada")
    a_list(monkeypatch, file)
    assert roster.main(["add", *words]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert all(name in said.err for name in bad) and good not in said.err
    people = Roster(tmp_path / "hub" / "roster.json")
    assert list(people.read()) == ["ada"] and people.admits("ada", ada)


@pytest.mark.parametrize("name", ["..", "../hub", "a/b", "", ".ssh", "Grace", "a b", "a" * 65])
def test_no_name_leads_out_of_its_folder(name, tmp_path):
    places = Places(tmp_path, ROOT)
    with pytest.raises(ValueError, match="small letters"):
        places.home(name)
    with pytest.raises(ValueError, match="small letters"):
        Roster(tmp_path / "roster.json").add(name)


def test_a_hub_without_an_edition_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="grading edition"):
        Places(tmp_path, tmp_path / "edition").make()


# Lessons, and what is handed in.

def test_lessons_that_are_there_stay_as_the_student_left_them(tmp_path):
    lessons, home = tmp_path / "lessons", tmp_path / "home"
    lessons.mkdir()
    (lessons / "01.ipynb").write_text("one")
    assert start.bring(lessons, home) == ["01.ipynb"]
    (home / "01.ipynb").write_text("mine")
    (lessons / "01.ipynb").write_text("one, mended")
    (lessons / "02.ipynb").write_text("two")
    assert start.bring(lessons, home) == ["02.ipynb"]
    assert (home / "01.ipynb").read_text() == "mine"


def hand_in(places: Places, folder: str, name: str, time: str, text: str) -> Path:
    work = places.inbound(folder) / f"{name}+a1+2026-11-{time} UTC+x"
    work.mkdir(parents=True)
    cell = nbformat.v4.new_markdown_cell(text)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), work / "a1.ipynb")
    (work / "submission_secret.txt").write_text("secret")
    return work


def test_the_newest_work_is_collected_under_the_name_that_the_hub_gave(tmp_path):
    from assignments.grading.course import Course, CourseError

    course, places = Course(tmp_path / "course"), Places(tmp_path, ROOT)
    source = course.notebook("source", "a1")
    source.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), source)
    hand_in(places, "grace", "grace", "01 10:00:00", "first")
    hand_in(places, "grace", "alan", "02 10:00:00", "second, under a false name")
    (hand_in(places, "linus", "linus", "01 10:00:00", "none") / "a1.ipynb").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    places.inbound("mallory").mkdir(parents=True)
    (places.inbound("mallory") / "mallory+a1+2026-12-01 UTC+x").symlink_to(elsewhere)
    assert collect.collect(course, places, "a1") == ["linus"]
    assert course.students("a1") == ["grace"]
    taken = course.notebook("submitted", "a1", "grace")
    assert "second" in taken.read_text()
    assert [path.name for path in taken.parent.iterdir()] == ["a1.ipynb"]
    with pytest.raises(CourseError, match="no assignment 'a2'"):
        collect.collect(course, places, "a2")


# What servers run in.

@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Puts a `docker` command of these lines in the place of any other."""
    def make(lines: str) -> None:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / "docker").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return make


@pytest.mark.skipif(os.name != "posix", reason="a hub runs on Linux")
@pytest.mark.parametrize("lines, says", [
    ("echo Cannot connect >&2; exit 1", "does not answer"), ("echo", "does not answer"),
    ("exec /bin/sleep 5", "no answer in 0.2 s"), (None, "no docker command"),
])
def test_a_docker_command_without_its_daemon_leads_to_the_wall_in_a_sentence(
    docker, monkeypatch, lines, says
):
    if lines is not None:
        docker(lines)
    asking = spawning.why_no_docker
    monkeypatch.setattr(spawning, "why_no_docker", lambda: asking(seconds=0.2))
    kind, said = spawning.choose("")
    assert kind == "wall" and says in said and "bubblewrap" in said and said.count(". ") == 0
    assert spawning.choose("wall") == ("wall", "")
    kind, said = spawning.choose("docker")
    assert kind == "docker" and says in said and "no student's server will start" in said


@pytest.mark.skipif(os.name != "posix", reason="a hub runs on Linux")
def test_docker_is_taken_where_its_daemon_answers(docker):
    docker('[ "$1" = info ] && echo 28.0.1')
    assert spawning.choose("") == spawning.choose("docker") == ("docker", "")
    assert spawning.choose("wall") == ("wall", "")


def test_an_unknown_kind_of_server_is_refused():
    with pytest.raises(ValueError, match=r"'podman'.*docker or wall"):
        spawning.choose("podman")


# The files that machines read.

def test_the_dockerfile_copies_what_is_there_and_no_solution():
    lines = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text()).splitlines()
    stages = [re.split(r"^FROM ", line)[1] for line in lines if line.startswith("FROM ")]
    assert [stage.partition(" AS ")[2] for stage in stages] == ["environment", "edition", ""]
    final = "\n".join(lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")):])
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    named = [path for words in copied if not words[0].startswith("--from") for path in words]
    assert named and all((ROOT / path).exists() for path in named), named
    # Of the project, what students run in gets the start alone; the rest comes from the edition.
    assert re.findall(r"^COPY (?!--from)(\S+)", final, re.M) == [
        "deploy/start.py", "deploy/jupyter"]
    assert re.findall(r"^COPY --from=edition (\S+)", final, re.M) == [
        "/edition/course_lib", "/edition/notebooks"]
    assert "rm -rf course_lib" in final and "USER student" in final
    text = "\n".join(lines)
    assert "ARG WHEELS" in text and all(f"torch=={v}" in text for v in re.findall(
        r"^torch==(\S+)", (ROOT / "requirements.txt").read_text(), re.M))


# The names that the chart's schema documents, of those that values.yaml uses; ANY: free below.
ANY = None
CHART = {
    "hub": {"config": ANY, "concurrentSpawnLimit": int, "db": {"type": str}, "extraConfig": ANY},
    "proxy": {"https": {"enabled": bool, "hosts": list, "letsencrypt": {"contactEmail": str}}},
    "singleuser": {
        "image": {"name": str, "tag": str}, "cmd": list, "defaultUrl": str, "uid": int,
        "fsGid": int, "allowPrivilegeEscalation": bool, "startTimeout": int,
        "memory": {"guarantee": str, "limit": str}, "cpu": {"guarantee": float, "limit": int},
        "extraEnv": ANY, "initContainers": list, "networkPolicy": {"enabled": bool},
        "storage": {"type": str, "capacity": str, "homeMountPath": str, "extraVolumes": list,
                    "extraVolumeMounts": list},
    },
    "prePuller": {"hook": {"enabled": bool}, "continuous": {"enabled": bool}},
    "scheduling": {"userScheduler": {"enabled": bool}, "podPriority": {"enabled": bool},
                   "userPlaceholder": {"enabled": bool, "replicas": int}},
    "cull": {"enabled": bool, "timeout": int, "every": int},
}


def strangers(values: dict, known: dict, path: str = "") -> list[str]:
    """The keys of `values` that are not known, or whose values are of another type."""
    found = []
    for key, value in values.items():
        here, kind = f"{path}{key}", known.get(key, "unknown")
        if isinstance(kind, dict):
            found += strangers(value, kind, f"{here}.") if isinstance(value, dict) else [here]
        elif kind is not ANY and (kind == "unknown" or type(value) is not kind):
            found.append(here)
    return found


def test_the_chart_knows_every_value():
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())
    assert strangers(values, CHART) == []
    assert strangers({"singleuser": {"memory": {"limits": "1G"}}}, CHART) == [
        "singleuser.memory.limits"]
    names = {volume["name"] for volume in values["singleuser"]["storage"]["extraVolumes"]}
    assert {m["name"] for m in values["singleuser"]["storage"]["extraVolumeMounts"]} == names


def test_a_student_begins_at_the_lesson_that_their_server_brings():
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())["singleuser"]
    assert values["defaultUrl"] == FIRST and values["storage"]["homeMountPath"] == HOME
    assert (ROOT / "notebooks" / Path(FIRST).name).exists()
    assert FIRST == f"/lab/tree/lessons/{Path(FIRST).name}"


def test_on_kubernetes_instructors_alone_see_what_all_handed_in():
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())
    c = SimpleNamespace(KubeSpawner=SimpleNamespace())
    exec(values["hub"]["extraConfig"]["instructors"], {"c": c})
    shared = values["singleuser"]["storage"]["extraVolumeMounts"]
    grace, ada = (SimpleNamespace(user=SimpleNamespace(admin=admin), volume_mounts=shared)
                  for admin in (False, True))
    for spawner in (ada, grace):
        c.KubeSpawner.pre_spawn_hook(spawner)
    assert [m["subPath"] for m in ada.volume_mounts] == [
        "safety-wheels/outbound", "safety-wheels/inbound"]
    assert not any(m.get("readOnly") for m in ada.volume_mounts)
    outbound, inbound = grace.volume_mounts
    assert outbound["readOnly"] and inbound["subPath"] == "safety-wheels/inbound/{username}"


def test_a_students_settings_leave_the_instructors_tools_out():
    page = json.loads((DEPLOY / "jupyter/student/labconfig/page_config.json").read_text())
    off = page["disabledExtensions"]
    assert off["@jupyter/nbgrader:formgrader"] and "@jupyter/nbgrader:assignment-list" not in off
    for path in DEPLOY.glob("jupyter/*/*.py"):
        ast.parse(path.read_text())


# A hub.

needs_hub = pytest.mark.skipif(bool(trial.why_not()), reason=f"no hub here: {trial.why_not()}")


@pytest.mark.parametrize("kind", ["wall", "docker"])
@needs_hub
def test_every_setting_is_one_that_its_class_knows(kind, tmp_path):
    pytest.importorskip("dockerspawner", reason="dockerspawner is not installed")
    code = f"""
import json, sys
from jupyterhub.app import JupyterHub
from traitlets.config import PyFileConfigLoader
config = PyFileConfigLoader("jupyterhub_config.py", {str(DEPLOY)!r}).load_config()
app = JupyterHub(config=config)
classes = [type(app), *app.spawner_class.__mro__, *app.authenticator_class.__mro__,
           *app.proxy_class.__mro__]
known = {{cls.__name__: cls.class_trait_names() for cls in classes if hasattr(cls, "class_traits")}}
print(json.dumps([f"{{name}}.{{key}}" for name, section in config.items() for key in section
                  if key not in known.get(name, [])]))
print(app.spawner_class.__name__, app.authenticator_class.__name__)
print(app.hub_bind_url or app.hub_ip, config.Spawner.default_url)
"""
    variables = os.environ | {"COURSE_HUB": str(tmp_path), "COURSE_HUB_EDITION": str(ROOT),
                              "COURSE_HUB_SPAWNER": kind, "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True,
                          text=True)
    assert said.returncode == 0, said.stderr
    unknown, classes, addresses = said.stdout.splitlines()
    assert json.loads(unknown) == []
    spawner = {"wall": "WalledSpawner", "docker": "DockerSpawner"}[kind]
    assert classes == f"{spawner} RosterAuthenticator"
    hub = {"wall": "127.0.0.1", "docker": "http://0.0.0.0:8081"}[kind]
    assert addresses == f"{hub} {FIRST}"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    with trial.trial(root, COURSE_HUB_MEMORY_MB="1500", **load.borrowed()) as hub:
        yield hub


@pytest.fixture(scope="module")
def grace(hub):
    student = Student(hub.address, "grace")
    student.log_in(hub.password)
    student.start_server()
    return student


@needs_hub
def test_behind_the_wall_everything_listens_on_loopback(hub, grace):
    kernel = grace.start_kernel()
    grace.run(kernel, "1")
    listening = {wire.laddr.ip for process in [psutil.Process(hub.hub.pid), *hub.relatives()]
                 for wire in process.net_connections("inet") if wire.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    grace.stop_kernel(kernel)


@needs_hub
def test_a_student_lands_on_the_first_lesson_and_an_instructor_in_the_project(hub, grace):
    assert grace.web.get(f"{grace.base}/", timeout=60).url == grace.base + FIRST
    assert grace.read("lessons/00_start_here.ipynb").cells
    ada = Student(hub.address, "ada")
    ada.log_in(hub.password)
    ada.start_server()
    assert ada.web.get(f"{ada.base}/", timeout=60).url == f"{ada.base}/lab"


@needs_hub
def test_the_shipped_login_page_knows_the_class_list(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    hub = trial.Trial(root)
    password = Roster(root / "hub" / "roster.json").add("grace")
    try:
        hub.start("--JupyterHub.log_level=WARN")
        Student(hub.address, "grace").log_in(password)
        with pytest.raises(StudentError, match="403"):
            Student(hub.address, "grace").log_in(password[:-1])
        with pytest.raises(StudentError, match="403"):
            Student(hub.address, "alan").log_in(password)
    finally:
        hub.close()


@needs_hub
def test_a_student_works_and_neither_killed_kernels_nor_a_crashed_hub_lose_it(hub, grace):
    kernel = grace.start_kernel()
    assert grace.run(kernel, load.WORK).split() == ["(1,", "3,", "64,", "64)"]
    notebook = grace.read("lessons/01_poisson_blending.ipynb")
    notebook.cells.append(nbformat.v4.new_markdown_cell("Mine."))
    grace.save("lessons/01_poisson_blending.ipynb", notebook)

    with pytest.raises(StudentError, match="died"):
        grace.run(kernel, "import os; os.kill(os.getpid(), 9)")
    survivor = grace.start_kernel()
    grace.run(survivor, "kept = 6 * 7")
    hub.crash()
    assert grace.read("lessons/01_poisson_blending.ipynb").cells[-1].source == "Mine."  # no hub yet
    hub.start()
    assert grace.read("lessons/01_poisson_blending.ipynb").cells[-1].source == "Mine."
    assert grace.run(survivor, "print(kept)") == "42\n"

    again = Student(hub.address, "grace")
    again.log_in(hub.password)
    assert again.start_server() < 20  # the server that is there, not another
    assert again.run(survivor, "print(kept)") == "42\n"
    grace.stop_kernel(survivor)


@needs_hub
def test_what_is_shared_cannot_be_written_and_what_is_others_cannot_be_seen(hub, grace):
    places = Places(hub.root, ROOT)
    places.make("alan")
    (places.home("alan") / "diary.txt").write_text("private")
    (places.exchange / COURSE / "outbound" / "a1").mkdir()
    kernel = grace.start_kernel()
    code = f"""
import os
from pathlib import Path
import course_lib
def tries(path):
    try: Path(path).write_text("x")
    except OSError as error: return type(error).__name__
    return "written"
library = Path(course_lib.__file__).parent
print(tries(library / "x"), tries(library / "assets" / "cats.safetensors"),
      tries(os.environ["COURSE_LESSONS"] + "/x"), tries("/usr/x"), tries("/x"),
      tries("/srv/exchange/{COURSE}/outbound/a1/x"), tries(os.__file__))
print(tries("/home/student/x"), tries("/srv/exchange/{COURSE}/inbound/x"))
print([Path(path).exists() for path in ({str(places.home("alan"))!r},
       {str(hub.root / "hub")!r}, {str(ROOT / "assignments")!r}, {str(ROOT / "tests")!r})])
print(len([name for name in os.listdir("/proc") if name.isdigit()]) < 12)
"""
    shared, own, others, few = grace.run(kernel, code).splitlines()
    assert set(shared.split()) <= {"OSError", "PermissionError"}, shared
    assert own.split() == ["written", "written"] and few == "True"
    assert ast.literal_eval(others) == [False] * 4
    assert (places.inbound("grace") / "x").exists() and (places.home("grace") / "x").exists()
    grace.stop_kernel(kernel)


@needs_hub
def test_a_kernel_that_asks_for_too_much_gets_an_error_and_lives(hub, grace):
    kernel = grace.start_kernel()
    with pytest.raises(StudentError, match=r"MemoryError|allocate"):
        grace.run(kernel, "much = bytearray(2 << 30)")
    grace.run(kernel, "import torch")
    with pytest.raises(StudentError, match=r"MemoryError|allocate"):
        grace.run(kernel, "import torch; much = torch.ones(2 << 28)")
    assert grace.run(kernel, "print('alive', len(bytearray(1 << 20)))") == "alive 1048576\n"
    grace.stop_kernel(kernel)


@needs_hub
def test_work_goes_from_a_student_to_where_it_is_graded(hub, grace, tmp_path):
    from assignments.grading.course import Course

    places, course = Places(hub.root, ROOT), Course(tmp_path)
    release = places.exchange / COURSE / "outbound" / "a9"
    release.mkdir()
    nbformat.write(nbformat.v4.new_notebook(), release / "a9.ipynb")
    source = course.notebook("source", "a9")
    source.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), source)
    kernel = grace.start_kernel()
    code = """
import subprocess, sys
def nbgrader(*words):
    ended = subprocess.run([sys.executable, "-m", "nbgrader", *words, "a9"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(ended.returncode, ended.stdout if ended.returncode else "")
"""
    assert grace.run(kernel, code + "nbgrader('fetch_assignment')").split() == ["0"]
    notebook = grace.read("a9/a9.ipynb")
    notebook.cells.append(nbformat.v4.new_markdown_cell("Grace's answer."))
    grace.save("a9/a9.ipynb", notebook)
    assert grace.run(kernel, "nbgrader('submit')").split() == ["0"]
    grace.stop_kernel(kernel)
    assert collect.collect(course, places, "a9") == [] and course.students("a9") == ["grace"]
    assert "Grace's answer." in course.notebook("submitted", "a9", "grace").read_text()


@needs_hub
def test_formgrader_is_the_instructors_alone(hub, grace):
    ada = Student(hub.address, "ada")
    ada.log_in(hub.password)
    ada.start_server()
    assert "formgrader" in ada.ask("GET", "formgrader/manage_assignments").text
    assert {"assignments", "deploy"} <= {entry["name"] for entry in
                                         ada.ask("GET", "api/contents/").json()["content"]}
    with pytest.raises(StudentError, match="404"):
        grace.ask("GET", "formgrader/manage_assignments")
    grace.ask("GET", f"assignments?course_id={COURSE}")
