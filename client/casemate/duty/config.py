"""The officer's configuration: TOML in, a frozen value out, or all mistakes in one report."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from casemate.channel import Endpoint, TlsFiles
from casemate.duty.errors import ConfigError
from casemate.duty.model import Halt, Terms
from casemate.quorum.errors import QuorumError
from casemate.quorum.keys import read_key
from casemate.session import Pins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_UNITS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
_SECOND: Final = 1_000_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_PCR: Final = re.compile(r"pcr([0-9]|[12][0-9]|3[01])", re.ASCII)
_SHARE: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})", re.ASCII)
_MOST_SHARE: Final = 1_000_000
_NEEDS: Final = {
    "ALL": ((), ()),
    "ACCOUNT": (("account",), ()),
    "VENUE": (("venue",), ()),
    "SYMBOL": (("symbol",), ("account",)),
}
_BY: Final = "duty"
# A grant has to outlive its renewal at half time and what two clocks can differ.
_LEAST_MARGINS: Final = 4
_SHORTEST: Final = 2 * _SECOND
_LONGEST: Final = 3_600 * _SECOND


@dataclass(frozen=True, slots=True)
class Target:
    """One enclave host."""

    name: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the officer is told. The key is not shown."""

    terms: Terms
    pins: Pins
    targets: tuple[Target, ...]
    state: str
    witness: Path
    key: Ed25519PrivateKey
    poll_s: float
    timeout_s: float

    def __repr__(self) -> str:
        """Show no key."""
        return f"<Config of {self.terms.deployment}>"


def load(path: Path) -> Config:
    """Read a file; relative paths in it are relative to it. Raises ConfigError with every mistake."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is no TOML: {error}"]) from None
    reader = _Reader(path.parent, [])
    config = reader.config(_Table("", document, reader.mistakes))
    if config is None or reader.mistakes:
        raise ConfigError(reader.mistakes)
    return config


class _Reader:
    """Makes the values; what cannot be made is a mistake, and None."""

    def __init__(self, directory: Path, mistakes: list[str]) -> None:
        self._directory = directory
        self.mistakes = mistakes

    def config(self, top: _Table) -> Config | None:
        terms = self._terms(top)
        pins = self._pins(top.table("pins"), terms.deployment, terms.policy_version)
        targets = tuple(each for table in top.tables("gateway") if (each := self._target(table)))
        if len({each.name for each in targets}) != len(targets):
            top.mistake("gateway", [each.name for each in targets], "names, each once")
        state = top.text("state")
        if state and not state.startswith(("file:", "postgresql://", "postgres://")):
            top.mistake("state", state.partition(":")[0], "file:DIRECTORY or postgresql://...")
        if state.startswith("file:"):
            state = f"file:{self._directory / state.removeprefix('file:')}"
        witness = self._path(top.text("witness"))
        poll = top.duration("poll", "1s", _SECOND // 20, 10 * _SECOND)
        timeout = top.duration("timeout", "2s", _SECOND // 20, 60 * _SECOND)
        key = self._key(top)
        top.finish()
        if key is None or pins is None:
            return None
        return Config(terms, pins, targets, state, witness, key, poll / _SECOND, timeout / _SECOND)

    def _terms(self, top: _Table) -> Terms:
        length = top.duration("length", "60s", _SHORTEST, _LONGEST)
        margin = top.duration("clock_margin", "5s", 0, 60 * _SECOND)
        if length < _LEAST_MARGINS * margin:
            top.mistake("length", f"{length // 1_000_000}ms", f"at least {_LEAST_MARGINS} times clock_margin")
        accounts = tuple(sorted(top.names("accounts")))
        if len(set(accounts)) != len(accounts):
            top.mistake("accounts", list(accounts), "names, each once")
        return Terms(
            deployment=top.name("deployment"),
            accounts=accounts,
            share=top.share("share"),
            length=length,
            margin=margin,
            policy_version=top.whole("minimum_policy_version", 1),
            halts=tuple(each for table in top.tables("halt", least=0) if (each := _halt(table))),
        )

    def _pins(self, table: _Table, deployment: str, version: int) -> Pins | None:
        pcrs: dict[int, list[bytes]] = {}
        for name in table.keys_like(_PCR):
            pcrs[int(name.removeprefix("pcr"))] = table.digests(name)
        root = table.text("root", required=False)
        table.finish()
        if 0 not in pcrs:
            table.mistake("pcr0", None, "the measurements that are accepted: a list of texts of 96 hexadecimal digits")
            return None
        certificate = None
        if root:
            try:
                certificate = x509.load_pem_x509_certificate(self._path(root).read_bytes())
            except (OSError, ValueError):
                table.mistake("root", root, "a file with a certificate, PEM")
        return Pins(pcrs=pcrs, deployment=deployment, minimum_policy_version=version, root=certificate)

    def _target(self, table: _Table) -> Target | None:
        name, address = table.name("name"), table.text("address")
        plain = table.flag("insecure_plaintext_for_development")
        tls = None
        if table.has("tls"):
            files = table.table("tls")
            paths = [self._path(files.text(each)) for each in ("ca", "certificate", "key")]
            for path in paths:
                if not path.is_file():
                    files.mistake("", str(path), "a file that exists")
            files.finish()
            tls = TlsFiles(ca=paths[0], certificate=paths[1], key=paths[2])
        table.finish()
        try:
            return Target(name, Endpoint(target=address, tls=tls, insecure_plaintext_for_development=plain))
        except ValueError as error:
            table.mistake("address", address, str(error))
            return None

    def _key(self, top: _Table) -> Ed25519PrivateKey | None:
        text = top.text("key")
        try:
            return read_key(self._path(text)) if text else None
        except (OSError, QuorumError) as error:
            self.mistakes.append(f"key: {error}")
            return None

    def _path(self, text: str) -> Path:
        return self._directory / text


def _halt(table: _Table) -> Halt | None:
    scope = table.text("scope").upper()
    said = {name: table.text(name, required=False) for name in ("account", "venue", "symbol")}
    table.finish()
    if scope not in _NEEDS:
        table.mistake("scope", scope, f"one of {', '.join(_NEEDS)}")
        return None
    needed, allowed = _NEEDS[scope]
    for name, value in said.items():
        if (name in needed and not value) or (value and name not in (*needed, *allowed)):
            table.mistake(name, value, f"{'a name' if name in needed else 'nothing'} for scope {scope}")
    return Halt(scope, said["account"], said["venue"], said["symbol"], _BY)


class _Table:
    """One TOML table: hands out checked values, collects mistakes, and knows what nobody asked for."""

    def __init__(self, path: str, values: Mapping[str, Any], mistakes: list[str]) -> None:
        self._path = path
        self._values = values
        self._mistakes = mistakes
        self._asked: set[str] = set()

    def mistake(self, name: str, value: object, expected: str) -> None:
        dotted = ".".join(each for each in (self._path, name) if each)
        self._mistakes.append(f"{dotted}: {'missing' if value in (None, '') else repr(value)}: expected {expected}")

    def finish(self) -> None:
        for name in self._values:
            if name not in self._asked:
                self._mistakes.append(f"{'.'.join(filter(None, (self._path, name)))}: is not a known setting")

    def has(self, name: str) -> bool:
        return self._get(name) is not None

    def _get(self, name: str) -> Any:  # noqa: ANN401 - a TOML value; every caller checks it
        self._asked.add(name)
        return self._values.get(name)

    def keys_like(self, pattern: re.Pattern[str]) -> list[str]:
        return [name for name in self._values if pattern.fullmatch(name)]

    def text(self, name: str, *, required: bool = True) -> str:
        value = self._get(name)
        if (isinstance(value, str) and value) or (value is None and not required):
            return value or ""
        self.mistake(name, value, "a text")
        return ""

    def name(self, name: str) -> str:
        value = self.text(name)
        if value and not _NAME.fullmatch(value):
            self.mistake(name, value, "1 to 64 of A-Z, a-z, 0-9, _ and -")
        return value

    def names(self, name: str) -> list[str]:
        value = self._get(name)
        if isinstance(value, list) and value and all(isinstance(each, str) and _NAME.fullmatch(each) for each in value):
            return value
        self.mistake(name, value, "a list of names, at least one")
        return []

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if value is not None and not isinstance(value, bool):
            self.mistake(name, value, "true or false")
        return value is True

    def whole(self, name: str, default: int) -> int:
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 1 << 63:
            return value
        self.mistake(name, value, "a whole number from 1 on")
        return default

    def share(self, name: str) -> tuple[int, int]:
        value = self.text(name)
        match = _SHARE.fullmatch(value)
        share = (int(match[1]), int(match[2])) if match else (0, 0)
        if 1 <= share[0] <= share[1] <= _MOST_SHARE:
            return share
        if value:
            self.mistake(name, value, 'a share such as "1/4", at most "1/1"')
        return 1, 1

    def duration(self, name: str, default: str, least: int, most: int) -> int:
        value = self._get(name) if self.has(name) else default
        match = re.fullmatch(r"([0-9]{1,7})(ms|s|m)", value) if isinstance(value, str) else None
        found = int(match[1]) * _UNITS[match[2]] if match else -1
        if least <= found <= most:
            return found
        self.mistake(name, value, f'a time such as "{default}", from {least // 10**6}ms to {most // 10**6}ms')
        return least

    def digests(self, name: str) -> list[bytes]:
        value = self._get(name)
        if isinstance(value, list) and value and all(re.fullmatch("[0-9a-fA-F]{96}", str(each)) for each in value):
            return [bytes.fromhex(each) for each in value]
        self.mistake(name, value, "a list of texts of 96 hexadecimal digits, at least one")
        return [bytes(48)]

    def table(self, name: str) -> _Table:
        value = self._get(name)
        if not isinstance(value, dict):
            self.mistake(name, value, "a table")
            value = {}
        return _Table(name if not self._path else f"{self._path}.{name}", value, self._mistakes)

    def tables(self, name: str, *, least: int = 1) -> list[_Table]:
        value = self._get(name)
        if value is None and not least:
            return []
        if not isinstance(value, list) or len(value) < least or not all(isinstance(each, dict) for each in value):
            self.mistake(name, value, f"tables [[{name}]]")
            return []
        return [_Table(f"{name}[{index}]", each, self._mistakes) for index, each in enumerate(value)]
