"""Text of a student's on the instructor's terminal."""


def printable(text: object) -> str:
    r"""`text` on one line, with each character that is not plainly visible written out, as `\x1b`.

    Names of students, files and cells are chosen by students: an escape sequence in them would
    move the cursor or retitle the window, a line break forge a line, a bidirectional control turn
    the letters around.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
