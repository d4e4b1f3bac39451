"""What stands beside a sealed file: its meaning in words, with which a direct one is approved without being shown."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from typing import Any, Final

from casemate.provisioning.bundles import DIRECT, KMS, MAX_FILE, Label, Sealed, read
from casemate.provisioning.errors import SealError

FORMAT: Final = "casemate.bundle.description.v1"
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f\x7f-\uffff]*')
_WAYS: Final = {KMS: "through KMS, opened for attested enclaves alone", DIRECT: "to be sealed to one boot's own key"}


def description(sealed: Sealed) -> str:
    """Write it down; raises SealError for names that no policy can have."""
    label = sealed.label
    fields: dict[str, str | int] = {
        "format": FORMAT,
        "sealed": sealed.kind,
        "deployment": label.deployment,
        "account": label.account,
        "version": label.version,
        "created": label.created,
        "sha256": sealed.subject.hex(),
    }
    if sealed.key_id:
        fields["key_id"] = sealed.key_id
    lines = "".join(f"{name} = {_shown(value)}\n" for name, value in fields.items())
    return (
        f"# CREDENTIAL version {label.version} of account {label.account}, deployment {label.deployment},\n"
        f"# {_WAYS[sealed.kind]}. Made {_time(label.created)}.\n"
        "# Administrators approve the file whose sha256 this is: `casemate credential sign`.\n"
        f"{lines}"
    )


def read_any(data: bytes) -> Sealed:
    """Read a sealed file, or the description of one that is sealed directly; raises SealError."""
    if not data.startswith(b"#"):
        return read(data)
    message = "expected a description that `casemate seal` wrote"
    try:
        text = data[:MAX_FILE].decode()
        said = tomllib.loads(text)
        label = Label(**{name: said[name] for name in ("deployment", "account", "version", "created")})
        sealed = Sealed(said["sealed"], label, bytes.fromhex(said["sha256"]), said.get("key_id", ""))
        same = description(sealed) == text.replace("\r\n", "\n")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SealError(message) from None
    if not same:
        message = "the words in the file are not what its fields say"
        raise SealError(message)
    if sealed.kind != DIRECT:
        message = "this describes a bundle of KMS's: name the bundle itself"
        raise SealError(message)
    return sealed


def _shown(value: Any) -> str:  # noqa: ANN401 - of a file that anybody may have written
    if type(value) is int:
        return str(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return f'"{value}"'
    message = "a description holds whole numbers and plain text only"
    raise SealError(message)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat().replace("+00:00", "Z")
