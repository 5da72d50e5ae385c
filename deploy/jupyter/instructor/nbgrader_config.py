"""An instructor's nbgrader: the project's own settings, and where the hub's exchange lies."""

import os

c = get_config()  # noqa: F821
c.Exchange.root = os.environ.get("COURSE_EXCHANGE", "/srv/exchange")
