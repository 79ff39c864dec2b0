"""A browser to open pages in, where there is one."""

import shutil

import pytest
from selenium import webdriver


def new_browser(profile):
    """Start a browser without a window; skip the test where there is none.

    Args:
        profile: a folder for what the browser keeps.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
        "window-size=1400,900",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


def assert_no_errors(browser):
    """No script has failed, and nothing was asked of the network."""
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []
    names = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    assert all(name.startswith(("data:", "blob:")) for name in browser.execute_script(names))
