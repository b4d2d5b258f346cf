from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._tables import read_table
from ctrbench.datasets._timestamps import timestamp_expressions
from ctrbench.errors import DataError
from ctrbench.impressions import database
from ctrbench.workspace import Workspace

DAY = datetime(2020, 1, 1, tzinfo=UTC)
START = 1577836800


@pytest.fixture
def read(tmp_path):
    """The stored timestamps of one file per list of values, and the notes."""

    def call(*files, text=False):
        with database(Workspace(tmp_path / "home")) as connection:
            tables = []
            for index, values in enumerate(files):
                path = tmp_path / f"{index}.{'csv' if text else 'parquet'}"
                if text:
                    path.write_text("timestamp,x\n" + "".join(f"{v},1\n" for v in values))
                else:
                    pq.write_table(pa.table({"timestamp": values}), path)
                tables.append(read_table(connection, path))
            expressions, notes = timestamp_expressions(connection, tables)
            queries = [
                f"SELECT {e} FROM {t.relation}" for e, t in zip(expressions, tables, strict=True)
            ]
            return [v for q in queries for (v,) in connection.execute(q).fetchall()], notes

    return call


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([3, 0, 2], [3, 0, 2]),
        ([START, START + 1], [START, START + 1]),
        ([float(START), START + 1.0], [START, START + 1]),
        ([START * 10**3, START * 10**3 + 5000], [START, START + 5]),
        ([START * 10**6, START * 10**6 + 5_000_000], [START, START + 5]),
        ([DAY, DAY + timedelta(seconds=5)], [START, START + 5]),
        ([DAY.date(), DAY.date() + timedelta(days=1)], [START, START + 86400]),
    ],
)
def test_whole_seconds(read, values, stored, text):
    assert read(values, text=text) == (stored, ())


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([START * 10**3, START * 10**3 + 5], "milliseconds"),
        ([DAY.replace(tzinfo=None), DAY.replace(tzinfo=None, microsecond=7)], "microseconds"),
    ],
)
def test_small_gaps_are_kept(read, values, unit):
    stored, (note,) = read(values)
    assert stored[1] > stored[0]
    assert f"kept in {unit}" in note


def test_time_zones_count(read):
    values = ["2020-01-01T02:00:00+02:00", "2020-01-01T00:00:01Z", "2020-01-01 00:00:02"]
    assert read(values, text=True)[0] == [START, START + 1, START + 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["3", "x", "4"], r"are no whole numbers or ISO dates: line 3 \(x\)"),
        (["3", "4.5", "4"], r"are no whole numbers or ISO dates: line 3 \(4.5\)"),
        (["2020-01-01", "2020-01-02", "7"], r"are no dates like the others: line 4 \(7\)"),
        (["3", "", "4"], "missing: line 3"),
        (["3", "-4"], r"are negative: line 3 \(-4\)"),
        ([str(START), str(START * 1000)], "looks like seconds, 1577836800000 like milliseconds"),
    ],
)
def test_unsuitable_timestamps(read, values, message):
    with pytest.raises(DataError, match=message):
        read(values, text=True)


def test_files_of_different_units(read):
    with pytest.raises(DataError, match="mixed units in 'timestamp'"):
        read([START], [START * 1000])
    with pytest.raises(DataError, match="some files hold dates"):
        read([START], [DAY])
