"""The instructor's tools: prepare, hand out, collect, grade, return. Thin on top of nbgrader.

`python -m assignments.grading --help` lists the commands; assignments/README.md walks through them.
"""
