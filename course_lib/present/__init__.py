"""Lessons on a projector: `python -m course_lib.present 03`.

The slides are the lesson's own cells, in JupyterLab, so that sliders and canvases stay live:
`cells` says what each shows, `slides` which stand together, `stage` opens them, and `pictures`
photographs each, to look at before the audience does.
"""
