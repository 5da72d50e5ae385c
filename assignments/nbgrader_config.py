"""nbgrader's settings for this course. Where the course lies elsewhere, set COURSE_ROOT."""

import os
import sys
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent))

from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor  # noqa: E402
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
from nbgrader.server_extensions.formgrader.handlers import template_path  # noqa: E402

from assignments.grading.pages import FILTERS, TEMPLATES, CleanPages  # noqa: E402
from assignments.grading.plugins import (  # noqa: E402
    ConfinedExecute,
    FeedbackExporter,
    HideTests,
    MendingExporter,
    PartsCsv,
)

c = get_config()  # noqa: F821
root = os.environ.get("COURSE_ROOT", str(here))

c.CourseDirectory.root = root
c.CourseDirectory.course_id = "safety-wheels"
c.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db?timeout=120"  # several graders at once

# What a source's last cell writes when it is run is no part of what is handed out.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "my_results.html"]

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
c.GenerateFeedback.exporter_class = FeedbackExporter
c.GenerateFeedback.preprocessors = [GetGrades, HideTests, CSSHTMLHeaderPreprocessor]
c.ExportApp.plugin_class = PartsCsv
# What a student's work holds runs neither in your formgrader nor on a page to return.
c.HTMLExporter.preprocessors = [CleanPages]
c.HTMLExporter.filters = FILTERS
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.extra_template_basedirs = [str(TEMPLATES), template_path]
