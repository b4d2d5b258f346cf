import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from PIL import Image

from ctrbench.analysis.curves import SettingCurve, SettingPoint
from ctrbench.analysis.shown import Shown
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.figures import check_drawable, figure, kinds, save, svg
from ctrbench.quality import Quality
from tests.analysis.finished import Deltas, inferred, shown

START = datetime(2026, 1, 1, tzinfo=UTC)
MODES = ("vector", "sim_score", "cluster_id")


def many(versions: int, name: str = "v{}") -> Shown:
    """Return a matrix with every kind of content."""
    arms = {
        name.format(at): {mode: Deltas(0.3 * (at % 4), 0.2, image=0.1) for mode in MODES}
        for at in range(versions)
    }
    made = shown(arms)
    row = made.places[0].row
    points = tuple(SettingPoint(size, inferred(0.1, 0.2)) for size in (50, 200))
    curve = SettingCurve(row, (made.places[0].column,) * 2, "codebook_size", points)
    quality = Quality(3.0, 0.1, 1.0, -2.0, 0.2, 0.1, 0.6, 0.55)
    known = {(place.row.version, None): quality for place in made.places}
    added = {version: START + timedelta(days=at**2) for at, (version, _) in enumerate(known)}
    return replace(made, codes=(curve,), quality=known, added=added)


@pytest.fixture(scope="module")
def content() -> Shown:
    return many(7)


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_draws_the_same_bytes_twice(kind, content, tmp_path):
    made = figure(kind)
    assert made.lacks(content) == ""
    assert made.title
    assert made.caption(content)
    for ending in ("png", "svg", "pdf"):
        paths = [tmp_path / f"{number}.{ending}" for number in (1, 2)]
        for path in paths:
            save(lambda: made.draw(content), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(tmp_path / "1.png") as picture:
        assert picture.width > 500


@pytest.mark.parametrize("kind", kinds())
def test_inside_a_page_colours_are_variables_and_ids_unique(kind, content):
    text = svg(figure(kind), content, f"own-{kind}")
    ElementTree.fromstring(text)  # well-formed
    assert "var(--text)" in text
    assert not re.search("#[0-9a-f]{6}", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert all(one.startswith(f"own-{kind}-") for one in ids)
    assert "<style" not in text
    assert "<text" in text


@pytest.mark.parametrize("kind", kinds())
def test_without_stored_cells_a_sentence_gives_the_reason(kind):
    empty = replace(shown({"v7": {"vector": None}}), costs=(), health=())
    assert figure(kind).lacks(empty).endswith(".")


@pytest.mark.parametrize("kind", kinds())
def test_names_of_any_kind_are_text(kind):
    made = many(1, "<script>$x$ ]]>\x1b[31m\n漢" + "x" * 200 + "{}")
    text = svg(figure(kind), made, "own")
    ElementTree.fromstring(text)
    assert "<script" not in text
    assert "\x1b" not in text


def test_only_intervals_that_exclude_zero_have_a_colour():
    text = svg(figure("heatmap"), shown({"v7": {"vector": Deltas(0.19, half=0.2)}}), "own")
    assert set(re.findall(r"--scale-\d", text)) == {"--scale-3"}
    text = svg(figure("heatmap"), shown({"v7": {"vector": Deltas(0.21, half=0.2)}}), "own")
    assert "--scale-6" in text


def test_a_line_of_the_forest_for_each_of_two_hundred_arms():
    text = svg(figure("forest"), many(67), "own")
    assert len(re.findall("v[0-9]+ / ", text)) == 201


@pytest.mark.parametrize(("versions", "named"), [(2, 2), (36, 36), (40, 5)])
def test_every_version_is_named_if_space_permits(versions, named):
    """Gains repeat 0, 0.3, 0.6, 0.9: of many, the first four set records, and one is newest."""
    text = svg(figure("history"), many(versions), "own")
    assert len(re.findall(">v[0-9]+<", text)) == named
    assert f">v{versions - 1}<" in text


def test_versions_added_at_once_are_moved_apart():
    at_once = many(3)
    same = replace(at_once, added=dict.fromkeys(at_once.added, START))
    text = svg(figure("history"), same, "own")
    assert len(re.findall(">v[0-9]+<", text)) == 3
    lacking = replace(at_once, added={"v0": START})
    assert figure("history").lacks(lacking).endswith(".")


def test_other_endings_and_kinds_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.png"):
        check_drawable(tmp_path / "x.gif")
    with pytest.raises(UnknownNameError, match="forest"):
        figure("forrest")
