import pytest

from ctrbench.analysis import compare
from tests.analysis.made import arm, baseline, manifest, metrics, plan, row


def test_caption_describes_the_measurement():
    records = {**baseline(), **arm("raw@shuffled / vector", (0.1, 0.2, 0.3))}
    text = " ".join(compare(plan(), records).caption)
    for part in (
        "test period of films in percentage points (pp)",
        "GAUC is weighted by impressions and compares impressions of one user.",
        "Histories and click rates are computed at the start of the period.",
        "Mean ± standard error over 3 seeds (0, 1, 2); the standard error accounts for seed",
        "Label: rating >= 4. Split: per_user 20/50/10/20 %.",
        "Impressions: pretrain 2,000, train 5,000, valid 1,000, test 2,000.",
        "Test: 2,000 impressions of 400 users",
        "300 evaluable users",
        "95.0 % of the impressions",
        "Baseline (mean of 3 seeds): GAUC 0.6000, AUC 0.7000, log loss 0.6500, predicted over",
        "Calibration is relative to the log",
        "shuffled sibling",
        "The split leaks future popularity.",
    ):
        assert part in text
    assert "pretrain period:" not in text
    assert "sample weight" not in text


def test_caption_before_any_cell_has_finished():
    text = " ".join(compare(plan(), {}).caption)
    assert "No cell has finished yet." in text
    assert "Baseline (" not in text
    assert "Calibration" not in text


def test_caption_names_the_reference():
    text = " ".join(compare(plan(reference=metrics(0.55)), baseline()).caption)
    assert "earlier click rate: GAUC 0.5500, AUC 0.6500." in text


def test_caption_of_a_weighted_data_set_without_pretrain_period_or_controls():
    data = manifest(has_weight=True, periods={"pretrain": (0, 0), "train": (0, 9), "test": (9, 12)})
    records = {**baseline(), **arm("raw / vector", (1, 1, 1))}
    text = " ".join(compare(plan(dataset=data, rows=(row("raw"),)), records).caption)
    assert "no pretrain period: codebooks, means and PCA are fitted on train" in text
    assert "Impressions: train 9, test 3." in text
    assert "Every metric counts an impression by its sample weight." in text
    assert "Calibration is relative to the log with its sample weights." in text
    assert "sibling" not in text


@pytest.mark.parametrize(
    ("kind", "text_of_optimizer"),
    [("auto", ""), ("adam", ""), ("lazy_adam", ", embedding tables by lazy adam")],
)
def test_caption_names_the_optimizer_of_tables_if_it_differs_from_the_model_s(
    kind, text_of_optimizer
):
    training = {"epochs": 1, "batch_size": 8, "learning_rate": 0.1, "table_optimizer": kind}
    records = baseline(settings={"training": training})
    text = " ".join(compare(plan(), records).caption)
    assert f"Trained for one epoch, batch size 8, learning rate 0.1{text_of_optimizer}." in text


def test_caption_names_evaluation_group_and_snapshot():
    text = " ".join(compare(plan(dataset=manifest(snapshot="session")), baseline()).caption)
    assert "compares impressions of one user x session." in text
    assert "at the start of the session." in text
    text = " ".join(compare(plan(dataset=manifest(history="given")), baseline()).caption)
    assert "Histories are given by the data set." in text
