"""How long the report site takes and how large it is: 250 problems with five attempts each.

    python -m bench.report_site [--problems N] [--attempts N]

Prints wall and processor seconds of `metalwright report` in a process of its own, the site's size,
and, where Chromium and its driver are installed, how long the overview takes to load, to be sorted
and to be filtered. The run is made up (tests/made_up_run.py); its texts are as long as real ones.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.made_up_run import make_run


def main() -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=250)
    parser.add_argument("--attempts", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder), options.problems, options.attempts)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "metalwright", "report", run]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        files = [path for path in (run / "report").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        largest = max(path.stat().st_size for path in files if path.suffix == ".html")
        seen = look_at(run / "report" / "index.html")
    print(f"{options.problems} problems, {options.attempts} attempts each")
    print(f"report: {wall:.1f} s wall, {used:.1f} s of processor time")
    print(f"site: {size / 1e6:.1f} MB in {len(files)} files; largest page {largest / 1e6:.2f} MB")
    for line in seen:
        print(line)


def look_at(index: Path) -> list[str]:
    """What a browser needs for the overview, in milliseconds; medians of nine."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        return ["no browser here"]
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for option in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"):
            options.add_argument(option)
        browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            browser.get(index.as_uri())
            load = browser.execute_script(
                "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd"
            )
            # Reading a place afterwards makes the browser lay the page out within the time.
            measure = (
                "const start = performance.now(); {0}; document.body.getBoundingClientRect();"
                "return performance.now() - start"
            )
            sort = measure.format("document.querySelectorAll('th button')[2].click()")
            narrow = measure.format(
                "const f = document.getElementById('filter-name');"
                "f.value = f.value ? '' : 'conv'; f.dispatchEvent(new Event('input'))"
            )
            times = [
                statistics.median(browser.execute_script(script) for _ in range(9))
                for script in (sort, narrow)
            ]
        finally:
            browser.quit()
    return [
        f"overview: loaded in {load:.0f} ms, sorted in {times[0]:.1f} ms, filtered in "
        f"{times[1]:.1f} ms"
    ]


if __name__ == "__main__":
    main()
