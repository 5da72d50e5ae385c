"""What students' servers run in: containers where Docker answers, else processes behind a wall."""

import subprocess

KINDS = ("docker", "wall")


def choose(asked: str) -> tuple[str, str]:
    """The kind of servers, and a sentence for whoever starts the hub; empty if all is well.

    Args:
        asked: "docker" or "wall", as `COURSE_HUB_SPAWNER` says; empty: whatever works here.

    Raises:
        ValueError: it asks for something else.
    """
    if asked not in (*KINDS, ""):
        raise ValueError(f"COURSE_HUB_SPAWNER is {asked!r}, so nobody's server could start: "
                         "it is docker or wall.")
    if asked == "wall":
        return "wall", ""
    problem = why_no_docker()
    if not problem:
        return "docker", ""
    if asked == "docker":
        return "docker", (f"{problem}, so no student's server will start: start it, or set "
                          "COURSE_HUB_SPAWNER=wall.")
    return "wall", (f"{problem}, so students' servers will be processes behind bubblewrap; "
                    "set COURSE_HUB_SPAWNER=docker if you want containers alone.")


def why_no_docker(seconds: float = 5) -> str:
    """What keeps containers from being started, asked of Docker's daemon; empty if nothing does."""
    question = ["docker", "info", "--format", "{{.ServerVersion}}"]
    try:
        said = subprocess.run(question, capture_output=True, timeout=seconds)
    except OSError:
        return "There is no docker command"
    except subprocess.TimeoutExpired:
        return f"Docker's daemon gave no answer in {seconds:g} s"
    # Some versions of the command end well without a daemon, and know no version then.
    return "" if said.returncode == 0 and said.stdout.strip() else "Docker's daemon does not answer"
