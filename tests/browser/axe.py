"""What axe-core, which looks for barriers in a page, holds against it.

`python -m docs.site.build` brings it, from npm; where that was not run, its tests are skipped.
"""

from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "build" / "axe.min.js"
SEVERE = ("serious", "critical")
RUN = """async within => {
    const { violations } = await axe.run(within.length ? { include: within.map(one => [one]) }
                                                       : document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, impact, help, nodes }) => nodes.map(
        ({ html, failureSummary }) => [impact, [id, help, html, failureSummary].join("\\n")])); }"""


def severe_barriers(page, *within: str) -> list[str]:
    """The serious and critical findings in a page, or in what these selectors choose of it."""
    if not SCRIPT.is_file():
        pytest.skip("axe-core is not here: python -m docs.site.build brings it")
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    return [said for impact, said in page.evaluate(RUN, list(within)) if impact in SEVERE]
