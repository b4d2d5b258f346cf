import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._fields import read_fields
from ctrbench.datasets._lists import ColumnOptions
from ctrbench.datasets._tables import read_table
from ctrbench.errors import DataError
from ctrbench.importing import database
from ctrbench.workspace import Workspace


@pytest.fixture
def read(tmp_path):
    """Return kind and values of each column of a Parquet file, or of a text file."""

    def call(columns, text=False, **options):
        path = tmp_path / ("a.csv" if text else "a.parquet")
        if text:
            rows = [list(columns), *zip(*columns.values(), strict=True)]
            path.write_text("".join(",".join(row) + "\n" for row in rows))
        else:
            pq.write_table(pa.table(columns), path)
        with database(Workspace(tmp_path / "home")) as connection:
            table = read_table(connection, path)
            fields, (values,) = read_fields(
                connection, [table], list(columns), "item", ColumnOptions(**options)
            )
            stored = connection.execute(
                f"SELECT {', '.join(values)} FROM {table.relation}"
            ).fetchall()
        columns = zip(*stored, strict=True)
        return {f.name: (f.kind, list(v)) for f, v in zip(fields, columns, strict=True)}

    return call


def test_types_determine_the_kind(read):
    columns = {"a": [1, None], "b": [1.5, float("nan")], "c": ["x", ""], "d": [[1, 2], []]}
    assert read(columns) == {
        "a": ("categorical", ["1", None]),
        "b": ("numeric", [1.5, None]),
        "c": ("categorical", ["x", None]),
        "d": ("list", [["1", "2"], []]),
    }
    assert read({"a": [True, False]}) == {"a": ("categorical", ["true", "false"])}


def test_text_is_numeric_only_with_decimal_points(read):
    columns = {"a": ["1", "2"], "b": ["1", "2.5"], "c": ["1.5", "x"], "d": ["-0.5", ""]}
    assert read(columns, text=True) == {
        "a": ("categorical", ["1", "2"]),
        "b": ("numeric", [1.0, 2.5]),
        "c": ("categorical", ["1.5", "x"]),
        "d": ("numeric", [-0.5, None]),
    }


def test_options_override_types(read):
    kinds = {"a": "numeric", "b": "categorical", "c": "list", "d": "text"}
    columns = {"a": ["1", "2"], "b": ["1.5", "2"], "c": ["x|0|y", "0"], "d": ["t", "u"]}
    assert read(columns, text=True, kinds=kinds, separators={"c": "|"}, pad="0") == {
        "a": ("numeric", [1.0, 2.0]),
        "b": ("categorical", ["1.5", "2"]),
        "c": ("list", [["x", "y"], []]),
        "d": ("text", ["t", "u"]),
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"v": [[0.1, 0.2]]}, r"column 'v' .*DOUBLE\[\].* --drop v"),
        ({"v": [b"x"]}, "column 'v' .*BLOB"),
        ({"v": [{"a": 1}]}, "column 'v' .*STRUCT"),
        ({"v": [1.0, float("inf")]}, r"'v' .*: row 2 \(inf\)"),
    ],
)
def test_unsupported_types(read, columns, message):
    with pytest.raises(DataError, match=message):
        read(columns)


def test_a_numeric_field_with_a_word_in_it(read):
    with pytest.raises(DataError, match=r"1 .*'a' .*: line 3 \(x\)"):
        read({"a": ["1", "x"]}, text=True, kinds={"a": "numeric"})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            ['"1,5"', '"-2,25"', "3"],
            None,  # two of three
        ),
        (
            ['"1,5"', '"-2,25"', ""],
            "appear to be numbers with decimal commas, such as -2,25. Write decimal points,",
        ),
        (
            [*["1.5"] * 9, r"\N", "", r"\N"],
            r"are numbers except 2, such as \N. Write missing values as empty cells,",
        ),
        (["1.5", "2.0", "latest"], None),
        (['"2023,1"', '"a,b"', "c"], None),
    ],
)
def test_text_that_is_probably_numeric(read, tmp_path, values, problem):
    columns = {"a": ["x"] * len(values), "b": values}
    if problem is None:
        values = [value.strip('"') for value in values]
        assert read(columns, text=True)["b"] == ("categorical", values)
        return
    with pytest.raises(DataError) as error:
        read(columns, text=True)
    assert str(error.value) == (
        "these columns cannot be read as fields:\n"
        f"  - {tmp_path}/a.csv: the values of 'b' {problem} or give --categorical b."
    )
    kind, _ = read(columns, text=True, kinds={"b": "categorical"})["b"]
    assert kind == "categorical"
