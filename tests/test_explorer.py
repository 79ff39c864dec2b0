"""The explorer: what its page holds, and what it draws after clicks, against sums in NumPy."""

import csv
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from browsers import assert_no_errors, new_browser
from scipy import stats
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_figures import history

from freeconv.report.explorer import render_explorer
from freeconv.results.schemas import RUN_IDENTITY

LEVELS = {"none": [0.0], "translation": [0.3, 0.9], "noise": [0.5]}


@pytest.fixture(scope="module")
def frame():
    """Three folds of four to six epochs, each fold with two repeats; at 0.3 also of a tenth."""
    first = history(epochs=(4, 6, 5), levels=LEVELS, probabilities=[0.5])
    first["seed"] = first.groupby(["model", "augmentation", "level", "vcp", "fold"]).ngroup()
    second = first.assign(repeat=1, seed=first["seed"] + 1000, val_noise=first["val_noise"] ** 2)
    tenth = first[(first["level"] == 0.3) & (first["vcp"] == 0)]
    tenth = tenth.assign(
        training_share=0.1, seed=tenth["seed"] + 5000, val_accuracy=tenth["val_accuracy"] ** 2
    )
    return pd.concat([first, second, tenth], ignore_index=True)


@pytest.fixture(scope="module")
def page(frame):
    return render_explorer("try", frame, {"fcn": "FCN </script>, plain"})


def records(page):
    found = re.search(r'<script type="application/json" id="records">(.*?)</script>', page, re.S)
    return json.loads(found[1])


def test_the_page_holds_the_records(frame, page):
    held = records(page)
    assert held["models"] == {"cnn": "CNN", "fcn": "FCN </script>, plain"}
    assert held["augmentations"] == {"translation": "Translation", "noise": "Noise"}
    runs = pd.DataFrame(held["runs"])
    assert len(runs) == frame["seed"].nunique()
    epochs = pd.DataFrame(held["epochs"]).join(runs.drop(columns="epochs"), on="run")
    assert len(epochs) == len(frame)
    both = epochs.merge(frame, on=["seed", "epoch"], suffixes=("", "_measured"))
    for name in ("val_accuracy", "distance_1", "loss"):
        np.testing.assert_allclose(both[name], both[f"{name}_measured"], rtol=1e-3)
    trained = frame[frame["epoch"] > 0]
    best = trained.loc[trained.groupby("seed")["val_accuracy"].idxmax()].set_index("seed")["epoch"]
    assert runs.set_index("seed")["best"].to_dict() == best.to_dict()


def test_margins_are_half_a_corrected_interval(page):
    assert records(page)["margins"][:3] == [None, None, None]
    expected = stats.t.ppf(0.975, df=2) * np.sqrt(1 / 3 + 1 / 4)
    assert records(page)["margins"][3] == pytest.approx(expected, rel=1e-3)


def test_a_large_grid_is_thinned_but_for_the_best_and_the_last_epoch():
    """920 runs of 150 epochs, of which the best is the 77th."""
    epochs = pd.DataFrame({"epoch": range(151), "val_accuracy": 0.5, "loss": 1 / 3})
    epochs["val_loss"] = epochs["loss"]
    epochs.loc[77, "val_accuracy"] = 0.9
    runs = history(epochs=(0,), models=("cnn",), levels={"none": [0.0]}, probabilities=[])
    identity = runs.loc[:0, [*RUN_IDENTITY, "fold_count"]]
    seeds = identity.merge(pd.DataFrame({"seed": range(920)}), how="cross")
    grid = seeds.assign(level=seeds["seed"] / 1000).merge(epochs, how="cross")
    held = records(render_explorer("grid", grid, {}))
    kept = pd.DataFrame(held["epochs"]).groupby("run")["epoch"].agg(set)
    assert len(kept) == 920
    assert all({0, 1, 77, 150} <= found for found in kept)
    assert 36_000 < len(held["epochs"]["run"]) < 46_000


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    (folder / "explore.html").write_text(page, encoding="utf-8")
    browser = new_browser(folder / "chromium")
    try:
        yield browser, (folder / "explore.html").as_uri()
    finally:
        browser.quit()


class Explorer:
    """The page as a user clicks through it; every choice waits until it has been drawn."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get(address)
        self.wait = WebDriverWait(browser, 60)
        self.drawn(after=0)

    def count(self):
        return int(
            self.browser.execute_script("return document.getElementById('plot').dataset.drawn ?? 0")
        )

    def drawn(self, after):
        self.wait.until(lambda _: self.count() > after)

    def choose(self, **choices):
        for name, title in choices.items():
            before = self.count()
            Select(self.browser.find_element(By.ID, name)).select_by_visible_text(title)
            self.drawn(before)

    def click(self, element):
        before = self.count()
        self.browser.execute_script("arguments[0].click()", element)
        self.drawn(before)

    def legend(self, name):
        (button,) = (b for b in self.legends() if b.text == name)
        return button

    def legends(self):
        return self.browser.find_elements(By.CSS_SELECTOR, "#legend button")

    def marks(self, kind):
        return self.browser.find_elements(By.CSS_SELECTOR, f"#plot svg .mark-{kind} > path")

    def words(self):
        texts = self.browser.find_elements(By.CSS_SELECTOR, "#plot svg text")
        return [text.text for text in texts]

    def numbers(self):
        """Those beside the axes."""
        words = (word.replace("\N{MINUS SIGN}", "-") for word in self.words())
        return [float(word) for word in words if re.fullmatch(r"-?[0-9.]+", word)]

    def rows(self):
        return self.browser.find_elements(By.CSS_SELECTOR, "#runs tbody tr")

    def means(self, metric):
        found = self.browser.execute_script("return means(pointsOfRuns(arguments[0]))", metric)
        return pd.DataFrame(found)


@pytest.fixture
def explorer(browser):
    explorer = Explorer(*browser)
    yield explorer
    assert_no_errors(explorer.browser)


def test_it_opens_with_a_line_a_level_and_a_panel_a_network(explorer):
    assert [button.text for button in explorer.legends()] == ["0", "0.3", "0.9"]
    assert len(explorer.marks("line")) == 6
    assert {"CNN", "FCN </script>, plain", "Validation accuracy"} <= set(explorer.words())
    assert len(explorer.rows()) == 2 * 3 * 3 * 2  # networks, levels, folds, repeats


def test_a_click_on_the_legend_hides_lines_and_runs(explorer):
    explorer.click(explorer.legend("0.3"))
    assert len(explorer.marks("line")) == 4
    assert len(explorer.rows()) == 2 * 2 * 3 * 2
    assert explorer.legend("0.3").get_attribute("aria-pressed") == "false"
    explorer.click(explorer.legend("0.3"))
    assert len(explorer.marks("line")) == 6


def test_means_and_intervals_are_those_of_the_study(explorer, frame):
    explorer.choose(metric="Noise accuracy")
    found = explorer.means("val_noise").query("network == 'CNN' and line == '0.9' and x == 3")
    rows = frame.query("model == 'cnn' and level == 0.9 and vcp == 0 and epoch == 3")
    folds = rows.groupby("fold")["val_noise"].mean()
    half = stats.t.ppf(0.975, df=2) * folds.std(ddof=1) * np.sqrt(1 / 3 + 1 / 4)
    (point,) = found.itertuples()
    assert point.folds == 3
    expected = [folds.mean(), folds.mean() - half, folds.mean() + half]
    np.testing.assert_allclose([point.mean, point.low, point.high], expected, rtol=2e-3)
    seeds = {int(seed) for seed in point.seeds.split(", ")}
    assert seeds == set(rows["seed"])


def test_intervals_beyond_what_an_accuracy_can_be_do_not_stretch_its_axis(explorer):
    explorer.choose(axis="Level in training, at the best epoch")
    before = explorer.count()
    explorer.browser.execute_script("study.margins[3] = 1000; draw()")
    explorer.drawn(before)
    assert explorer.means("val_accuracy")["high"].max() > 2
    assert max(explorer.numbers()) == 1
    assert min(explorer.numbers()) == 0


def test_levels_at_the_best_epoch_on_the_axis(explorer, frame):
    explorer.choose(axis="Level in training, at the best epoch", second="Training loss")
    assert [button.text for button in explorer.legends()] == ["CNN", "FCN </script>, plain"]
    assert len(explorer.marks("line")) == 2 * 2
    assert {"Validation accuracy", "Training loss"} <= set(explorer.words())
    found = explorer.means("loss").query("network == 'CNN'").set_index("x")["mean"]
    trained = frame.query("epoch > 0 and model == 'cnn' and training_share == 1")
    best = trained.loc[trained.groupby("seed")["val_accuracy"].idxmax()]
    best = best[best["augmentation"].isin(["none", "translation"])]
    expected = best.groupby(["level", "fold"])["loss"].mean().groupby("level").mean()
    np.testing.assert_allclose(found[expected.index], expected, rtol=2e-3)


def test_shares_of_the_training_images_are_lines(explorer, frame):
    explorer.choose(condition="Share of the training images, translation 0.3")
    assert [button.text for button in explorer.legends()] == ["0.1", "1"]
    found = explorer.means("val_accuracy").query("network == 'CNN' and x == 2").set_index("line")
    rows = frame.query("model == 'cnn' and level == 0.3 and vcp == 0 and epoch == 2")
    folds = rows.groupby(["training_share", "fold"])["val_accuracy"].mean()
    expected = folds.groupby("training_share").mean()
    np.testing.assert_allclose(found.loc[["0.1", "1"], "mean"], expected, rtol=2e-3)
    explorer.choose(axis="Share in training, at the best epoch")
    assert set(explorer.means("val_accuracy")["x"]) == {0.1, 1}


def test_masked_connections_single_runs_and_a_logarithm(explorer):
    explorer.choose(condition="Masked connections", metric="Training loss", scale="logarithmic")
    assert [button.text for button in explorer.legends()] == ["0", "0.5"]
    assert len(explorer.marks("line")) == 2
    before = len(explorer.marks("symbol"))
    explorer.click(explorer.browser.find_element(By.ID, "singles"))
    # A cross a run and epoch: two probabilities, folds of 4, 6 and 5 epochs, two repeats.
    assert len(explorer.marks("symbol")) - before == 2 * (4 + 6 + 5) * 2
    network = explorer.browser.find_element(By.CSS_SELECTOR, "#networks input[value=cnn]")
    assert not network.is_enabled()


def test_tooltips_name_the_run(explorer, frame):
    explorer.click(explorer.browser.find_element(By.ID, "singles"))
    ActionChains(explorer.browser).move_to_element(explorer.marks("symbol")[-1]).perform()
    tip = explorer.wait.until(
        lambda _: explorer.browser.find_element(By.ID, "vg-tooltip-element").text
    )
    (seed,) = re.findall(r"seed\s+(\d+)", tip)
    (fold,) = re.findall(r"fold\s+(\d+)", tip)
    assert set(frame.loc[frame["seed"] == int(seed), "fold"]) == {int(fold)}


def test_the_download_is_the_table(explorer, frame):
    explorer.click(explorer.legend("0"))
    rows = list(csv.DictReader(io.StringIO(explorer.browser.execute_script("return csv()"))))
    assert len(rows) == len(explorer.rows()) == 2 * 2 * 3 * 2
    for row in rows:
        run = frame[
            (frame["seed"] == int(row["seed"])) & (frame["epoch"] == int(row["best_epoch"]))
        ]
        assert float(row["val_accuracy"]) == pytest.approx(run["val_accuracy"].item(), rel=1e-3)
        assert row["level"] != "0"
    explorer.browser.find_element(By.ID, "download").click()


def test_it_fits_a_phone(explorer):
    explorer.browser.set_window_size(500, 900)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    explorer.wait.until(lambda _: explorer.browser.execute_script(wide) <= 0)
    explorer.browser.set_window_size(1400, 900)
