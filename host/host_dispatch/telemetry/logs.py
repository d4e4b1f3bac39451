"""JSON-line logs on stderr. What could be a live signature or a key never gets into a line."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Final

# Signatures, MACs, tokens and keys are long runs without a space; ids, symbols and numbers are shorter.
_SECRET_LIKE: Final = re.compile(r"[A-Za-z0-9+/=_%-]{43,}")
_QUERY: Final = re.compile(r"(https?://[^\s?]+)\?\S+")
_LONGEST: Final = 1024


def redact(text: str) -> str:
    """Hide URL queries and whatever is as long as a signature; trim."""
    return _SECRET_LIKE.sub("[hidden]", _QUERY.sub(r"\1?[hidden]", text))[:_LONGEST]


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC seconds), level, logger, message, and the record's ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, object] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update({name: redact(value) if isinstance(value, str) else value for name, value in fields.items()})
        if record.exc_info and record.exc_info[0] is not None:
            # Types and places, never texts: an exception's text may quote a request.
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _places(record)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)


def _places(record: logging.LogRecord) -> list[str]:
    trace = record.exc_info[2] if record.exc_info else None
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-6:]


def start_logging(level: str) -> None:
    """Send every logger of the process to stderr as JSON lines. ``level`` is a name such as "info"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
