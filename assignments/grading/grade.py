"""Grade, feedback, export: what happens once work is handed in."""

from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assignments.grading.confinement import require_wall
from assignments.grading.course import Course, CourseError
from assignments.grading.handout import release
from assignments.grading.plugins import flags_of
from assignments.grading.sifting import sift

OVERHEAD = 240  # seconds that a grader gets beyond its notebook's


def grade(course: Course, options: Namespace) -> int:
    """Grade each submission in a process of its own: what one breaks, no other notices."""
    course.require(options.assignment)
    require_wall(options.wall)
    release(course, options.assignment)
    students = options.students or course.students(options.assignment)
    todo = [student for student in students
            if options.again or not course.is_graded(options.assignment, student)]
    print(f"{len(students)} submissions, {len(students) - len(todo)} of them graded before")
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda student: grade_one(course, student, options), todo))
    return int(not all(outcomes))


def grade_one(course: Course, student: str, options: Namespace) -> bool:
    """Run nbgrader's autograde on one submission; whether it got a grade."""
    assignment = options.assignment
    try:
        noticed = sift(course, assignment, student)
        settings = {
            "kind": options.wall, "cell_seconds": options.cell_seconds, "seed": course.seed(),
            "total_seconds": options.total_seconds, "memory_mb": options.memory_mb,
            "fingerprint": course.fingerprint(assignment, student), "noticed": " ".join(noticed),
        }
        words = [f"--ConfinedExecute.{key}={value}" for key, value in settings.items() if value]
        course.nbgrader(
            "autograde", assignment, f"--student={student}", "--force", *words,
            seconds=options.total_seconds + OVERHEAD,
        )
    except (CourseError, OSError) as error:
        print(f"{student}: not graded: {error}", flush=True)
        return False
    flags = flags_of(course.notebook("autograded", assignment, student).parent)
    print(" ".join([f"{student}: graded.", *flags]), flush=True)
    return True


def feedback(course: Course, options: Namespace) -> None:
    """A page for each graded submission."""
    course.require(options.assignment)
    course.nbgrader("generate_feedback", options.assignment, "--force")
    print(f"Return what lies in {course.root / 'feedback'}/STUDENT/{options.assignment}.")


def export(course: Course, options: Namespace) -> None:
    """One CSV file of all grades."""
    to = Path(options.to).resolve()
    if not to.parent.is_dir():
        raise CourseError(f"{to.parent} is no folder: make it first, or write elsewhere.")
    course.nbgrader("export", "--to", str(to))
    with open(to, newline="", encoding="utf-8") as file:
        rows = sum(1 for _ in file) - 1
    print(f"{to} has {rows} rows, one a student and assignment."
          if rows else f"{to} is empty: nobody has handed anything in.")
