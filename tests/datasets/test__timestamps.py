from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._tables import broken_rules, read_table
from ctrbench.datasets._timestamps import open_times, timestamp_expressions
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.importing import database
from ctrbench.workspace import Workspace

DAY = datetime(2020, 1, 1, tzinfo=UTC)
START = 1577836800


@pytest.fixture
def read(tmp_path):
    """Return the stored timestamps of one file per list of values, and the notes."""

    def call(*files, text=False, time_format=None):
        with database(Workspace(tmp_path / "home")) as connection:
            tables = []
            for index, values in enumerate(files):
                path = tmp_path / f"{index}.{'csv' if text else 'parquet'}"
                if text:
                    path.write_text("timestamp,x\n" + "".join(f"{v},1\n" for v in values))
                else:
                    pq.write_table(pa.table({"timestamp": values}), path)
                tables.append(read_table(connection, path))
            times = open_times(connection, tables, time_format=time_format)
            problems = [p for t in times for p in broken_rules(connection, t.table, t.rules())]
            raise_all(problems, DataError, "these timestamps cannot be used:")
            expressions, notes = timestamp_expressions(connection, times)
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
def test_small_differences_are_preserved(read, values, unit):
    stored, (note,) = read(values)
    assert stored[1] > stored[0]
    assert unit in note


def test_time_zones_are_applied(read):
    values = ["2020-01-01T02:00:00+02:00", "2020-01-01T00:00:01Z"]
    assert read(values, text=True)[0] == [START, START + 1]


def test_only_some_dates_have_a_time_zone(read):
    zoned, naive = "2020-01-01T02:00:00+02:00", "2020-01-01 00:00:02"
    for files in [([zoned, naive],), ([zoned], [naive])]:
        with pytest.raises(DataError, match=r"'timestamp' .*time zone"):
            read(*files, text=True)
    with pytest.raises(DataError, match=r"'timestamp' .*time zone"):
        read([DAY], [DAY.replace(tzinfo=None)])
    for named in ("2020-01-01 02:00:00 America/New_York", "2020-01-01 02:00:00 EST"):
        with pytest.raises(DataError, match=r"'timestamp' .*time zone"):
            read([named, naive], text=True)


def test_a_comma_before_the_fraction(read):
    stored, _ = read(["2020-01-01 00:00:00", "2020-01-01 00:00:01"], text=True)
    assert stored == [START, START + 1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("9999-12-31", r"2100: line 2 \(9999-12-31\)"),
        ("1970-01-01", r"1973.*: line 2"),
    ],
)
def test_placeholder_dates(read, value, message):
    with pytest.raises(DataError, match=message):
        read([value, *["2020-01-01"] * 30], text=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, r"are before 1973.*: row 1 \(0\); --drop-invalid"),
        (20231114221320, r"2100.*--time-format %Y%m%d%H%M%S"),
    ],
)
def test_placeholder_numbers(read, value, message):
    with pytest.raises(DataError, match=message):
        read([value, *[START + i for i in range(30)]])


@pytest.mark.parametrize("shift", [0, 19800])
@pytest.mark.parametrize("unit", [1, 1000])
def test_rounded_times_in_other_units(read, shift, unit):
    halved = [(int(np.float32(START + 977 * i)) + shift) * unit for i in range(60)]
    with pytest.raises(DataError, match=r"128 seconds"):
        read([*halved, START * unit + 5 * unit])
    dates = [datetime.fromtimestamp(t / unit, UTC) for t in halved]
    with pytest.raises(DataError, match=r"128 seconds"):
        read(dates)


def test_other_number_formats(read):
    assert read(["1.5778368e9", f"{START + 1}.0"], text=True)[0] == [START, START + 1]
    nanoseconds = [START * 10**9, START * 10**9 + 5 * 10**9]
    assert read(nanoseconds)[0] == [START, START + 5]
    stored, (note,) = read([f"{START}.25", f"{START + 1}"], text=True)
    assert stored == [START * 10**6 + 250_000, START * 10**6 + 10**6]
    assert "microseconds" in note


def test_another_format(read):
    assert read(["01/13/2020", "01/14/2020"], text=True, time_format="%m/%d/%Y")[0] == [
        START + 12 * 86400,
        START + 13 * 86400,
    ]
    with pytest.raises(DataError, match=r"line 3 \(13/14/2020\); .*--time-format"):
        read(["01/13/2020", "13/14/2020"], text=True, time_format="%m/%d/%Y")
    assert read([20200101, 20200102], time_format="%Y%m%d")[0] == [START, START + 86400]
    with pytest.raises(ConfigError, match=r"--time-format .*0\.parquet has type DOUBLE"):
        read([1.5], time_format="%m/%d/%Y")


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([20200131, 20200201], "%Y%m%d"),
        ([2020013123, 2020020100], "%Y%m%d%H"),
        ([202001312359, 202002010000], "%Y%m%d%H%M"),
    ],
)
def test_dates_written_as_digits_are_no_seconds(read, tmp_path, values, form, text):
    with pytest.raises(DataError) as error:
        read(values, text=text)
    assert str(error.value) == (
        f"{tmp_path}/0.{'csv' if text else 'parquet'}: all values of 'timestamp' are dates written "
        f"as digits, such as {values[1]}, which are no seconds since 1970. Give --time-format "
        f"{form}."
    )
    stored, _ = read(values, text=text, time_format=form)
    later = [datetime.strptime(str(v), form).replace(tzinfo=UTC).timestamp() for v in values]
    assert stored == later


def test_numbers_that_are_not_all_dates_give_an_order(read):
    assert read([20200131, 20200132])[0] == [20200131, 20200132]


def test_files_of_mixed_units_are_named(read, tmp_path):
    with pytest.raises(DataError) as error:
        read([START], [START * 1000])
    assert str(error.value) == (
        f"mixed units in 'timestamp': {START} ({tmp_path}/0.parquet) appears to be in seconds, "
        f"{START}000 ({tmp_path}/1.parquet) in milliseconds. Convert all timestamps to one unit."
    )


def test_rounded_timestamps(read):
    times = [START + 977 * i for i in range(50)]
    halved = np.float32(times)
    with pytest.raises(DataError, match=r"50 .*'timestamp' .*32-bit"):
        read(halved)
    with pytest.raises(DataError, match="128 seconds"):
        read([int(t) for t in halved], text=True)
    _, (note,) = read([t // 1000 * 1000 for t in times])
    assert "1,000 seconds" in note
    assert read([START + 86400 * i for i in range(50)])[1] == ()  # whole days


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["3", "x", "4"], r"1 .*'timestamp' .*: line 3 \(x\)"),
        (["2020-01-01", "2020-01-02", "7"], r"1 .*'timestamp' .*: line 4 \(7\)"),
        (["3", "", "4"], "missing: line 3"),
        (["3", "-4"], r"negative.*: line 3 \(-4\); --drop-invalid"),
        ([str(START), str(START * 1000)], "seconds, 1577836800000 .*in milliseconds"),
    ],
)
def test_unsuitable_timestamps(read, values, message):
    with pytest.raises(DataError, match=message):
        read(values, text=True)


def test_files_of_different_units(read):
    with pytest.raises(DataError, match="mixed units in 'timestamp'"):
        read([START], [START * 1000])
    with pytest.raises(DataError, match=r"mixed units: .*1\.parquet.*0\.parquet"):
        read([START], [DAY])
