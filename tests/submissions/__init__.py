"""A tiny course, and submissions to it that are right, broken or hostile, all made in code."""
