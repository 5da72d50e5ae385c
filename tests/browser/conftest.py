"""A real JupyterLab and a real Chromium, both on this machine alone.

`COURSE_CHROMIUM` may name the browser's executable; else it is looked for on the PATH. Nothing
is downloaded: where there is none, these tests are skipped.
"""

import os
from pathlib import Path

import pytest

from course_lib.present.pictures import chromium, find_chromium
from tests.browser.lab import ADVICE, VIEW, Lab, jupyterlab


@pytest.fixture(scope="session")
def browser():
    """Chromium, or a sentence that says how to get one."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = find_chromium()
    if executable is None:
        pytest.skip(ADVICE)
    with chromium(executable) as browser:
        yield browser


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    """JupyterLab's address and its folder."""
    home = tmp_path_factory.mktemp("lab")
    with jupyterlab(home) as address:
        yield address, home


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Where screenshots are kept: `COURSE_SCREENSHOTS`, else pytest's own temporary folder."""
    asked = os.environ.get("COURSE_SCREENSHOTS")
    folder = Path(asked) if asked else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(browser, server, pictures):
    """A page that can open notebooks."""
    address, home = server
    context = browser.new_context(**VIEW)
    lab = Lab(context.new_page(), address, home, pictures)
    yield lab
    lab.shut_down()
    context.close()


@pytest.fixture
def lab(page):
    """The page, of which a test must see no error, and no request to another machine."""
    yield page
    assert page.strangers == [], "something was requested from outside the machine"
    assert page.complaints == [], "the browser's console shows errors"
