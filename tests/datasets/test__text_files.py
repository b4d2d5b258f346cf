import gzip

import pytest

from ctrbench.datasets._tables import Rule, broken_rules, read_table
from ctrbench.datasets._text_files import Dialect
from ctrbench.errors import ConfigError, DataError
from ctrbench.importing import database
from ctrbench.workspace import Workspace


@pytest.fixture
def read(tmp_path):
    """Return columns and rows of a text file."""

    def call(content, name="a.csv", **dialect):
        (tmp_path / name).write_bytes(content)
        with database(Workspace(tmp_path / "home")) as connection:
            table = read_table(connection, tmp_path / name, dialect=Dialect(**dialect))
            rows = connection.execute(f"FROM {table.relation}").fetchall()
            problems = broken_rules(connection, table, [Rule("b", "b = 'x'", "are x")])
            return [tuple(table.types), *rows], problems

    return call


SAME = [("a", "b"), ("1", "2"), ("3", "4"), ("5", "6")]


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n3,4\n5,6\n",
        b"a,b\r\n1,2\r\n3,4\r\n5,6\r\n",
        b"a,b\r1,2\r3,4\r5,6\r",
        b"a,b\n1,2\r\n3,4\n5,6",
        b"a,b\r\n1,2\n3,4\r5,6\r\n",
        b"\xef\xbb\xbfa,b\n1,2\r\n3,4\n5,6\n",
        b"a;b\n1;2\n3;4\n5;6\n",
        b"a\tb\n1\t2\n3\t4\n5\t6\n",
        b"a, b\n1, 2\n3 , 4\n5, 6\n",
        b'"a", "b"\n1, "2"\n3, 4\n5, 6\n',
    ],
)
def test_one_table_in_many_dialects(read, content):
    assert read(content)[0] == SAME


def test_mixed_line_ends_in_a_compressed_file(read):
    assert read(gzip.compress(b"a,b\n1,2\r\n3,4\n5,6\n"), "a.csv.gz")[0] == SAME


def test_line_ends_across_two_blocks(read, monkeypatch):
    monkeypatch.setattr("ctrbench.datasets._text_files.BLOCK", 5)
    for content in (b"a,b\r\n1,2\r\n3,4\r\n5,6\r\n", b"a,b\n1,2\r\n3,4\n5,6\r\n"):
        assert read(content)[0] == SAME


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "latin-1"])
def test_other_encodings(read, encoding):
    word = "é" if encoding == "latin-1" else "中"
    content = f"a,b\n{word},2\n".encode(encoding)
    assert read(content, encoding=encoding)[0] == [("a", "b"), (word, "2")]
    with pytest.raises(DataError, match=r"UTF-8.*--encoding"):
        read(content)


@pytest.mark.parametrize("encoding", ["UTF-8", "utf8", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_is_not_part_of_a_name(read, encoding):
    content = "\ufeffa,b\n1,2\n3,4\n5,6\n".encode("utf-8" if "8" in encoding else encoding)
    dialect = Dialect.of(None, encoding)
    assert read(content, encoding=dialect.encoding)[0] == SAME


def test_a_separator_typed_on_the_command_line():
    assert Dialect.of("\\t", "utf-8").separator == "\t"


def test_a_given_separator(read):
    assert read(b"a, b\n1, 2\n", separator=", ")[0] == SAME[:2]
    assert read(b"a::b\n1::2\n", separator="::")[0] == SAME[:2]
    with pytest.raises(DataError, match=r"';' and '\|'.*--separator"):
        read(b"a;x|b\n1;2|3\n")


def test_messages_count_lines_only_in_text_files(read):
    assert "line 3 (x)" in read(b"a,b\n1,2\n1,x\n")[1][0]
    assert "row 2 (x)" in read(b'a,b\n"1\n",2\n1,x\n')[1][0]
    assert "row 2 (x)" in read(b"a,b\n1,2\n\n1,x\n")[1][0]
    assert "line 3 (x)" in read(b"a,b\r\n1,2\n1,x")[1][0]


@pytest.mark.parametrize("dialect", [{"encoding": "klingon"}, {"separator": ""}])
def test_invalid_dialects(dialect):
    with pytest.raises(ConfigError, match=r"--encoding: .*'klingon'|--separator '"):
        Dialect(**dialect).check()
