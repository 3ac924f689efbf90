"""The report site in a real browser: charts, sorting and filtering, phone width, light and dark.

Runs headless Chromium through its driver, both of Debian's packages (scripts/system_packages.sh).
METALWRIGHT_SCREENSHOTS names a folder for pictures of what the tests have seen.
"""

import os
import shutil

import pytest
from tests.made_up_run import make_run

from metalwright.reports.site import write_site
from test_report_site import hostile_run

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,900"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("runs"), problems=9, attempts=3, seed=5)
    return write_site([run])


@pytest.fixture
def page(browser, index):
    """The browser on the overview, at its usual size and in the light."""
    look(browser, 1280, "light")
    browser.get(index.as_uri())
    yield browser
    assert complaints(browser) == []


def complaints(browser):
    """What the console holds; everything counts, warnings too."""
    return [entry["message"] for entry in browser.get_log("browser")]


def look(browser, width, scheme):
    """Sets the width in pixels and the colour scheme that the reader prefers."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def draw_all(browser):
    """Scrolls to every chart and waits until it is drawn."""
    charts = browser.find_elements(By.CSS_SELECTOR, "[data-chart]")
    for chart in charts:
        browser.execute_script("arguments[0].scrollIntoView()", chart)
        WebDriverWait(browser, 30).until(lambda _, c=chart: "drawn" in c.get_attribute("class"))
    browser.execute_script("scrollTo(0, 0)")
    return charts


def picture(browser, name):
    folder = os.environ.get("METALWRIGHT_SCREENSHOTS")
    if folder:
        size = browser.execute_script(
            "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
        )
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], 9000), "scale": 1}
        shot = browser.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        import base64

        with open(os.path.join(folder, f"{name}.png"), "wb") as file:
            file.write(base64.b64decode(shot["data"]))


def rows(browser):
    """Names of the problems that the table shows, in order."""
    script = (
        "return [...document.querySelectorAll('#problem-table tbody tr:not([hidden]) th')]"
        ".map((cell) => cell.textContent)"
    )
    return browser.execute_script(script)


def test_all_charts_are_drawn_and_follow_light_and_dark(page):
    charts = draw_all(page)
    assert len(charts) == 8
    for chart in charts:
        assert chart.find_elements(By.CSS_SELECTOR, "svg.main-svg .trace path")
        assert chart.get_attribute("aria-label")
    picture(page, "overview-1280-light")

    def colours():
        return page.execute_script(
            "return [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.xtick text')).fill,"
            " getComputedStyle(document.querySelector('.trace.bars path, .bars .point path')).fill]"
        )

    light = colours()
    look(page, 1280, "dark")
    WebDriverWait(page, 20).until(
        lambda _: all(a != b for a, b in zip(light, colours(), strict=True))
    )
    picture(page, "overview-1280-dark")


def test_the_table_is_sorted_by_its_headers_with_mouse_and_keyboard(page):
    table = page.find_element(By.ID, "problem-table")
    header = next(h for h in table.find_elements(By.CSS_SELECTOR, "thead th") if "Ratio" in h.text)
    button = header.find_element(By.TAG_NAME, "button")
    before = rows(page)
    page.execute_script("arguments[0].click()", button)
    assert header.get_attribute("aria-sort") == "ascending"
    script = (
        "return [...document.querySelectorAll('#problem-table tbody tr')]"
        ".map((row) => row.cells[2].dataset.value)"
    )

    def ratios():
        return [float(value) for value in page.execute_script(script) if value]

    assert ratios() == sorted(ratios())
    button.send_keys(Keys.ENTER)
    assert header.get_attribute("aria-sort") == "descending"
    assert ratios() == sorted(ratios(), reverse=True)
    assert sorted(rows(page)) == sorted(before)
    first = table.find_elements(By.CSS_SELECTOR, "thead th")[0]
    first.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert rows(page) == sorted(before, key=lambda name: int(name.split("_")[0]))


def test_the_table_is_filtered_and_says_how_much_of_it_is_shown(page):
    everything = rows(page)
    field = page.find_element(By.ID, "filter-name")
    field.send_keys("CONV")
    assert rows(page) == [name for name in everything if "conv" in name]
    status = page.find_element(By.ID, "filter-count")
    assert status.text == f"{len(rows(page))} of 9 shown"
    assert status.get_attribute("aria-live") == "polite"
    page.find_element(By.ID, "filter-clear").click()
    assert rows(page) == everything
    Select(page.find_element(By.ID, "filter-level")).select_by_visible_text("2")
    assert len(rows(page)) == 3
    Select(page.find_element(By.ID, "filter-speed")).select_by_value("faster")
    assert set(rows(page)) < set(everything)
    page.find_element(By.ID, "filter-clear").click()
    assert status.text == "9 of 9 shown"


def test_pages_lead_to_each_other(page):
    link = page.find_element(By.CSS_SELECTOR, "#problem-table tbody a")
    name = link.text
    page.execute_script("arguments[0].click()", link)
    assert page.find_element(By.TAG_NAME, "h1").text == name
    assert len(draw_all(page)) >= 1
    picture(page, "problem-1280-light")
    page.find_element(By.LINK_TEXT, "Next problem").click()
    assert page.find_element(By.TAG_NAME, "h1").text != name
    page.execute_script("location.hash = '#attempt-2'")
    WebDriverWait(page, 10).until(
        lambda b: b.find_element(By.ID, "attempt-2").get_property("open") is True
    )
    page.find_element(By.LINK_TEXT, "Overview").click()
    assert page.find_elements(By.ID, "problem-table")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(page):
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focused = page.switch_to.active_element
    assert focused.text == "Skip to the content"
    focused.send_keys(Keys.ENTER)
    assert page.execute_script("return location.hash") == "#main"
    unnamed = page.execute_script(
        "return [...document.querySelectorAll('input, select')].filter((e) => !e.labels.length)"
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(page, index, scheme):
    problems = sorted((index.parent / "problems").iterdir())
    for number, path in enumerate([index, problems[0], problems[4]]):
        look(page, 390, scheme)
        page.get(path.as_uri())
        page.execute_script(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
        )
        draw_all(page)
        width = page.execute_script("return document.documentElement.scrollWidth")
        assert width <= 390, (path.name, width)
        picture(page, f"{('overview', 'problem-a', 'problem-b')[number]}-390-{scheme}")


def test_a_model_s_answer_runs_no_script(browser, tmp_path):
    look(browser, 1280, "light")
    hostile = hostile_run(tmp_path)
    for path in [hostile, *sorted((hostile.parent / "problems").iterdir())]:
        browser.get(path.as_uri())
        draw_all(browser)
        assert browser.execute_script("return typeof window.hacked") == "undefined"
        # The page's policy would refuse an inline script even if one got in.
        browser.execute_script(
            "const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
            "document.body.append(s);"
        )
        assert browser.execute_script("return typeof window.hacked") == "undefined"
        assert all("Content Security Policy" in words for words in complaints(browser))
