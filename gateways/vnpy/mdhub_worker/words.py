"""Others' words, made fit for a report or a log: no control characters, never long, and without the password."""

from __future__ import annotations

import unicodedata

# Bytes of a sentence.
SENTENCE_BYTES_MAX = 1024
# Bytes of a symbol, a version, a date: the vendor's longest field has 81.
NAME_BYTES_MAX = 256

# A shorter password would be found in half of all words; the hub hides none of those, either.
SECRET_BYTES_MIN = 4

_secret = ""


def hide(password: str) -> None:
    """From now on no text says this password."""
    global _secret  # noqa: PLW0603
    _secret = password if len(password.encode()) >= SECRET_BYTES_MIN else ""


def clean(text: str, bytes_max: int = SENTENCE_BYTES_MAX) -> str:
    """Cuts a text to so many bytes, at a character's border, and takes control characters and the password out."""
    if _secret:
        text = text.replace(_secret, "[secret]")
    # More characters than bytes are not kept.
    text = "".join(c for c in text[: bytes_max + 1] if unicodedata.category(c) not in ("Cc", "Cs"))
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[:bytes_max].decode(errors="ignore") + "…"


def seconds(ms: int) -> str:
    """`1.5 s`."""
    return f"{ms // 1000}.{ms % 1000 // 100} s"


def shown(first: list[str], count: int) -> str:
    """The first few of so many."""
    more = count - len(first)
    return ", ".join(first) if more <= 0 else f"{', '.join(first)} and {more} more"
