"""Where nbgrader, and formgrader in a JupyterLab that was started here, find the course."""

from pathlib import Path

load_subconfig("nbgrader_config.py", path=str(Path(__file__).parent / "assignments"))  # noqa: F821
