from ctrbench.analysis import Comparison
from ctrbench.analysis.curves import curves_along
from ctrbench.injection import load_mode
from ctrbench.plan import Column, Row
from ctrbench.settings import TrainingSettings
from tests.analysis.finished import inferred

V7, V8 = Row("v7"), Row("v8")


def column(size: int, width: int = 16) -> Column:
    settings = load_mode("cluster_id", {"codebook_size": size, "width": width})
    varied = (("codebook_size", size), ("width", width))
    label = f"cluster_id codebook_size={size} width={width}"
    return Column("cluster_id", settings, label, TrainingSettings(), varied=varied)


def test_curves_vary_only_the_setting_in_ascending_order():
    columns = (column(200), column(50), column(50, 8))
    gains = {Comparison(V7, one): inferred(at / 10, 0.1) for at, one in enumerate(columns)}
    (curve,) = curves_along("codebook_size", (V7, V8), columns, gains)
    assert curve.row == V7
    assert curve.label == "v7 / cluster_id width=16"
    assert [point.value for point in curve.points] == [50, 200]
    assert curve.points[0].gain == gains[Comparison(V7, columns[1])]


def test_an_arm_that_is_not_stored_has_no_point():
    columns = (column(50), column(200))
    (curve,) = curves_along(
        "codebook_size", (V7,), columns, {Comparison(V7, columns[1]): inferred(0.1, 0.1)}
    )
    assert [point.value for point in curve.points] == [200]
    assert curves_along("codebook_size", (V7,), columns, {}) == ()
