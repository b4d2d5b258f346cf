import pytest

from ctrbench.errors import ConfigError
from ctrbench.impressions import parse_split
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log


def test_parse_four_three_and_no_shares():
    assert parse_split("time:20/50/10/20").shares == (0.2, 0.5, 0.1, 0.2)
    assert str(parse_split("per_user:60/20/20")) == "per_user 60/20/20 %"
    assert parse_split("given").shares == ()


@pytest.mark.parametrize(
    "text",
    ["time", "time:50/50", "time:a/b/c", "time:50/30/30", "daily:60/20/20", "given:60/20/20"],
)
def test_parse_refuses(text):
    with pytest.raises(ConfigError, match="per cent and sum to 100"):
        parse_split(text)


def test_valid_share_belongs_to_a_given_split(tmp_path):
    with pytest.raises(ConfigError, match="--valid-share belongs to a given split"):
        build_log(Workspace(tmp_path), long_log(), valid_share=0.1)


@pytest.mark.parametrize(
    ("valid", "share", "message"),
    [("valid", 0.1, "the files give one already"), ("train", 1.5, "must be above 0 and below 1")],
)
def test_valid_share_must_make_sense(tmp_path, valid, share, message):
    periods = ["train", valid, "test"]
    rows = [r | {"period": periods[i % 3]} for i, r in enumerate(long_log())]
    with pytest.raises(ConfigError, match=message):
        build_log(Workspace(tmp_path), rows, "given", valid_share=share)
