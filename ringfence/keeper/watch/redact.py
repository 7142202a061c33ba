"""Text that may be shown: on one line, not too long, and without the secrets that URLs carry."""

from __future__ import annotations

import re

# Each in time linear in the text: its author may be hostile.
_URL = re.compile(r"""://([^\s"'<>]*)""")
_SETTING = re.compile(
    r"(?i)\b(?P<name>pass(?:word|wd|phrase)|secret|mnemonic"
    r"|(?:api|private)[ _-]?key|access[ _-]?token)"
    r"(?P<is>[\"']?\s*[=:]\s*)(?P<value>\"[^\"]{0,200}\"|'[^']{0,200}'|\S+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+\S{8,}")


def redact(text: str) -> str:
    """Return text whose URLs say the scheme and the host alone, and whose passwords are gone.

    >>> redact("no answer from https://eth.example:8545/v2/KEY?x=1 in 5 s")
    'no answer from https://eth.example:8545/… in 5 s'
    >>> redact("postgresql://keeper:hunter2@db/leases, password=hunter2")
    'postgresql://db/…, password=…'
    """
    text = _URL.sub(_bare, text)
    text = _SETTING.sub(r"\g<name>\g<is>…", text)
    return _BEARER.sub(r"\1 …", text)


def _bare(match: re.Match[str]) -> str:
    rest = match[1]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    mark, path = rest[len(host) : len(host) + 1], rest[len(host) + 1 :]
    if "@" in path and "@" not in host:
        # Where a password holds a slash, what looks like the host is a part of it.
        return "://…"
    tail = path[len(path.rstrip(",.;:)]")) :]
    return "://" + host.rpartition("@")[2] + ("/…" if mark and path else mark) + tail


def tidy(text: str, size: int = 300) -> str:
    """Return text that others may have written: one line, redacted, at most `size` characters."""
    if len(text) > 4 * size:
        # Not within a word, of which what is left might not look like a secret.
        text = text[: 4 * size].rpartition(" ")[0] or text[:size].partition("://")[0]
    line = redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    return line if len(line) <= size else line[: size - 1] + "…"
