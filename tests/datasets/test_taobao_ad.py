import pytest

from ctrbench.datasets.taobao_ad import TaobaoAd
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions, vocabulary
from ctrbench.workspace import Workspace
from tests.datasets.imports import run

HEADER = (
    "clk,btag_his,cate_his,brand_his,userid,cms_segid,cms_group_id,final_gender_code,age_level,"
    "pvalue_level,shopping_level,occupation,new_user_class_level,adgroup_id,cate_id,campaign_id,"
    "customer,brand,price,pid,btag"
)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def rows(count, first=0):
    """Lists of three lengths: 0 was removed from each of them alone."""
    return [
        f"{int(at % 5 == 0)},pv^cart,{at % 7}^9^11,{'' if at % 2 else 4},{at % 10},1,2,0,3,1,3,0,2,"
        f"{100 + at % 13},{at % 7},5,6,{at % 4},{0 if at % 9 == 0 else 9.5},430548_1007,1"
        for at in range(first, first + count)
    ]


def write(folder, part, made, header=HEADER):
    folder.mkdir(exist_ok=True)
    (folder / f"{part}.csv").write_text("\n".join([header, *made]) + "\n")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "TaobaoAd_x1"
    write(folder, "train", rows(70))
    write(folder, "test", rows(20, 70))
    return folder


def test_periods_follow_the_order_of_rows(workspace, source):
    manifest = run(workspace, TaobaoAd(source))
    sizes = {name: stop - start for name, (start, stop) in manifest.periods.items()}
    assert sizes == {"train": 60, "valid": 10, "test": 20}
    log = open_impressions(workspace, "log")
    assert log.user_id[60:70].tolist() == [1 + at % 10 for at in range(60, 70)]
    assert any("last seventh" in note for note in manifest.notes)


def test_histories_hold_no_items_and_are_not_aligned(workspace, source):
    manifest = run(workspace, TaobaoAd(source))
    log = open_impressions(workspace, "log")
    assert not log.history_length.any()
    kinds = {field.name: field.kind for field in manifest.fields}
    assert [name for name, kind in kinds.items() if kind == "list"] == [
        *("brand_his", "btag_his", "cate_his"),
    ]
    lengths = {
        name: log.context_fields[name].offsets[1:3].tolist() for name in kinds if "_his" in name
    }
    assert lengths == {"brand_his": [1, 1], "btag_his": [2, 4], "cate_his": [3, 6]}
    assert any("not items" in note for note in manifest.notes)
    assert any("baseline only" in note for note in manifest.notes)


def test_zero_is_a_category_and_a_missing_price(workspace, source):
    run(workspace, TaobaoAd(source))
    assert vocabulary(workspace, "log", "occupation") == ["0"]
    assert vocabulary(workspace, "log", "brand") == ["0", "1", "2", "3"]
    price = open_impressions(workspace, "log").context_fields["price"]
    assert [str(value) for value in price[:2]] == ["nan", "9.5"]


def test_btag_is_constant(workspace, source):
    manifest = run(workspace, TaobaoAd(source))
    assert "btag" not in {field.name for field in manifest.fields}
    assert any("btag is 1" in note for note in manifest.notes)
    write(source, "test", [row[:-1] + "2" for row in rows(20, 70)])
    with pytest.raises(DataError, match="values 1, 2"):
        run(workspace, TaobaoAd(source), name="other")


def test_mistakes(workspace, source):
    write(source, "train", [*rows(70), rows(1)[0].replace("pv^cart", "pv^^cart")])
    with pytest.raises(DataError, match=r"'btag_his'.*line 72 \(pv\^\^cart\)"):
        run(workspace, TaobaoAd(source))
    write(source, "train", rows(70), HEADER.replace("clk", "label"))
    with pytest.raises(DataError, match=r"(?s)found:    label, .*expected: clk, "):
        run(workspace, TaobaoAd(source))
