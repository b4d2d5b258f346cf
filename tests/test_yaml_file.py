import pytest

from ctrbench.errors import ConfigError
from ctrbench.yaml_file import DEEPEST, MOST_BYTES, MOST_VALUES, read_value, read_yaml


def read(tmp_path, text):
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, "file", "a and b")


def test_aliases_are_expanded_and_have_lines(tmp_path):
    value, lines = read(tmp_path, "a: &one {b: 1}\nc: *one\nd: {<<: *one, e: 1e-3}\n")
    assert value == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 0.001}}
    assert lines["d", "e"] == 3


def test_nested_aliases_are_counted_before_they_are_expanded(tmp_path):
    levels = [
        f"{name}: &{name} [{', '.join(9 * ['*' + last])}]"
        for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    text = "\n".join(["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]", *levels])  # 9 ** 9 numbers in all
    # by line 4 there are 1 + 11 + 92 + 821 + 7382 = 8307: a list, its key, and nine of those before
    with pytest.raises(ConfigError, match=r"line 5: more than 10,000 values"):
        read(tmp_path, text)


def test_largest_number_of_values(tmp_path):
    entries = MOST_VALUES - 3  # without the mapping, its key and the list
    assert len(read(tmp_path, f"a: [{entries * '1,'}]")[0]["a"]) == entries
    with pytest.raises(ConfigError, match=r"line 1: more than 10,000 values"):
        read(tmp_path, f"a: [{(entries + 1) * '1,'}]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + (DEEPEST + 1) * "[", r"line 1: more than 20"),
        ("b: 1\na: &x [*x]", r"line 2: .*\*x"),
        ("a: !!python/object:os.system x", r"line 1: the tag .*os.system"),
        ("a: " + MOST_BYTES * "x", r"file.yaml is larger than 256 KiB"),
        ("a: 2024-13-45", r"cannot be read as YAML: month must be in 1..12"),
        ("a: " + 5000 * "9", r"cannot be read as YAML"),
        ("a: *b", r"line 1: not YAML: found undefined alias"),
        ("? {a: 1}\n: 2", r"line 1: not YAML: found unhashable key"),
    ],
)
def test_invalid_file_is_an_error_before_parsing(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["missing.yaml", ".", "x/y.yaml", 300 * "n"])
def test_path_that_is_no_file_is_an_error(tmp_path, name):
    (tmp_path / "x").write_text("")
    with pytest.raises(ConfigError, match=r"Give the path of a YAML file|cannot be read"):
        read_yaml(tmp_path / name, "file", "a")


def test_value_from_the_command_line():
    assert read_value("[1, 1e-3]", "--set x") == [1, 0.001]
    with pytest.raises(ConfigError, match=r"--set x, its line 1: more than 20"):
        read_value(30 * "[", "--set x")
