"""Whose key files are read."""

from __future__ import annotations

import os

import pytest

from casemate.quorum.keys import _others_can_read


def status(mode: int, owner: int, group: int) -> os.stat_result:
    return os.stat_result((0o100000 | mode, 1, 1, 1, owner, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "owner", "group", "open_to_others"),
    [
        (0o600, 1000, 1000, False),
        (0o400, 0, 0, False),
        (0o440, 0, 0, False),  # systemd's LoadCredential
        (0o440, 0, 1000, True),
        (0o440, 1000, 0, True),
        (0o460, 0, 0, True),
        (0o444, 0, 0, True),
        (0o644, 1000, 1000, True),
    ],
)
def test_a_key_is_its_owner_s_alone_or_one_that_systemd_hands_over(
    mode: int, owner: int, group: int, *, open_to_others: bool
) -> None:
    assert _others_can_read(status(mode, owner, group)) is open_to_others
