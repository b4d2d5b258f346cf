import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._lists import (
    ColumnOptions,
    history_rules,
    list_rules,
    list_value,
    printed_lists,
)
from ctrbench.datasets._tables import broken_rules, read_table
from ctrbench.importing import database
from ctrbench.workspace import Workspace


@pytest.fixture
def read(tmp_path):
    """Return the lists of a text column, and its problems."""

    def call(values, **options):
        pq.write_table(pa.table({"v": values}), tmp_path / "a.parquet")
        with database(Workspace(tmp_path / "home")) as connection:
            table = read_table(connection, tmp_path / "a.parquet")
            chosen = ColumnOptions(printed=printed_lists(connection, [table]), **options)
            problems = broken_rules(connection, table, list_rules(table, "v", chosen))
            query = f"SELECT {list_value(table, 'v', chosen)} FROM {table.relation}"
            return [row for (row,) in connection.execute(query).fetchall()], problems

    return call


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        ("['a', 'b']", ["a", "b"]),
        ('["a", "it\'s"]', ["a", "it's"]),
        ("[1, 2]", ["1", "2"]),
        ("[1 2\n 30]", ["1", "2", "30"]),
        ("['a' 'b'\n 'c d']", ["a", "b", "c d"]),
        ("[New York, Paris]", ["New York", "Paris"]),
        ("['a', None, 'None', nan]", ["a", "None"]),
        (" [ 7 ] ", ["7"]),
        ("[]", []),
    ],
)
def test_printed_lists(read, printed, values):
    assert read([printed, "[]"]) == ([values, []], [])


@pytest.mark.parametrize(
    "printed",
    [
        "[['a']]",
        "[np.int64(1)]",
        "[1|2]",
        "[1;2]",
        "[1 2 ... 9]",
        "[a b]",
        "['a]",
        "[a\\nb]",
        "['a''b']",
        "[1,,2]",
        "[1, 2 3 ...]",
    ],
)
def test_ambiguous_lists(read, printed):
    _, (problem,) = read([printed, "[]"])
    assert re.search(r" 1 .*'v' .*: row 1", problem)
    assert "--list" in problem


@pytest.mark.parametrize("value", ["(1, 2)", "{1,2}", "WrappedArray(1, 2)", "'1'^'2'", "nan"])
def test_histories_contain_only_ids(read, tmp_path, value):
    pq.write_table(pa.table({"history": [value, "1^2"]}), tmp_path / "a.parquet")
    with database(Workspace(tmp_path / "home")) as connection:
        table = read_table(connection, tmp_path / "a.parquet")
        (problem,) = broken_rules(connection, table, history_rules(table, ColumnOptions()))
    assert re.search(r" 1 .*'history' .*: row 1", problem)


def test_a_word_in_brackets_is_not_a_list(read):
    lists, problems = read(["[top]", "[new]"], separators={"v": "|"})
    assert lists == [["[top]"], ["[new]"]]
    assert "row 1 ([top])" in problems[0]


def test_only_some_values_are_in_brackets(read):
    _, (problem,) = read(["['a', 'b']", "a|b"])
    assert re.search(r" 1 .*'v' .*: row 1", problem)


@pytest.mark.parametrize("separator", ["|", "^", ".", "*", ";", " ", "::"])
def test_blanks_and_empty_parts_of_joined_lists_are_removed(read, separator):
    values = [f"12{separator}{separator}15", f"{separator}12{separator}15{separator}", "", None]
    values.append(f" 12 {separator} 15 ")
    lists = [["12", "15"], ["12", "15"], None, None, ["12", "15"]]
    assert read(values, separators={"v": separator}) == (lists, [])


def test_lists_with_types(read):
    assert read([[1, 0, None], [], None], pad="0") == ([["1"], [], None], [])
