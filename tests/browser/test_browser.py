"""JupyterLab in a headless Chromium: RASP in colour, selectors drawn, trusted or not.

Skipped without Playwright or Chromium; `make test-browser` says what to install.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
try:
    from playwright.sync_api import Page, sync_playwright
except ImportError:
    pytest.skip("no Playwright: pip install 'rasplab[browser]'", allow_module_level=True)
if not CHROMIUM:
    pytest.skip("no Chromium: apt-get install chromium, say", allow_module_level=True)

import nbformat  # noqa: E402 (takes seconds, also where all is skipped)
from nbclient import NotebookClient  # noqa: E402

TOKEN, HUB_TIMEOUT_S = "rasplab", 60_000
"""Of the server that the tests start; milliseconds to wait for what must come."""
LESSON, UNSIGNED = "notebooks/1_language.ipynb", "notebooks/unsigned.ipynb"
BESIDE, BESIDE_UNSIGNED = "notebooks/beside.ipynb", "notebooks/beside_unsigned.ipynb"
BESIDE_CELLS = (
    "import rasplab\n"
    "program = rasplab.load('../circuits/reverse.rasp')\n"
    "model = rasplab.compile(program, 'abc', 4).to_model(device='cpu')\n"
    "rasplab.side_by_side(program, model, model, ['abca', 'ab', 'cab'])",
    "rasplab.side_by_side(program, model, model, ['abca', 'ab', 'cab'])",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The first notebook and one with two sliders, also with unsigned outputs; the circuits."""
    made = tmp_path_factory.mktemp("lab")
    (made / "notebooks").mkdir()
    shutil.copytree(ROOT / "circuits", made / "circuits")
    shutil.copy(ROOT / LESSON, made / LESSON)
    cells = [nbformat.v4.new_code_cell(text) for text in BESIDE_CELLS]
    kernel = nbformat.read(made / LESSON, as_version=4).metadata
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), made / BESIDE)
    where = {"metadata": {"path": str(made / "notebooks")}}
    for name, unsigned in ((LESSON, UNSIGNED), (BESIDE, BESIDE_UNSIGNED)):
        notebook = nbformat.read(made / name, as_version=4)
        NotebookClient(notebook, timeout=120, resources=where).execute()
        nbformat.write(notebook, made / unsigned)
    return made


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory) -> Iterator[str]:
    """The address of a JupyterLab over the folder, with settings of its own."""
    home = tmp_path_factory.mktemp("home")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    names |= {f"JUPYTER_{n}_DIR": n.lower() for n in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}"]
    env = os.environ | {name: str(home / value) for name, value in names.items()}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            _await(f"http://127.0.0.1:{port}/api?token={TOKEN}", home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # a server that waits for its kernels
                process.kill()


def _await(address: str, log: Path) -> None:
    """Until the server answers; its own words where it does not."""
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(log.read_text()[-2000:])


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, server) -> Iterator[Page]:
    """A page on the server; what it complains about fails the test."""
    made = browser.new_page(viewport={"width": 1200, "height": 2400})
    made.set_default_timeout(HUB_TIMEOUT_S)
    complaints = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    made.close()
    assert not complaints


def visit(page: Page, server: str, name: str) -> None:
    """Open a document alone, and wait until it is there."""
    page.goto(f"{server}/doc/tree/{name}?token={TOKEN}&reset")
    page.locator(".cm-content").locator("visible=true").first.wait_for()


def run_all(page: Page) -> None:
    """Run every cell of the notebook, and wait for the last."""
    page.wait_for_selector("text=| Idle")
    page.evaluate("window.jupyterapp.commands.execute('runmenu:run-all')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
        ".every(p => /\\[\\d+\\]/.test(p.textContent))"
    )


def colours(page: Page, editor: str) -> dict[str, str]:
    """The colour of each word of an editor."""
    found = page.locator(f"{editor} .cm-line span").evaluate_all(
        "spans => spans.map(s => [s.textContent, getComputedStyle(s).color])"
    )
    return dict(found)


def test_the_first_notebook_runs_in_colour_with_its_pictures(page, server):
    """Every %%rasp cell, and no other, is RASP to the editor; all run; a selector is drawn."""
    visit(page, server, LESSON)
    page.wait_for_selector('.cm-content[data-language="rasp"]')
    run_all(page)
    for cell in page.locator(".jp-CodeCell .cm-content").all():
        magic = cell.inner_text().startswith("%%rasp")
        assert (cell.get_attribute("data-language") == "rasp") is magic, cell.inner_text()
    found = colours(page, '.cm-content[data-language="rasp"]')
    assert len({found[w] for w in ("%%rasp abcde", "select", "==", "def", '"a"')}) >= 4, found
    flip = page.locator('.jp-OutputArea svg[aria-label="flip"]')
    assert flip.count() >= 1 and flip.first.bounding_box()["width"] > 80
    assert "hint: compare like kinds" in page.locator(".jp-OutputArea .fault").first.inner_text()


def test_an_unsigned_notebook_shows_the_same_without_scripts(page, server):
    """Untrusted: the picture is an image, tables keep their style, the fault its mark."""
    visit(page, server, UNSIGNED)
    image = page.locator('.jp-OutputArea img[alt="selector flip"]').first
    image.wait_for()
    assert page.locator(".jp-OutputArea script, .jp-OutputArea svg").count() == 0
    assert image.evaluate("i => i.complete && i.naturalWidth") > 80
    cell = page.locator(".jp-OutputArea .rasplab td").first
    assert cell.evaluate("c => getComputedStyle(c).textAlign") == "center"
    mark = page.locator(".jp-OutputArea .fault pre span").first
    assert mark.evaluate("m => getComputedStyle(m).backgroundColor") == "rgba(209, 67, 75, 0.28)"


def test_rasp_files_are_in_colour(page, server):
    """A .rasp file opens as RASP."""
    visit(page, server, "circuits/sort.rasp")
    page.wait_for_selector('.cm-content[data-language="rasp"]')
    found = colours(page, ".cm-content")
    assert len({found[w] for w in ("select", "==", "tokens")}) >= 2, found


def test_each_slider_goes_over_its_own_inputs(page, server):
    """Arrow keys move the slider in focus, with its tokens, weights and hover texts; no other."""
    visit(page, server, BESIDE)
    run_all(page)
    sides = page.locator(".jp-OutputArea .rl-side")
    first, second = sides.nth(0), sides.nth(1)
    slider, shown = second.locator("input[type=range]"), second.locator(".rl-input")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert shown.inner_text() == '"cab"' and first.locator(".rl-input").inner_text() == '"abca"'
    keys = second.locator("svg").first.locator("[data-axis=key]").all_text_contents()
    assert keys == ["BOS", "c", "a", "b", ""]
    titles = second.locator("svg").nth(1).locator("g[visibility=visible] title")
    assert titles.all_text_contents()[3] == "query c → key b: 1"
    second.locator("svg").nth(1).locator("g[visibility=visible]").nth(3).hover()
    page.wait_for_function("n => n.textContent", arg=second.locator(".readout").element_handle())
    words = second.locator(".readout").inner_text()
    assert words == "query c → key b: selector 1, compiled 1, trained 1"


def test_an_unsigned_slider_is_not_shown(page, server):
    """Untrusted: the pictures of the first input as images, and its text."""
    visit(page, server, BESIDE_UNSIGNED)
    side = page.locator(".jp-OutputArea .rasplab").first
    side.locator("img").nth(2).wait_for()
    assert side.locator("img").count() == 3 and '"abca"' in side.inner_text()
    assert side.locator("svg").count() == 0 and not side.locator("input").is_visible()
