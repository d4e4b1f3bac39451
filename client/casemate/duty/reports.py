"""What the officer says: one line an event, in words or as JSON; of an alarm its begin, each minute, and its end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from casemate.duty.model import Grant, Lost, Raised, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.duty.model import Alarm, Decision, Observation, Send

_AGAIN_NS: Final = 60_000_000_000
_NS: Final = 1_000_000_000


class Reporter:
    """Writes lines. Keys, signatures and grants' bytes are not among what it is given to say."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], int], *, as_json: bool) -> None:
        """``write`` takes one line."""
        self._write = write
        self._clock = clock
        self._json = as_json
        self._standing: dict[tuple[Alarm, str], int] = {}
        self._said: dict[str, int] = {}
        self._refused: dict[str, str] = {}

    def say(self, decision: Decision) -> None:
        """Say which alarms began, stand for long, or ended."""
        now = self._clock()
        present = {(each.alarm, each.gateway): each for each in decision.alarms}
        for key, each in present.items():
            if now - self._standing.get(key, -_AGAIN_NS) >= _AGAIN_NS:
                self._standing[key] = now
                self._raised(each)
        for key in [key for key in self._standing if key not in present]:
            del self._standing[key]
            self.line("ended", alarm=str(key[0]), gateway=key[1])

    def _raised(self, each: Raised) -> None:
        self.line("alarm", alarm=str(each.alarm), gateway=each.gateway, text=each.text)

    def sending(self, send: Send) -> None:
        """Say what is sent for the first time."""
        if self._said.get(send.gateway, 0) >= send.what.sequence:
            return
        self._said[send.gateway] = send.what.sequence
        what = send.what
        how = ""
        if isinstance(what, Grant):
            how = "fresh" if what.fresh else "continues" if what.continues else ""
        self.line(
            "grant" if isinstance(what, Grant) else "retire",
            gateway=send.gateway,
            boot=send.boot.hex()[:16],
            sequence=what.sequence,
            until=_time(what.not_after),
            **({"begins": how} if how else {}),
        )

    def sent(self, send: Send, found: Observation) -> None:
        """Say what was lost on the way, or refused: the same refusal once."""
        if isinstance(found, Seen) and found.reply and self._refused.get(send.gateway) != found.reply:
            self.line("refused", gateway=send.gateway, sequence=send.what.sequence, text=found.reply)
        self._refused[send.gateway] = found.reply if isinstance(found, Seen) else ""
        if isinstance(found, Lost):
            self.line("unanswered", gateway=send.gateway, sequence=send.what.sequence, text=found.reason)

    def line(self, event: str, **fields: object) -> None:
        """Write one line."""
        if self._json:
            self._write(json.dumps({"time": self._clock(), "event": event, **fields}))
            return
        words = " ".join(f"{name}={_word(value)}" for name, value in fields.items() if value not in ("", None))
        self._write(f"{_time(self._clock())} {event} {words}".rstrip())


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(each in ' "=' or not each.isprintable() for each in text) else text


def _time(moment: int) -> str:
    seconds, rest = divmod(moment, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
