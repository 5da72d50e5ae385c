"""The hub's login page, answered by the class list of deploy/roster.py."""

import asyncio
from pathlib import Path

from jupyterhub.auth import Authenticator
from traitlets import Unicode

from deploy.roster import Roster


class RosterAuthenticator(Authenticator):
    """Admits whom the class list admits; it is read anew at each login."""

    roster = Unicode(help="the class list's file").tag(config=True)

    async def authenticate(self, handler, data: dict[str, str]) -> str | None:
        """The user's name, or None."""
        name, password = data["username"], data["password"]
        known = await asyncio.to_thread(Roster(Path(self.roster)).admits, name, password)
        return name if known else None
