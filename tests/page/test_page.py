import csv
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ctrbench.analysis.table import Footnote
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.matrix import read_matrix
from ctrbench.page import gather, render
from ctrbench.page.thumbnails import Thumbnails
from ctrbench.runner import stored_records
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import write
from tests.figures.test_figures import many
from tests.page.conftest import TEXT, call

EVIL = "</script><script>alert(1)</script>]]>\x1b[31m'\"&"


class Tables(HTMLParser):
    """Return every table by its id: rows of (text, data-value)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[list[str]]]] = {}
        self._now = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "table":
            self._now = found["id"] or ""
            self.tables[self._now] = []
        elif tag == "tr" and self._now:
            self.tables[self._now].append([])
        elif tag in ("td", "th") and self._now:
            self.tables[self._now][-1].append(["", found.get("data-value") or ""])

    def handle_endtag(self, tag):
        if tag == "table":
            self._now = ""

    def handle_data(self, data):
        if self._now and self.tables[self._now] and self.tables[self._now][-1]:
            self.tables[self._now][-1][-1][0] += data.strip()


def content(made: Workspace, file: Path):
    matrix = read_matrix(file, made)
    records = stored_records(made, matrix.cells())
    return gather(made, matrix, records)


def shown(points: str) -> str:
    """Return a number of the CSV in the format of the page."""
    value = float(points) if points else None
    if value is None:
        return "–"
    return f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"


def test_every_number_of_the_headline_is_that_of_the_csv(made, file, page):
    rows = list(csv.DictReader(io.StringIO(call(made.home, "tables", file, "--format", "csv"))))
    (_, *lines) = Tables(page.read_text(encoding="utf-8")).tables["headline"]
    whole = [row for row in rows if row["metric"] == "gauc" and not row["slice"]]
    assert len(lines) == 9
    for line in lines:
        name, mode = line[0][0], line[1][0]
        own = [row for row in whole if (row["row"], row["column"]) == (name, mode)]
        (gain,) = [row for row in own if row["comparison"] == "baseline"]
        image = next((row for row in own if row["comparison"] == "shuffled"), None)
        cells = [text for text, _ in line[3:]]
        keys = ("delta_pp", "low_pp", "high_pp")
        assert cells[:3] == [shown(gain[key]) for key in keys]
        assert cells[3:6] == [shown(image[key]) if image else "–" for key in keys]
        assert cells[6] == f"{float(gain['minimum_detectable_effect_pp']):.2f}"
        assert cells[8] == gain["seeds"] == "2"
        assert float(line[3][1]) == pytest.approx(float(gain["delta_pp"]), abs=1e-12)


def test_every_number_of_every_block_is_that_of_the_csv(made, file, page):
    rows = list(csv.DictReader(io.StringIO(call(made.home, "tables", file, "--format", "csv"))))
    tables = Tables(page.read_text(encoding="utf-8")).tables
    blocks = [name for name in tables if name.startswith("block-")]
    cells = [cell for name in blocks for line in tables[name][1:] for cell in line[1:]]
    assert len(cells) == len(rows)
    for (text, value), row in zip(cells, rows, strict=True):
        assert value == (row["share"] or row["delta_pp"])
        if row["delta_pp"] and row["low_pp"]:
            ends = f"[{shown(row['low_pp'])}, {shown(row['high_pp'])}]"
            assert text.startswith(f"{shown(row['delta_pp'])} {ends}")


def test_the_page_is_self_contained(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert len(text) < 3_000_000
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_same_content_gives_the_same_bytes(made, file, page):
    assert render(content(made, file)) == page.read_text(encoding="utf-8")


def test_pictures_of_all_kinds_are_shown(page):
    text = page.read_text(encoding="utf-8")
    for cells in ("Nearest neighbours", "Clusters of", "Improved most", "Fell most"):
        assert cells in text
    assert text.count("data:image/jpeg;base64,") > 50


def test_names_titles_and_notes_are_escaped(made, file):
    page = content(made, file)
    table = page.shown.table
    evil = replace(
        page.shown,
        table=replace(table, warnings=(EVIL,), footnotes=(Footnote("1", EVIL),), dataset=EVIL),
        missing=(EVIL,),
    )
    neighbours = page.pictures.neighbours[0]
    item = replace(neighbours.item, name=EVIL.replace("\x1b", "�"), source="")
    pictures = replace(page.pictures, neighbours=(replace(neighbours, item=item),))
    text = render(replace(page, shown=evil, pictures=pictures))
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5
    assert '<span class="frame"' in text  # the item that has no picture


def test_control_characters_are_removed_from_titles():
    items = Thumbnails(["unknown item", "a"], None, "The data set has no images.")
    assert [one.name for one in items.of([0, 1, 7])] == ["unknown item", "a", "unknown item"]
    assert all(one.source == "" for one in items.of([0, 1]))


def test_many_versions_with_names_of_two_hundred_characters(made, file):
    page = content(made, file)
    text = render(replace(page, shown=many(60, "x" * 200 + "{}")))
    assert len(Tables(text).tables["headline"]) > 180
    assert len(text) < 3_600_000


def test_a_partial_matrix_gives_a_partial_page(made, tmp_path):
    shutil.copytree(made.home, tmp_path / "home")
    file = write(tmp_path / "home", TEXT.replace("[0, 1]", "[0, 1, 2]"))
    path = tmp_path / "report.html"
    call(tmp_path / "home", "report", file, "-o", path, "--no-pictures")
    text = path.read_text(encoding="utf-8")
    assert "This report is partial" in text
    assert "oracle / vector (seeds 2)" in text


def test_results_alone_give_a_page_without_items(made, file, tmp_path):
    shutil.copytree(made.results, tmp_path / "home" / "results")
    path = tmp_path / "report.html"
    call(tmp_path / "home", "report", file, "-o", path)
    text = path.read_text(encoding="utf-8")
    assert "The data set is not in this workspace" in text
    assert "figure-forest" in text


def test_without_predictions_no_users_are_shown(made, tmp_path):
    shutil.copytree(made.home, tmp_path / "home")
    for predictions in (tmp_path / "home" / "results").rglob("*.parquet"):
        predictions.unlink()
    page = content(Workspace(tmp_path / "home"), tmp_path / "home" / "benchmark.yaml")
    assert page.pictures.users is None
    assert any("Predictions" in note for note in page.pictures.notes)
    assert page.pictures.neighbours


def test_a_data_set_without_images(workspace, tmp_path):
    file = write(workspace.home, TEXT)
    call(workspace.home, "run", file)
    page = content(workspace, file)
    assert page.pictures.neighbours == ()
    assert any("no images" in note for note in page.pictures.notes)
    assert page.pictures.users is not None
    assert "item " in render(page)


def test_results_of_an_older_protocol_are_named_and_not_mixed(made, tmp_path):
    shutil.copytree(made.home, tmp_path / "home")
    workspace = Workspace(tmp_path / "home")
    store = Store(workspace)
    record = next(one for one in store.records("taste") if one.cell.mode == "vector")
    cell = record.cell.model_copy(update={"protocol": 1})
    store.update(record.model_copy(update={"cell": cell, "hash": cell.hash}))
    before = content(made, made.home / "benchmark.yaml").shown
    after = content(workspace, tmp_path / "home" / "benchmark.yaml").shown
    assert any("protocol 1 " in cells for cells in after.missing)
    assert after.places == before.places


def test_an_empty_folder_of_results_is_an_error(workspace, tmp_path):
    with pytest.raises(DataError, match="ctrbench run"):
        call(workspace.home, "report", write(workspace.home), "-o", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_other_names_are_refused(made, file, tmp_path):
    with pytest.raises(ConfigError, match=r"\.html"):
        call(made.home, "report", file, "-o", tmp_path / "report.pdf")
    with pytest.raises(UnknownNameError, match="forest"):
        call(made.home, "plot", file, "--kind", "forrest", "-o", tmp_path / "x.png")
    with pytest.raises(DataError, match="codes has nothing to draw"):
        call(made.home, "plot", file, "--kind", "codes", "-o", tmp_path / "x.png")


def test_plot_writes_each_figure_alone(made, file, tmp_path):
    for kind, ending in (("forest", "svg"), ("quality", "png"), ("curve", "pdf")):
        call(made.home, "plot", file, "--kind", kind, "-o", tmp_path / f"{kind}.{ending}")
        assert (tmp_path / f"{kind}.{ending}").stat().st_size > 1000


def test_users_are_those_of_the_predictions(made, file):
    page = content(made, file)
    users = page.pictures.users
    assert users is not None
    for one in users.improved:
        assert one.user.change > 0
        ranks = [item.rank_after for item in one.user.items]
        assert ranks == sorted(ranks)
        assert any(item.click for item in one.user.items)
    assert all(one.user.change < 0 for one in users.fell)
