import pytest

from ctrbench.errors import ConfigError
from ctrbench.workspace import check_name


@pytest.mark.parametrize(
    "name",
    ["v7", "2026-01.new_2", "größe", "картинки", "商品图v2", "हिन्दी", "٣", "a" * 64, "图" * 64],
)
def test_names_of_any_script(name):
    assert check_name("data set", name) == name


def test_letters_are_composed():
    assert check_name("data set", "gro\u0308ße") == "größe"


@pytest.mark.parametrize(
    "name",
    [
        *("", ".hidden", "-x", "_x", "a/b", "a\\b", "a b", "a@b", "a\n", "a\0b", "..", "a:b"),
        *("a\u200db", "\u202ea", "\u0301a", "a\u2044b", "½", "😀", "\ud800", "a" * 65, "𒀀" * 64),
        *("none", "Tables", "NONE"),
    ],
)
def test_names_that_are_invalid_on_some_platform_are_errors(name):
    with pytest.raises(ConfigError, match="data set name"):
        check_name("data set", name)
