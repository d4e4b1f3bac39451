"""The policy's ``duty`` (S13): from whom the right to make new orders comes, and for how long at a time.

``daemon``: from grants that the holder of ``key``, off the host, signs for this boot. ``on_parent``: from nobody;
who runs everything on one machine says so here, and has none of what grants prevent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from enclave_signer.points import is_sound
from enclave_signer.policy.model import Duty, DutyMode

if TYPE_CHECKING:
    from collections.abc import Collection

    from enclave_signer.policy.fields import Fields

# A grant shorter than this would be a denial of service by itself; a longer one no fence.
SHORTEST_MS: Final = 10_000
LONGEST_MS: Final = 3_600_000
_MODES: Final = {each.value: each for each in DutyMode}
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY_EXPECTED: Final = "an Ed25519 public key, 64 hexadecimal digits in lower case"
_EMPTY: Final = re.compile("")
_PCR0: Final = re.compile(r"(?!0{96})[0-9a-f]{96}", re.ASCII)
_NOBODY: Final = Duty(DutyMode.ON_PARENT, b"", 0, frozenset())


def read_duty(fields: Fields, engine_keys: Collection[bytes]) -> Duty:
    """Read the map; an engine's key cannot be the duty key, or an engine could grant itself."""
    mode = fields.member("mode", _MODES)
    if mode is DutyMode.ON_PARENT:
        fields.text("key", _EMPTY, "nothing with mode on_parent")
        fields.whole("longest_ms", 0, 0)
        fields.texts("predecessors", _EMPTY, "none with mode on_parent", most=0)
        fields.close()
        return _NOBODY
    key = bytes.fromhex(fields.text("key", _KEY, _KEY_EXPECTED))
    if key and (key in engine_keys or not is_sound(key)):
        fields.wrong("key", key.hex(), "a sound Ed25519 public key that is no engine's")
    longest = fields.whole("longest_ms", SHORTEST_MS, LONGEST_MS)
    expected = "PCR0 of an image, 96 hexadecimal digits in lower case and not all zero"
    predecessors = fields.texts("predecessors", _PCR0, expected, most=64)
    fields.close()
    return Duty(mode, key, longest, frozenset(bytes.fromhex(each) for each in predecessors))
