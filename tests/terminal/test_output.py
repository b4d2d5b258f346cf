import io
import sys

import pytest
from rich.table import Table

from ctrbench.terminal.output import console, echo, printable, write

NASTY = "a\x1b[2Jb\x07\x9b31m\x7f\r"
SHOWN = "a␛[2Jb␇\ufffd31m␡␍"


def test_control_characters_become_visible():
    assert printable(NASTY) == SHOWN
    assert printable("tab\tand\nline, größe, 電影") == "tab\tand\nline, größe, 電影"


@pytest.mark.parametrize("err", [False, True])
def test_echo_and_console_send_no_control_characters(capsys, err):
    echo(NASTY, err=err)
    console(err).print(NASTY, markup=False)
    table = Table(NASTY, title=NASTY)
    table.add_row(NASTY)
    console(err, width=100).print(table)
    printed = "".join(capsys.readouterr())
    assert not set(printed) & set("\x1b\x07\x9b\x7f\r")
    assert printed.count("␛[2J") == 5


def test_results_are_printable_on_a_terminal_alone(monkeypatch, capsys):
    write(NASTY)
    assert capsys.readouterr().out == NASTY
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    write(NASTY)
    assert terminal.getvalue() == SHOWN
