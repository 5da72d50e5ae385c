"""What students chose to call things, on the instructor's terminal."""

import unicodedata

import pytest

from assignments.grading.display import printable


@pytest.mark.parametrize("text, shown", [
    ("Zoë Müller, 王小明 (2).ipynb", "Zoë Müller, 王小明 (2).ipynb"),
    ("\x1b[2Jann", r"\x1b[2Jann"), ("\x9b31m", r"\x9b31m"), ("a\r\nb", r"a\r\nb"),
    ("\u202egpj.exe", r"\u202egpj.exe"), ("a\u2028b", r"a\u2028b"), ("\ud800", r"\ud800"),
])
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert printable(text) == shown


def test_no_control_reaches_the_terminal():
    everything = "".join(map(chr, range(0x110000)))
    left = {unicodedata.category(character) for character in printable(everything)}
    assert left.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
