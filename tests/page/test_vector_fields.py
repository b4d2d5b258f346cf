"""The report of a version with several vector fields."""

from ctrbench.page import gather, gathering, render
from ctrbench.runner import run_matrix
from tests.benchmark import matrix
from tests.runner.test_vector_fields import add_field, both, text_of

__all__ = ["add_field", "both"]


def test_page_and_table_name_the_fields_that_modes_read(workspace, both):
    found = matrix(workspace, text_of("both", "{vector: {field: text}, sim_score: {}}"))
    records = run_matrix(workspace, found)
    page = gather(workspace, found, records)
    assert {field for _, field in page.shown.quality} == {None, "text"}
    assert {*gathering._versions(found, page.shown, ["both"])} == {"both:text", "both:image"}
    first = [text for text in page.shown.table.caption if "first one" in text]
    assert first == ["Modes that name no vector field read the first one: image of both."]
    html = render(page)
    named = [f">version both:{field}<" in html for field in ("image", "text")]
    assert named == [True, True]
