"""Live tools for the lessons: they hold state and call the library, with no maths inside."""

from course_lib.thrift import give_back_after_cells
from course_lib.widgets.blend import BlendTool
from course_lib.widgets.canvas import Canvas
from course_lib.widgets.photo import PhotoTool
from course_lib.widgets.sliders import LiveImage, sweep
from course_lib.widgets.tools import SmoothTool, WarpTool

__all__ = ["BlendTool", "Canvas", "LiveImage", "PhotoTool", "SmoothTool", "WarpTool", "sweep"]

give_back_after_cells()  # tools live in notebooks, where kernels stay for hours
