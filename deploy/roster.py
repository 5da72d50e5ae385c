"""Who may come in: a class list with a password for each, made here and handed out once.

    python -m deploy.roster add grace alan                    prints name,password; again: a new one
    python -m deploy.roster add < class.txt                a name a line; all of them, or nobody
    python -m deploy.roster remove alan                    files stay
    python -m deploy.roster list

A university's own login is better where there is one: deploy/README.md has an example.
"""

import argparse
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
from pathlib import Path

from deploy.places import NAMES, Places

# Passwords are drawn, not chosen, so that guessing is hopeless: 16 letters out of 31, 79 bits.
LETTERS = "abcdefghijkmnpqrstuvwxyz2345679"
LENGTH = 16
REFUSED = ("cannot be a user's name, as it names a folder: use small letters, digits and ._@-, "
           "beginning with one of the first two, 64 at most.")


def is_name(name: str) -> bool:
    """Whether a user may have this name."""
    return re.fullmatch(NAMES, name) is not None


def scramble(password: str, salt: str) -> str:
    """What is kept of a password: scrypt of it, in hexadecimal digits."""
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()


class Roster:
    """The class list on disk: {name: {"salt", "kept"}}, readable by the hub's account alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, dict[str, str]]:
        """Everyone on it."""
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def add(self, name: str) -> str:
        """Put someone on it, or give them a new password, which is returned and not kept."""
        if not is_name(name):
            raise ValueError(f"{name!r} {REFUSED}")
        password = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        salt = secrets.token_hex(16)
        self._write(self.read() | {name: {"salt": salt, "kept": scramble(password, salt)}})
        return password

    def remove(self, name: str) -> None:
        """Take someone off it; who is not on it is passed over."""
        self._write({other: kept for other, kept in self.read().items() if other != name})

    def admits(self, name: str, password: str) -> bool:
        """Whether this is the password of someone on it; takes as long for everyone else."""
        entry = self.read().get(name, {"salt": "00" * 16, "kept": ""})
        return hmac.compare_digest(scramble(password, entry["salt"]), entry["kept"])

    def _write(self, entries: dict[str, dict[str, str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(entries, file, indent=1)
        part.replace(self.path)


def names_of(file: bytes) -> dict[str, str]:
    """The names in a class list, one a line, by where they stand in it; empty lines are none."""
    lines = [line.strip() for line in file.decode("utf-8-sig", "replace").splitlines()]
    return {f"line {number} ({line!r})": line for number, line in enumerate(lines, 1) if line}


def main(arguments: list[str] | None = None) -> int:
    """Change the class list, and print what is to be handed out."""
    parser = argparse.ArgumentParser(prog="python -m deploy.roster", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["add", "remove", "list"])
    parser.add_argument("names", nargs="*", help="default, to add: one a line, on standard input")
    asked = parser.parse_args(arguments)
    roster = Roster(Places.from_environment().root / "hub" / "roster.json")
    if asked.what == "list":
        print("\n".join(sorted(roster.read())))
        return 0
    if asked.what == "remove":
        for name in asked.names:
            roster.remove(name)
        return 0
    places = {repr(name): name for name in asked.names} or names_of(sys.stdin.buffer.read())
    if bad := [place for place, name in places.items() if not is_name(name)]:
        print(f"Nobody was added: {', '.join(bad)} {REFUSED}", file=sys.stderr)
        return 1
    for name in dict.fromkeys(places.values()):
        print(f"{name},{roster.add(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
