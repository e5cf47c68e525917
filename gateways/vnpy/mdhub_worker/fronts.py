"""Which of an account's fronts this worker uses: the one after its predecessor's, unless that one was well."""

from __future__ import annotations

from pathlib import Path

from . import log

# In the flow directory: the address to use next. The native worker reads and writes the same note.
FILE = "next-front"


class Fronts:
    """An account's fronts, at least one, of which one is chosen."""

    def __init__(self, addresses: list[str], flow_dir: Path) -> None:
        """Chooses one, and notes the next: whatever happens to this process, its successor tries another."""
        self._file = flow_dir / FILE
        self._count = len(addresses)
        try:
            noted = self._file.read_text().strip()
        except (OSError, ValueError):
            noted = ""
        place = addresses.index(noted) if noted in addresses else 0
        self.chosen = addresses[place]
        self._note(addresses[(place + 1) % len(addresses)])

    def keep(self) -> None:
        """The successor is to use it too."""
        self._note(self.chosen)

    def _note(self, front: str) -> None:
        if self._count < 2:
            return
        try:
            self._file.write_text(front)
        except OSError as why:
            # Losing the note costs one try of the same front.
            log.warn(f"{self._file}: {why}; the next start does not know which front comes next")
