"""What students chose to call things, on the instructor's terminal."""

import unicodedata

import pytest

from assignments.grading.__main__ import main
from assignments.grading.display import printable
from assignments.grading.handout import release
from tests.submissions.course import NAME, make_course


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


def test_commands_write_out_what_names_hide(tmp_path, capsys):
    release(make_course(tmp_path), NAME)
    words = ["--course", str(tmp_path)]
    assert main([*words, "feedback", NAME, "\x1b[2Jeve\u202e"]) == 1
    assert main([*words, "feedback", "\x1b[2Ja9"]) == 1
    said = capsys.readouterr()
    assert r"\x1b[2Jeve\u202e has handed in no" in said.err
    assert r"\x1b[2Ja9" in said.err
    assert not set("\x1b\u202e") & set(said.out + said.err)
