"""The report of the smoke study: what it holds, and how it opens in a browser without network."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from browsers import assert_no_errors, new_browser
from reading import Page
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from freeconv.analysis.conclusions import STATEMENTS
from freeconv.study.outputs import figures_of, tables_of

CATEGORIES = {
    "1. Overview": "overview.html",
    "2. Conclusions": "tables/conclusions.html",
    "3. Comparison with the paper": "tables/comparison.html",
    "4. Tables": "tables/",
    "5. Figures": "figures/",
    "6. Explorer": "explore.html",
}


@pytest.fixture(scope="module")
def report(root, snakemake, smoke, tmp_path_factory):
    """The file of the report."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    run = snakemake(smoke, "--configfile", root / ".test/config/config.yaml", "--report", path)
    assert run.returncode == 0, run.stdout
    return path


@pytest.fixture(scope="module")
def embedded(report):
    """What Snakemake's page holds, by the ids of the scripts that name it."""
    text = report.read_text(encoding="utf-8")
    blocks = re.finditer(r'<script id="([a-z-]+)">\s*var \w+ = (.*?);?\s*</script>', text, re.S)
    names = {"workflow-desc", "results", "categories", "rulegraph"}
    return {block[1]: json.loads(block[2]) for block in blocks if block[1] in names}


@pytest.fixture
def expected(study):
    """Every page and image that the report must hold."""
    names = ["overview.html", "explore.html"]
    names += [f"tables/{table}.html" for table in tables_of(study)]
    names += [f"figures/digits/{figure}.png" for figure in figures_of(study, "digits")]
    return {f"results/smoke/{name}" for name in names}


def content(result):
    """The bytes of a result in the report."""
    head, body = result["data_uri"].split(",", 1)
    assert head.endswith(";base64")
    return base64.b64decode(body)


def test_every_table_and_figure_is_in_the_report(embedded, expected, smoke):
    assert embedded["results"].keys() == expected
    for path, result in embedded["results"].items():
        assert content(result) == (smoke / path).read_bytes()
        assert result["labels"]
        assert all(result["labels"].values())
        assert len(Page(result["caption"]).text) > 50


def test_categories_are_in_the_order_of_reading(embedded):
    assert sorted(embedded["categories"]) == list(CATEGORIES)
    for category, lists in embedded["categories"].items():
        for path in (path for paths in lists.values() for path in paths):
            assert path.startswith(f"results/smoke/{CATEGORIES[category]}")


def test_no_two_results_of_a_list_read_alike(embedded):
    for lists in embedded["categories"].values():
        for paths in lists.values():
            labels = [tuple(embedded["results"][path]["labels"].items()) for path in paths]
            assert len(set(labels)) == len(labels)


def test_the_rule_graph_has_every_rule(embedded):
    """Digits are embedded, so that nothing is downloaded; targets and the search are no part."""
    nodes = next(d for d in embedded["rulegraph"]["data"] if d["name"] == "node-data")
    assert {node["rule"] for node in nodes["values"]} == {
        *("prepare", "folds", "train_run", "evaluate_run", "aggregate", "overview", "all"),
        "explorer",
        *("networks", "examples", "table", "figure", "compare", "conclude"),
    }


def test_the_first_page_names_the_study(embedded):
    text = Page(embedded["workflow-desc"]).text
    assert text.startswith("Study smoke")
    assert "1 of 4 folds" in text
    assert "translation, edge noise and with masked connections; seed 7" in text


def test_own_pages_load_nothing(embedded, expected):
    """But for the explorer and the overview, whose scripts stand in them."""
    pages = [r for r in embedded["results"].values() if r["mime_type"] == "text/html"]
    assert len(pages) == sum(path.endswith(".html") for path in expected) > 1
    for result in pages:
        page = Page(content(result).decode())
        # The overview also links to what lies beside it, where it does (see below).
        assert all(
            value.startswith("data:")
            for tag, value in page.links
            if tag != "a" or not (page.text.startswith("Overview"))
        )
        assert not {"iframe", "object"} & page.tags
        assert ("script" in page.tags) == page.text.startswith(("Explorer", "Overview"))


def test_tables_hold_their_numbers_to_download(embedded, results):
    result = embedded["results"]["results/smoke/tables/best_median/edge_noise.html"]
    page = Page(content(result).decode())
    (link,) = [value for tag, value in page.links if tag == "a"]
    csv = results / "tables/best_median/edge_noise.csv"
    assert base64.b64decode(link.split(",", 1)[1]) == csv.read_bytes()


def test_the_overview_of_the_smoke_study(results):
    page = Page((results / "overview.html").read_text(encoding="utf-8"))
    head, *rows = page.tables["verdicts"]
    assert head == ["No.", "Conclusion", "Digits"]
    assert [row[1] for row in rows] == list(STATEMENTS.values())
    # Two epochs, after which some networks know no more than the most frequent class.
    assert {row[2] for row in rows} == {"not trained", "too short", "not covered"}
    assert "5 networks (CNN, FCN) on Digits, trained for 10 epochs in all" in page.text
    assert "The paper publishes no number of Digits" in page.text
    assert "All runs were trained under the same versions." in page.text
    assert "cpu, 1 thread" in page.text


def test_an_unfinished_study_has_no_report(root, snakemake, tmp_path):
    path = tmp_path / "report.html"
    run = snakemake(tmp_path, "--configfile", root / ".test/config/config.yaml", "--report", path)
    assert run.returncode != 0
    assert "marked for report but does not exist" in run.stdout
    assert "Traceback" not in run.stdout
    assert not path.exists()


@pytest.fixture(scope="module")
def browser(report, tmp_path_factory):
    """A browser that has opened the report."""
    browser = new_browser(tmp_path_factory.mktemp("chromium"))
    try:
        browser.get(report.as_uri())
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def patiently(browser):
    """Do something in the browser until it works and gives a true value, which is returned.

    Pages load, and elements move or are drawn anew, while the test goes on.
    """
    return WebDriverWait(browser, 120, ignored_exceptions=[WebDriverException]).until


@pytest.fixture
def click(browser, patiently):
    """Click what an XPath finds until that has had an effect, and return what shows the effect.

    The page is drawn anew while it loads; a click that meets the old drawing is lost. Dispatched in
    the page, a click also meets an element that moves, or that another covers for a moment.
    """

    def click_(xpath, effect, seconds=60):
        def attempt(_):
            # Of a click that was only slow, the effect may be there by now.
            if not effect():
                element = browser.find_element(By.XPATH, xpath)
                browser.execute_script("arguments[0].click()", element)
            wait = WebDriverWait(browser, 5, ignored_exceptions=[WebDriverException])
            return wait.until(lambda _: effect())

        return WebDriverWait(browser, seconds, ignored_exceptions=[WebDriverException]).until(
            attempt, f"no effect of clicks on {xpath}"
        )

    return click_


@pytest.fixture
def open_list(browser, click, patiently):
    """Open a list of results from the first page, and count them."""

    def item(words):
        return f'//nav//a[.//span[text()="{words}"]]'

    def results():
        return browser.find_elements(By.CSS_SELECTOR, "nav tbody tr")

    def attempt(category, subcategory):
        browser.switch_to.default_content()
        browser.refresh()
        if subcategory is not None:
            shown = item(subcategory)
            click(item(category), lambda: browser.find_elements(By.XPATH, shown), seconds=20)
        return len(click(item(subcategory or category), results, seconds=20))

    # From the first page on each time, as a page that has loaded badly stays as it is.
    def open_(category, subcategory=None):
        return patiently(lambda _: attempt(category, subcategory))

    return open_


@pytest.fixture
def view(browser, click):
    """Open a result of the list by its number, and return the element that shows it."""

    def view_(number, element):
        shown = f"#app > div > div:last-child {element}"
        source = f"return document.querySelector('{shown}')?.src"
        before = browser.execute_script(source)
        opened = f"(//nav//tbody/tr)[{number + 1}]//a"
        click(opened, lambda: browser.execute_script(source) not in (None, before))
        return browser.find_element(By.CSS_SELECTOR, shown)

    return view_


@pytest.fixture
def rows_of(browser, view, patiently):
    """Open a page of the list by its number, and return the rows of one of its tables."""

    def rows_of_(number, selector):
        browser.switch_to.default_content()
        browser.switch_to.frame(view(number, "iframe"))
        patiently(lambda _: browser.execute_script("return document.readyState") == "complete")
        return patiently(lambda _: browser.find_elements(By.CSS_SELECTOR, selector))

    return rows_of_


def test_the_first_page_in_a_browser(browser, click, patiently):
    browser.switch_to.default_content()
    browser.refresh()
    canvas = patiently(lambda _: browser.find_element(By.CSS_SELECTOR, "#rulegraph canvas"))
    assert canvas.size["height"] > 300
    assert "Study smoke" in browser.find_element(By.ID, "app").text
    menu = [item.text for item in browser.find_elements(By.CSS_SELECTOR, "nav li")]
    assert [item for item in menu if item in CATEGORIES] == list(CATEGORIES)
    entry = '//nav//tbody//td[text()="Verdicts, comparison and provenance"]'
    click(
        '//div[contains(@class, "prose")]//a[text()="1. Overview"]',
        lambda: browser.find_elements(By.XPATH, entry),
    )
    assert_no_errors(browser)


def test_the_overview_in_a_browser(browser, open_list, rows_of):
    assert open_list("1. Overview") == 1
    rows = rows_of(0, "#verdicts tbody tr")
    assert [row.find_element(By.TAG_NAME, "th").text for row in rows] == [*STATEMENTS.values()]
    assert all(row.find_element(By.CLASS_NAME, "verdict").is_displayed() for row in rows)
    assert_no_errors(browser)


def test_the_overview_links_to_what_lies_beside_it_alone(browser, open_list, rows_of, results):
    """Within the report nothing does."""
    open_list("1. Overview")
    (beside,) = rows_of(0, "#beside")
    assert not beside.is_displayed()
    pictures = browser.find_elements(By.CSS_SELECTOR, ".finding img")
    assert len(pictures) == len(STATEMENTS)
    browser.switch_to.default_content()
    browser.execute_script("window.open('about:blank')")
    report, page = browser.window_handles
    browser.switch_to.window(page)
    try:
        browser.get((results / "overview.html").as_uri())
        addresses = [
            link.get_attribute("href")
            for link in browser.find_elements(By.CSS_SELECTOR, "#beside a")
        ]
        assert browser.find_element(By.ID, "beside").is_displayed()
        files = [Path(unquote(urlparse(address).path)) for address in addresses]
        assert len(files) > 20
        assert [file.name for file in files if not file.exists()] == ["report.html"]
    finally:
        browser.close()
        browser.switch_to.window(report)


def test_the_explorer_in_a_browser(browser, open_list, rows_of):
    assert open_list("6. Explorer") == 1
    assert rows_of(0, "#plot svg .mark-line > path")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#runs tbody tr")) == 4
    assert_no_errors(browser)


def test_every_figure_in_a_browser(browser, open_list, view, patiently, study):
    count = open_list("5. Figures")
    assert count == len(figures_of(study, "digits"))
    drawn = "return arguments[0].complete && arguments[0].naturalWidth > 0"
    for number in range(count):
        image = view(number, "img")
        patiently(lambda _, image=image: browser.execute_script(drawn, image))
    assert_no_errors(browser)


@pytest.mark.parametrize(
    ("category", "subcategory", "count", "columns"),
    [
        ("2. Conclusions", None, 1, 3),
        ("4. Tables", "Accuracy by level of translation in training", 3, 7),
        ("4. Tables", "Accuracy by level of edge noise in training", 3, 5),
        ("4. Tables", "Architectures of the networks", 1, 5),
    ],
)
def test_tables_in_a_browser(browser, open_list, rows_of, category, subcategory, count, columns):
    assert open_list(category, subcategory) == count
    for number in range(count):
        head, *rows = rows_of(number, "table tr")
        assert len(head.find_elements(By.TAG_NAME, "th")) == columns
        assert rows
    assert_no_errors(browser)
