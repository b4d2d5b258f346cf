import json

import pytest
from rich.table import Table

from ctrbench.json_text import as_json
from ctrbench.printable import printable
from ctrbench.terminal._tables import aligned
from ctrbench.terminal.output import console, echo, write

NASTY = "a\x1b[2Jb\x07\x9b31m\x7f\r"
SHOWN = "a␛[2Jb␇\ufffd31m␡␍"


def test_control_characters_become_visible():
    assert printable(NASTY) == SHOWN
    assert printable("\u202egnp.exe") == "\ufffdgnp.exe"
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


def test_results_are_printable(capsys):
    write(NASTY)
    assert capsys.readouterr().out == SHOWN


def test_json_keeps_the_value_without_control_characters():
    value = {"title": f"{NASTY}\u202egnp.exe\u2066", "größe": "電影"}
    text = as_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("\x1b\x07\x9b\x7f\r\u202e\u2066")
    assert "größe" in text


def test_numbers_with_and_without_signs_are_aligned_at_their_last_digit():
    rows = [
        ("", "head", "4.3%", "1"),
        ("b", "-0.03", "47.4 %", "text"),
        ("c", "1,234.5", "–", "5"),
        ("d", "+0.04", "", "678"),
    ]
    assert str(aligned([("  codes",), ("  10",)])).splitlines() == ["  codes", "     10"]
    assert str(aligned(rows)).splitlines() == [
        "   head       4.3%  1",
        "b    -0.03  47.4 %  text",
        "c  1,234.5       –  5",
        "d    +0.04          678",
    ]
