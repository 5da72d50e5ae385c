"""nbgrader's settings for this course. Where the course lies elsewhere, set COURSE_ROOT."""

import os
import sys
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent))

from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor  # noqa: E402
from nbconvert.preprocessors.sanitize import SanitizeHTML  # noqa: E402
from nbgrader.preprocessors import (  # noqa: E402
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    GetGrades,
    LimitOutput,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

from assignments.grading.plugins import (  # noqa: E402
    ConfinedExecute,
    HideTests,
    MendingExporter,
    PartsCsv,
)

c = get_config()  # noqa: F821
root = os.environ.get("COURSE_ROOT", str(here))

c.CourseDirectory.root = root
c.CourseDirectory.course_id = "safety-wheels"
c.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db?timeout=120"  # several graders at once

# The stub is a comment, since each part of the sources ends in a NotImplementedError of its own.
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE"}

# A submission is mended first, then run behind a wall; its metadata comes from the release.
c.Autograde.exporter_class = MendingExporter
c.Autograde.sanitize_preprocessors = [
    ClearOutput, OverwriteKernelspec, OverwriteCells, CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    ConfinedExecute, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata,
]
c.GenerateFeedback.preprocessors = [GetGrades, HideTests, CSSHTMLHeaderPreprocessor]
c.ExportApp.plugin_class = PartsCsv
# A student's output may hold scripts: neither your formgrader nor a page to return shall run them.
c.HTMLExporter.preprocessors = [SanitizeHTML]
c.SanitizeHTML.enabled = True
c.SanitizeHTML.tags = """
    a b blockquote br caption code div em h1 h2 h3 h4 i li ol p pre span strong sub sup
    table tbody td th thead tr ul
""".split()
c.SanitizeHTML.attributes = {"*": ["style", "title"], "a": ["href"]}
c.SanitizeHTML.styles = """
    border-left color font-weight margin max-width opacity padding text-align width
""".split()
