import pytest

from ctrbench.errors import ConfigError, DataError
from ctrbench.importing import parse_split
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log, row


def test_parses_four_three_and_no_shares():
    assert parse_split("time:20/50/10/20").shares == (0.2, 0.5, 0.1, 0.2)
    assert str(parse_split("per_user:60/20/20")) == "per_user 60/20/20 %"
    assert parse_split("given").shares == ()


@pytest.mark.parametrize(
    "text",
    ["time", "time:50/50", "time:a/b/c", "time:50/30/30", "daily:60/20/20", "given:60/20/20"],
)
def test_invalid_splits_are_refused(text):
    with pytest.raises(ConfigError, match=f"'{text}'"):
        parse_split(text)


def test_valid_share_requires_a_given_split(tmp_path):
    with pytest.raises(ConfigError, match="--valid-share"):
        build_log(Workspace(tmp_path), long_log(), valid_share=0.1)


@pytest.mark.parametrize(
    ("valid", "share", "message"),
    [("valid", 0.1, "--valid-share"), ("train", 1.5, r"1\.5")],
)
def test_invalid_valid_shares_are_refused(tmp_path, valid, share, message):
    periods = ["train", valid, "test"]
    rows = [r | {"period": periods[i % 3]} for i, r in enumerate(long_log())]
    with pytest.raises(ConfigError, match=message):
        build_log(Workspace(tmp_path), rows, "given", valid_share=share)


def days(*counts):
    """Return impressions of whole days, with the given number per day."""
    times = [day * 86400 for day, count in enumerate(counts) for _ in range(count)]
    return [row(i % 6, i % 7, i // 6 % 2, time) for i, time in enumerate(times)]


def test_whole_days_are_never_divided(tmp_path):
    manifest = build_log(Workspace(tmp_path), days(12, 12, 12, 12, 12))
    assert manifest.periods == {
        "pretrain": (0, 12),
        "train": (12, 36),
        "valid": (36, 48),
        "test": (48, 60),
    }


def test_fewer_days_than_periods(tmp_path):
    with pytest.raises(DataError, match=r"\b3 .*timestamps.*\b4 periods"):
        build_log(Workspace(tmp_path), days(12, 12, 12))
    manifest = build_log(Workspace(tmp_path), days(12, 12, 12), "time:60/20/20")
    assert manifest.periods == {"train": (0, 12), "valid": (12, 24), "test": (24, 36)}
