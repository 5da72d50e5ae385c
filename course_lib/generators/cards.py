"""Cards: what one should know of a generator before trusting it."""

import html
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Card:
    """What one should know of a generator before trusting it.

    Attributes:
        bytes: size of the file; license: of the weights.
        quality: in one line, how good its pictures are.
        data, training: what it learnt from, and how.
        measured: numbers by name; faults: what is known to be bad.
        kind: what its pictures show ("cats"), which a classifier or named directions are made for.
        missing: what it can't draw, since nothing like it was among what it learnt from.
        remote: whether it does not ship, but is downloaded when it is loaded first.
    """

    name: str
    family: str
    resolution: int
    bytes: int
    license: str
    quality: str
    data: str = ""
    training: str = ""
    measured: Mapping[str, object] = field(default_factory=dict)
    faults: str = ""
    kind: str = ""
    missing: str = ""
    remote: bool = False

    @classmethod
    def read(cls, path: Path) -> "Card":
        """From a JSON file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """To a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


class Cards(list[Card]):
    """Cards that print as a table."""

    def _repr_html_(self) -> str:
        return f"<pre style='white-space: pre; overflow-x: auto'>{html.escape(repr(self))}</pre>"

    def __repr__(self) -> str:
        rows = [("name", "family", "resolution", "size", "licence", "quality")]
        rows += [
            (card.name, card.family, f"{card.resolution}²", f"{card.bytes / 1e6:.1f} MB",
             card.license, card.quality)
            for card in self
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
