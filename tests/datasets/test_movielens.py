from pathlib import Path

import pytest

from ctrbench.datasets.movielens import MovieLens
from ctrbench.errors import ConfigError, DataError
from ctrbench.impressions import open_impressions, raw_item_ids, summarise, vocabulary
from ctrbench.impressions.columns import strings
from ctrbench.schema import Ragged
from ctrbench.workspace import Workspace
from tests.datasets.imports import lines, run

REAL = Path(__file__).resolve().parents[2] / "../shared/data/movielens"
RATINGS = [
    (u, 1 + (u + k) % 3, 3 + (u + k) % 3, 1000 + 10 * k) for u in (1, 2, 10) for k in range(9)
]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def ratings(path, separator, heading=""):
    rows = [separator.join(map(str, rating)) for rating in RATINGS]
    return lines(path, "\n".join([*([heading] if heading else []), *rows]))


@pytest.fixture
def latest(tmp_path):
    """The format of ml-latest-small, ml-25m and ml-32m."""
    folder = tmp_path / "ml-latest-small"
    ratings(folder / "ratings.csv", ",", "userId,movieId,rating,timestamp")
    lines(
        folder / "movies.csv",
        '''movieId,title,genres
        1,"American President, The (1995)",Comedy|Drama
        2,"""Great"" Café (1998–2001)",(no genres listed)
        3,Nowhen,Drama
        70,Unseen (2001),War''',
    )
    return folder


@pytest.fixture
def million(tmp_path):
    folder = tmp_path / "ml-1m"
    ratings(folder / "ratings.dat", "::")
    movies = '1::Toy "Story" (1995)::Comedy|Drama\n2::Caf\xe9 (1996)::War\n3::X: 2 (1997)::Drama\n'
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    lines(folder / "users.dat", "1::F::1::10::48067\n2::M::56::16::70072\n10::M::25::15::55117")
    return folder


@pytest.fixture
def hundred(tmp_path):
    folder = tmp_path / "ml-100k"
    ratings(folder / "u.data", "\t")
    flags = {1: [5], 2: [0], 3: [4, 18]}
    rows = [
        f"{i}|Movi\xe9 {i} (199{i})|01-Jan-1995||http://x|"
        + "|".join("1" if flag in flags[i] else "0" for flag in range(19))
        for i in flags
    ]
    (folder / "u.item").write_bytes("\n".join(rows).encode("latin-1"))
    lines(folder / "u.user", "1|24|M|technician|85711\n2|53|F|other|94043\n10|23|M|writer|32067")
    return folder


def item_field(workspace, name):
    """Return the values of an item field by raw id."""
    column = open_impressions(workspace, "log").item_fields[name]
    values = ["", *vocabulary(workspace, "log", name)]
    ids = raw_item_ids(workspace, "log")
    if isinstance(column, Ragged):
        lists = [
            column.values[a:b] for a, b in zip(column.offsets, column.offsets[1:], strict=False)
        ]
        return {
            i: [values[code] for code in codes] for i, codes in zip(ids, lists[1:], strict=True)
        }
    return {raw_id: values[code] for raw_id, code in zip(ids, column[1:], strict=True)}


def test_latest(workspace, latest):
    manifest = run(workspace, MovieLens(latest))
    assert manifest.label == "rating >= 4"
    assert str(manifest.split) == "per_user 20/50/10/20 %"
    assert manifest.counts["impressions"] == 27
    assert manifest.counts["clicks"] == 18  # ratings 4 and 5 of 3, 4, 5
    assert raw_item_ids(workspace, "log") == ["1", "2", "3", "70"]
    assert item_field(workspace, "genres") == {
        "1": ["Comedy", "Drama"],
        "2": [],
        "3": ["Drama"],
        "70": ["War"],
    }
    assert item_field(workspace, "year") == {"1": "1995", "2": "1998", "3": "", "70": "2001"}
    titles = list(strings(workspace.data / "log" / "items.parquet", "title"))
    assert titles[:2] == ["American President, The (1995)", '"Great" Café (1998–2001)']
    assert any("A rating is not a click" in note for note in manifest.notes)


def test_million(workspace, million):
    manifest = run(workspace, MovieLens(million, threshold=4.5))
    assert manifest.label == "rating >= 4.5"
    assert manifest.counts["clicks"] == 9
    titles = list(strings(workspace.data / "log" / "items.parquet", "title"))
    assert titles == ['Toy "Story" (1995)', "Café (1996)", "X: 2 (1997)"]
    kinds = {f.name: f.kind for f in manifest.fields if f.of == "user"}
    assert kinds == {"age": "categorical", "gender": "categorical", "occupation": "categorical"}
    assert vocabulary(workspace, "log", "age") == ["1", "25", "56"]


def test_hundred_thousand(workspace, hundred):
    manifest = run(workspace, MovieLens(hundred), "time:60/20/20")
    assert item_field(workspace, "genres") == {
        "1": ["Comedy"],
        "2": [],
        "3": ["Children's", "Western"],
    }
    assert item_field(workspace, "year") == {"1": "1991", "2": "1992", "3": "1993"}
    assert {f.name: f.kind for f in manifest.fields if f.of == "user"}["age"] == "numeric"
    ages = open_impressions(workspace, "log").user_fields["age"]
    assert list(ages)[1:] == [24, 53, 23]


def test_further_item_fields(workspace, latest, tmp_path):
    more = lines(tmp_path / "more.csv", "movieId,source,score\n1,a,0.5\n3,b,1.5\n999,c,2.5")
    run(workspace, MovieLens(latest, item_fields=more))
    assert item_field(workspace, "source") == {"1": "a", "2": "", "3": "b", "70": ""}
    assert list(open_impressions(workspace, "log").item_fields["score"])[1::2] == [0.5, 1.5]


def test_posters(workspace, latest, tmp_path):
    (tmp_path / "posters").mkdir()
    (tmp_path / "posters" / "70.jpg").write_bytes(b"x")
    assert run(workspace, MovieLens(latest, images=tmp_path / "posters")).counts["images"] == 1


def spoil(path, old, new):
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "movies.csv").unlink(), "no file .*movies.csv"),
        (lambda f: (f / "movies.csv").write_text(""), "movies.csv is empty"),
        (lambda f: (f / "ratings.csv").rename(f / "votes.csv"), "ratings.csv, rat"),
        (lambda f: spoil(f / "ratings.csv", "rating", "stars"), "no column 'rating'"),
        (
            lambda f: spoil(f / "ratings.csv", "1,2,4,", "1,2,four,"),
            r"'rating' .*: line 2 \(four",
        ),
        (lambda f: spoil(f / "ratings.csv", "1,2,4,", "1,2,,"), "'rating' .*missing: line 2"),
        (lambda f: spoil(f / "ratings.csv", "1,2,4,", "1,,4,"), "'movieId' .*missing: line 2"),
        (
            lambda f: spoil(f / "ratings.csv", ",1000", ",-1"),
            r"negative.*: line 2",
        ),
        (lambda f: spoil(f / "ratings.csv", "1,2,4,", "1,2,4,5,"), "(?s)ratings.csv.*Line: 2"),
        (lambda f: spoil(f / "movies.csv", "70,Un", "3,Un"), "several .*such as 3"),
    ],
)
def test_unsuitable_files(workspace, latest, change, message):
    change(latest)
    with pytest.raises(DataError, match=message):
        run(workspace, MovieLens(latest))
    assert not workspace.home.exists() or list(workspace.home.iterdir()) == []


def test_a_folder_too_high_and_a_zip(workspace, latest):
    with pytest.raises(DataError, match=r"Did you mean .*ml-latest-small"):
        run(workspace, MovieLens(latest.parent))
    with pytest.raises(DataError, match=r"movies\.csv.*unpack"):
        run(workspace, MovieLens(latest / "movies.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("film,source\n1,a", "no column 'movieId'"),
        ("movieId,genres\n1,a", "field 'genres'"),
        ("movieId,source\n,a", "'movieId' .*missing: line 2"),
        ("movieId,source\n1,a\n1,b", "several .*such as 1"),
    ],
)
def test_unsuitable_further_fields(workspace, latest, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        run(workspace, MovieLens(latest, item_fields=lines(tmp_path / "more.csv", text)))


@pytest.mark.skipif(not REAL.exists(), reason="the real data are not beside the checkout")
def test_the_real_ratings(workspace):
    manifest = run(workspace, MovieLens(REAL))
    assert manifest.counts["impressions"] == 402_723
    assert (manifest.counts["users"], manifest.counts["items"]) == (2634, 14660)
    test = summarise(open_impressions(workspace, "log")).periods[-1]
    assert test.evaluable_users == 2273


def test_invalid_threshold(workspace, latest):
    with pytest.raises(ConfigError, match="--threshold nan"):
        run(workspace, MovieLens(latest, threshold=float("nan")))
