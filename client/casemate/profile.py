"""A profile: one TOML file that says where the gateway is, who the engine is, and which enclave is meant.

    gateway = "unix:/run/casemate/gateway.sock"
    engine = "mm-1"
    key = "mm-1.key"                  # Ed25519, PEM, readable by its owner alone

    [pins]
    deployment = "prod"
    minimum_policy_version = 7        # default 1
    max_age = "60s"                   # of the attestation document; default 60s
    root = "root.pem"                 # stand-ins only; default AWS's own root
    quorum = ["9f86..."]              # SHA-256 of quorum.cbor, or several; default any
    [pins.pcrs]
    0 = "4b3a..."                     # or a list, so that an upgrade can be prepared

Paths are relative to the file. A file that holds ``[pins]`` alone is one too: ``casemate --pins`` takes it. TCP
needs ``[tls]`` with ``ca``, ``certificate`` and ``key``. Every mistake is in one error.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from casemate.channel import Endpoint, TlsFiles
from casemate.errors import CasemateError
from casemate.quorum.errors import QuorumError
from casemate.quorum.keys import read_key
from casemate.session import AttestedSealer, Pins

_TOP: Final = ("gateway", "engine", "key", "pins", "tls", "listen")
_PINS: Final = ("deployment", "minimum_policy_version", "max_age", "root", "quorum", "pcrs")
_TLS: Final = ("ca", "certificate", "key")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PCR: Final = re.compile(r"[0-9a-f]{96}", re.ASCII)
_INDEX: Final = re.compile(r"[0-9]|[12][0-9]|3[01]", re.ASCII)
_SECONDS: Final = re.compile(r"([1-9][0-9]{0,3})s", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MS: Final = 1_000


class ProfileError(CasemateError, ValueError):
    """A profile that cannot be used; the text names the file and every mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the file says; a part that it leaves out is None (or empty)."""

    path: Path
    endpoint: Endpoint | None = None
    engine: str = ""
    key: Path | None = None
    pins: Pins | None = None
    # Where `casemate agent` serves.
    listen: str = ""

    def gateway(self) -> Endpoint:
        """Return where the gateway is; raises ProfileError where the file does not say."""
        if self.endpoint is None:
            raise ProfileError(f"{self.path}: gateway: missing")
        return self.endpoint

    def sealer(self, *, alone: bool = False) -> AttestedSealer:
        """Return what seals for the engine; raises ProfileError where the file lacks something, or for its key."""
        missing = [name for name in ("engine", "key", "pins") if not getattr(self, name)]
        if missing or self.key is None or self.pins is None:
            raise ProfileError(f"{self.path}: {', '.join(missing)}: missing")
        return engine_sealer(self.engine, self.key, self.pins, alone=alone)


def engine_sealer(engine: str, key: Path, pins: Pins, *, alone: bool = False) -> AttestedSealer:
    """Return what seals for an engine with the key of a file; raises ProfileError."""
    try:
        return AttestedSealer(engine, read_key(key).sign, pins, alone=alone)
    except OSError as error:
        raise ProfileError(str(error)) from None
    except QuorumError as error:
        raise ProfileError(str(error)) from None


def read_profile(path: Path | str) -> Profile:
    """Read a profile; raises ProfileError."""
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(str(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: {error}") from None
    reader = _Reader(path)
    profile = reader.profile(raw)
    if reader.mistakes:
        raise ProfileError("\n".join(f"{path}: {mistake}" for mistake in reader.mistakes))
    return profile


class _Reader:
    """Reads one file and collects its mistakes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.mistakes: list[str] = []

    def profile(self, raw: dict[str, Any]) -> Profile:
        self._known("", raw, _TOP)
        gateway, engine = self._text(raw, "gateway"), self._text(raw, "engine")
        if engine and not _NAME.fullmatch(engine):
            self.mistakes.append(f'engine: "{engine}": expected 1 to 64 characters of A-Z a-z 0-9 _ -')
        return Profile(
            path=self._path,
            endpoint=self._endpoint(gateway, raw.get("tls")),
            engine=engine,
            key=self._file(raw, "key"),
            pins=self._pins(raw["pins"]) if "pins" in raw else None,
            listen=self._text(raw, "listen"),
        )

    def _endpoint(self, gateway: str, tls: object) -> Endpoint | None:
        files = None
        if tls is not None:
            paths = self._table("tls", tls, _TLS)
            files = TlsFiles(**{name: self._beside(self._text(paths, name, "tls.", needed=True)) for name in _TLS})
        if not gateway:
            return None
        try:
            return Endpoint(target=gateway, tls=files)
        except ValueError as error:
            self.mistakes.append(str(error))
            return None

    def _pins(self, raw: object) -> Pins | None:
        table = self._table("pins", raw, _PINS)
        before = len(self.mistakes)
        deployment = self._text(table, "deployment", "pins.", needed=True)
        version = table.get("minimum_policy_version", 1)
        if type(version) is not int or version < 1:
            self.mistakes.append("pins.minimum_policy_version: expected a whole number from 1")
        age = _SECONDS.fullmatch(str(table.get("max_age", "60s")))
        if age is None:
            self.mistakes.append('pins.max_age: expected seconds such as "60s"')
        pcrs, root, quorum = self._pcrs(table.get("pcrs")), self._root(table), self._quorum(table)
        if len(self.mistakes) > before or age is None:
            return None
        return Pins(
            pcrs=pcrs,
            deployment=deployment,
            minimum_policy_version=version,
            quorum=quorum,
            max_age_ms=int(age[1]) * _MS,
            root=root,
        )

    def _pcrs(self, raw: object) -> dict[int, tuple[bytes, ...]]:
        found: dict[int, tuple[bytes, ...]] = {}
        for index, value in (raw if isinstance(raw, dict) else {}).items():
            values = value if isinstance(value, list) and value else [value]
            if not _INDEX.fullmatch(index) or not all(isinstance(one, str) and _PCR.fullmatch(one) for one in values):
                self.mistakes.append(f"pins.pcrs.{index}: expected a register (0 to 31) and 96 hexadecimal digits")
                continue
            found[int(index)] = tuple(map(bytes.fromhex, values))
        if 0 not in found and not any(mistake.startswith("pins.pcrs.0:") for mistake in self.mistakes):
            self.mistakes.append("pins.pcrs.0: missing: PCR0, the measurement of the image, must be pinned")
        return found

    def _quorum(self, table: dict[str, Any]) -> frozenset[bytes] | None:
        if "quorum" not in table:
            return None
        raw = table["quorum"]
        values = raw if isinstance(raw, list) and raw else [raw]
        if not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in values):
            self.mistakes.append("pins.quorum: expected the SHA-256 of quorum.cbor, 64 hexadecimal digits, or a list")
            return None
        return frozenset(map(bytes.fromhex, values))

    def _root(self, table: dict[str, Any]) -> x509.Certificate | None:
        file = self._file(table, "root", "pins.")
        if file is None:
            return None
        try:
            return x509.load_pem_x509_certificate(file.read_bytes())
        except OSError as error:
            self.mistakes.append(f"pins.root: {error}")
        except ValueError:
            self.mistakes.append(f"pins.root: {file}: expected a certificate in PEM")
        return None

    def _table(self, name: str, raw: object, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self.mistakes.append(f"{name}: expected a table")
            return {}
        self._known(f"{name}.", raw, known)
        return raw

    def _known(self, prefix: str, raw: dict[str, Any], known: tuple[str, ...]) -> None:
        self.mistakes += [f"{prefix}{name}: no such key; there are {', '.join(known)}" for name in raw.keys() - known]

    def _text(self, raw: dict[str, Any], name: str, prefix: str = "", *, needed: bool = False) -> str:
        value = raw.get(name, "")
        if not isinstance(value, str) or (needed and not value):
            self.mistakes.append(f"{prefix}{name}: expected text")
            return ""
        return value

    def _file(self, raw: dict[str, Any], name: str, prefix: str = "") -> Path | None:
        text = self._text(raw, name, prefix)
        return self._beside(text) if text else None

    def _beside(self, text: str) -> Path:
        return self._path.parent / text
