"""The page in a real browser. `.ci/run` installs what these tests need, where it can."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ctrbench.page import render
from tests.figures.test_figures import many
from tests.page.test_page import content

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

AXE = Path(__file__).parents[2] / ".browser" / "package" / "axe.min.js"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
WIDTHS = (390, 1024, 1600)
SCHEMES = ("light", "dark")
WIDER = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  const outside = box.right > innerWidth + 1 || box.left < -1;
  return box.width && outside && !one.closest(".scroll, .skip");
}).map((one) => one.outerHTML.slice(0, 120))"""
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll("main > section, header > *")]
    .map((one) => [one.id || one.tagName, one.getBoundingClientRect()]);
  return boxes.flatMap(([a, x], at) => boxes.slice(at + 1)
    .filter(([, y]) => Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1
      && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 1)
    .map(([b]) => `${a} and ${b}`));
}"""
TEXTS = """() => [...document.querySelectorAll("figure svg")].flatMap((svg) => {
  const boxes = [...svg.querySelectorAll("text")].filter((one) => one.textContent.trim())
    .map((one) => [one.textContent, one.getBoundingClientRect()]);
  return boxes.flatMap(([a, x], at) => boxes.slice(at + 1)
    .filter(([, y]) => Math.min(x.right, y.right) - Math.max(x.left, y.left) > 3
      && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 3)
    .map(([b]) => `${svg.getAttribute("aria-label")}: ${a} and ${b}`));
})"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(made, file, page, tmp_path_factory) -> dict[int, Path]:
    """The page of a few arms, and of 21 and 201 with long names."""
    folder = tmp_path_factory.mktemp("pages")
    found = {9: page}
    gathered = content(made, file)
    for versions in (7, 67):
        text = render(replace(gathered, shown=many(versions, "v" * 20 + " " + "x" * 180 + "{}")))
        found[3 * versions] = folder / f"{versions}.html"
        found[3 * versions].write_text(text, encoding="utf-8")
    return found


@pytest.fixture
def visit(browser):
    """Return a function that opens a page and records requests and console output."""
    contexts = []

    def opened(path: Path, fragment: str = "", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        found = context.new_page()
        found.problems = []
        found.on("console", lambda message: found.problems.append(message.text))
        found.on("pageerror", lambda error: found.problems.append(str(error)))
        found.on(
            "request",
            lambda one: one.url.startswith(("data:", "file:")) or found.problems.append(one.url),
        )
        found.goto(path.as_uri() + fragment)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("arms", [9, 21, 201])
def test_nothing_is_wider_than_the_screen_or_overlaps(visit, pages, width, arms):
    found = visit(pages[arms], viewport={"width": width, "height": 900})
    assert found.evaluate("document.documentElement.scrollWidth") <= width
    assert found.evaluate(WIDER) == []
    assert found.evaluate(OVERLAPS) == []
    assert found.problems == []


def test_labels_of_figures_do_not_overlap(visit, pages):
    for arms in (9, 21):
        found = visit(pages[arms], viewport={"width": 1600, "height": 900})
        assert found.evaluate(TEXTS) == []


def column(found, number: int) -> list[str]:
    cells = found.locator(f"#headline tbody tr:visible > :nth-child({number})")
    return [text.strip() for text in cells.all_inner_texts()]


def test_a_click_sorts_and_updates_the_fragment(visit, page):
    found = visit(page)
    before = column(found, 4)
    found.locator("#headline thead th:nth-child(4) button").click()
    numbers = [float(one) for one in column(found, 4)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers != [float(one) for one in before]
    fragment = found.evaluate("location.hash")
    assert "sort=headline.3.descending" in fragment
    again = visit(page, fragment)
    assert column(again, 4) == column(found, 4)
    assert again.locator("#headline th[aria-sort=descending]").count() == 1
    assert found.problems == again.problems == []


def test_the_fragment_contains_the_filters(visit, page):
    found = visit(page)
    found.locator("#filters [name=mode]").select_option("vector")
    found.locator("#filters [name=find]").fill("RANDOM")
    assert column(found, 1) == ["random"]
    again = visit(page, found.evaluate("location.hash"))
    assert column(again, 1) == ["random"]
    assert "1 of 9" in again.locator("#count").inner_text()


def test_a_saved_table_has_all_digits(visit, page):
    found = visit(page)
    with found.expect_download() as waiting:
        found.locator('.tools[data-for="headline"] [data-do="save"]').click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) == 10
    first = found.locator("#headline tbody td[data-value]").first.get_attribute("data-value")
    assert first in lines[1].split(",")
    assert "↕" not in text


def test_the_page_is_readable_without_scripts(visit, page):
    found = visit(page, java_script_enabled=False)
    assert found.locator("figure svg").count() >= 5
    assert found.locator("#filters").is_hidden()
    assert len(column(found, 1)) == 9


def test_everything_is_reachable_by_keyboard(visit, page):
    found = visit(page, viewport={"width": 390, "height": 900})
    wanted = found.locator("a:visible, button:visible, input:visible, select:visible, summary")
    seen = set()
    for _ in range(wanted.count() + 60):
        found.keyboard.press("Tab")
        seen.add(found.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
    every = wanted.evaluate_all("all => all.map((one) => one.outerHTML.slice(0, 200))")
    assert [one for one in every if one not in seen] == []
    found.locator("#headline thead button").nth(2).focus()
    found.keyboard.press("Enter")
    assert found.locator("#headline th[aria-sort]").count() == 1


def test_print_hides_the_controls_and_cuts_nothing(visit, page):
    found = visit(page, viewport={"width": 718, "height": 1000}, color_scheme="dark")  # A4
    found.emulate_media(media="print")
    assert found.locator("nav").is_hidden()
    assert found.locator("#filters").is_hidden()
    paper = found.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 254)"
    cut = """() => [...document.querySelectorAll(".scroll")]
      .filter((one) => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > innerWidth)
      .map((one) => one.getAttribute("aria-label"))"""
    assert found.evaluate(cut) == []
    assert len(found.pdf()) > 10_000


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: `npm pack axe-core` into .browser/")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [390, 1600])
def test_axe_finds_nothing(visit, page, scheme, width):
    found = visit(page, color_scheme=scheme, viewport={"width": width, "height": 900})
    found.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found.evaluate(AXE.read_text(encoding="utf-8"))
    result = found.evaluate("axe.run()")
    problems = [
        (one["id"], [node["html"][:150] for node in one["nodes"]][:3])
        for one in result["violations"]
    ]
    assert problems == []
