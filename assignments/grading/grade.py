"""Grade, feedback, export: what happens once work is handed in."""

import shutil
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock, Timeout

from assignments.grading.confinement import require_wall
from assignments.grading.course import Course, CourseError, say, stop_all
from assignments.grading.display import printable
from assignments.grading.handout import release
from assignments.grading.plugins import flags_of
from assignments.grading.shares import begin
from assignments.grading.sifting import sift

OVERHEAD = 240  # seconds that a grader gets beyond its notebook's two runs, at most


def grade(course: Course, options: Namespace) -> int:
    """Grade each submission in a process of its own: what one breaks, no other notices."""
    course.require(options.assignment)
    require_wall(options.wall)
    share = f"-{options.share.number}-of-{options.share.of}" if options.share else ""
    lock = course.root / "logs" / f"grade-{options.assignment}{share}.lock"
    lock.parent.mkdir(exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            return grade_all(course, options)
    except Timeout:
        raise CourseError(
            f"{options.assignment} is being graded here already: wait for that, or stop it, or the "
            "two would write over each other.") from None


def grade_all(course: Course, options: Namespace) -> int:
    """All that are not graded yet, as long as nobody stops it."""
    gradebook = None
    students = options.students or course.students(options.assignment)
    if not students:
        raise CourseError(
            f"Nobody has handed in {options.assignment}, so there is nothing to grade: collect it "
            "first.")
    if options.share is None:
        say("Making the release anew, which takes seconds")
        release(course, options.assignment)
    else:
        gradebook = begin(course, options.assignment, options.share)
        students = [student for student in students if options.share.holds(student)]
    todo = [student for student in students
            if options.again or not course.is_graded(options.assignment, student)]
    say(f"{len(students)} submissions, {len(students) - len(todo)} of them graded before")
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            outcomes = list(pool.map(
                lambda student: grade_one(course, student, options, gradebook), todo))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            say("Stopped: what was being graded has no new grade, and comes first next time.")
            return 1
    return int(not all(outcomes))


def grade_one(course: Course, student: str, options: Namespace,
              gradebook: str | None = None) -> bool:
    """Run nbgrader's autograde on one submission; whether it got a grade.

    Args:
        gradebook: the address of a share's; the course's if None.
    """
    assignment = options.assignment
    try:
        noticed = sift(course, assignment, student)
        settings = {
            "kind": options.wall, "cell_seconds": options.cell_seconds, "seed": course.seed(),
            "total_seconds": options.total_seconds, "memory_mb": options.memory_mb,
            "fingerprint": course.fingerprint(assignment, student), "noticed": " ".join(noticed),
        }
        words = [f"--ConfinedExecute.{key}={value}" for key, value in settings.items() if value]
        words += [f"--CourseDirectory.db_url={gradebook}"] if gradebook else []
        course.nbgrader(
            "autograde", assignment, f"--student={student}", "--force", *words,
            seconds=2 * options.total_seconds + OVERHEAD,
        )
    except (CourseError, OSError) as error:
        say(printable(f"{student}: not graded: {error}"))
        return False
    flags = flags_of(course.notebook("autograded", assignment, student).parent)
    say(printable(" ".join([f"{student}: graded.", *flags])))
    return True


def feedback(course: Course, options: Namespace) -> int:
    """A page for each graded submission, made in a process of its own with a limit on its time."""
    course.require(options.assignment)
    known = course.students(options.assignment)
    for student in set(options.students) - set(known):
        raise CourseError(f"{student} has handed in no {options.assignment}; these have: "
                          f"{', '.join(known) or 'nobody'}.")
    students = options.students or [
        student for student in known
        if course.notebook("autograded", options.assignment, student).exists()
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        made = list(pool.map(lambda student: make_page(course, student, options), students))
    folder = course.root / "feedback" / "STUDENT" / options.assignment
    print(f"{sum(made)} of {len(students)} pages were made: return what lies in {folder}.")
    return int(not all(made))


def make_page(course: Course, student: str, options: Namespace) -> bool:
    """Run nbgrader's generate_feedback on one submission; whether there is a page now."""
    page = course.root / "feedback" / student / options.assignment / f"{options.assignment}.html"
    shutil.rmtree(page.parent, ignore_errors=True)  # an old page must not pass for a new one
    try:
        course.nbgrader("generate_feedback", options.assignment, f"--student={student}", "--force",
                        seconds=options.page_seconds)
    except CourseError as error:
        say(printable(f"{student}: no page: {error}"))
        return False
    say(printable(f"{student}: {'a page' if page.exists() else 'no page'}"))
    return page.exists()


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
