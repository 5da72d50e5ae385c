"""Live tools for the lessons: they hold state and call the library, with no maths inside."""

from course_lib.widgets.sliders import LiveImage, sweep

__all__ = ["LiveImage", "sweep"]
