"""The configuration file: TOML in, a frozen value out, or all mistakes in one report."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from host_dispatch.addresses import Address, parse_address
from host_dispatch.dispatcher.retry import RetryPlan
from host_dispatch.dispatcher.settings import DispatchSettings, VenueSettings
from host_dispatch.provisioning.kms import KmsSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LEVELS: Final = ("debug", "info", "warning", "error")
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000


class ConfigError(Exception):
    """The file cannot be used. ``mistakes`` has one line each: dotted path, value, what was expected."""

    def __init__(self, mistakes: list[str]) -> None:
        """All of them."""
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Tls:
    """Files, PEM. Clients need a certificate that ``client_ca`` signed."""

    certificate: Path
    key: Path
    client_ca: Path


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the host is told."""

    listen: tuple[Address, ...]
    enclave: Address
    journal: Path
    durability: str
    tls: Tls | None = None
    insecure_plaintext_tcp: bool = False
    socket_mode: int = 0o600
    enclave_timeout_ms: int = 2_000
    max_unanswered: int = 1_024
    watch_buffer: int = 8_192
    drain_ms: int = 10_000
    log_level: str = "info"
    # HOST:PORT where Prometheus scrapes; None: no metrics.
    metrics: Address | None = None
    # Whether OpenTelemetry traces are made (the extra "traces").
    traces: bool = False
    dispatch: DispatchSettings = field(default_factory=DispatchSettings)
    kms: KmsSettings | None = None
    bundles: tuple[Path, ...] = ()


def load(path: Path, venues: Mapping[str, Collection[str]]) -> Config:
    """Read a file. ``venues``: what the host knows, with the names of their rate limits. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is no TOML: {error}"]) from error
    return parse(document, venues)


def parse(document: Mapping[str, object], venues: Mapping[str, Collection[str]]) -> Config:
    """Check a whole document; raises ConfigError with every mistake in it."""
    mistakes: list[str] = []
    top = _Table("", document, mistakes)
    config = _config(top, venues)
    top.finish()
    _check_tcp(config, mistakes)
    enclave = config.enclave.text
    # What comes back are signed requests, in clear: they are not for a network.
    if config.enclave.is_tcp and enclave and not enclave.startswith("127.0.0.1:"):
        mistakes.append(f"enclave: {enclave!r}: expected unix:/absolute/path, vsock:CID:PORT or 127.0.0.1:PORT")
    if mistakes:
        raise ConfigError(mistakes)
    return config


def _config(top: _Table, venues: Mapping[str, Collection[str]]) -> Config:
    journal, limits = top.table("journal", required=True), top.table("limits")
    config = Config(
        listen=tuple(top.addresses("listen")),
        enclave=top.address("enclave"),
        journal=journal.path("path"),
        durability=journal.choice("durability", ("full", "normal"), "full"),
        tls=_tls(top),
        insecure_plaintext_tcp=top.flag("insecure_plaintext_tcp_for_development"),
        socket_mode=top.mode("socket_mode", 0o600),
        enclave_timeout_ms=top.integer("enclave_timeout_ms", 2_000, 10, _MINUTE_MS),
        max_unanswered=limits.integer("max_unanswered", 1_024, 64, 65_536),
        watch_buffer=limits.integer("watch_buffer", 8_192, 64, 1_048_576),
        drain_ms=top.integer("drain_ms", 10_000, 0, 10 * _MINUTE_MS),
        log_level=top.choice("log_level", _LEVELS, "info"),
        metrics=_metrics(top),
        traces=top.flag("traces"),
        dispatch=_dispatch(top, venues),
        kms=_kms(top),
        bundles=_bundles(top),
    )
    journal.finish()
    limits.finish()
    return config


def _metrics(top: _Table) -> Address | None:
    if not top.has("metrics"):
        return None
    table = top.table("metrics")
    address = table.address("listen")
    if address.text and not address.is_tcp:
        table.mistake("listen", address.text, "HOST:PORT")
    table.finish()
    return address


def _tls(top: _Table) -> Tls | None:
    if not top.has("tls"):
        return None
    table = top.table("tls")
    tls = Tls(
        certificate=table.readable("certificate"), key=table.readable("key"), client_ca=table.readable("client_ca")
    )
    table.finish()
    return tls


def _kms(top: _Table) -> KmsSettings | None:
    if not top.has("kms"):
        return None
    table = top.table("kms")
    settings = KmsSettings(
        region=table.text("region") if table.has("region") else None,
        endpoint_url=table.base_url("endpoint_url") if table.has("endpoint_url") else None,
        connect_timeout_ms=table.integer("connect_timeout_ms", 3_000, 100, _MINUTE_MS),
        read_timeout_ms=table.integer("read_timeout_ms", 10_000, 100, _MINUTE_MS),
    )
    table.finish()
    return settings


def _bundles(top: _Table) -> tuple[Path, ...]:
    table = top.table("provisioning")
    bundles = tuple(Path(text) for text in table.texts("bundles"))
    if bundles and not top.has("kms"):
        table.mistake("bundles", [str(path) for path in bundles], "a [kms] table beside it")
    table.finish()
    return bundles


def _dispatch(top: _Table, venues: Mapping[str, Collection[str]]) -> DispatchSettings:
    table = top.table("dispatch")
    first = table.integer("resolve_first_ms", 250, 1, _MINUTE_MS)
    settings = DispatchSettings(
        connections=table.integer("connections", 8, 1, 256),
        cancel_connections=table.integer("cancel_connections", 2, 1, 64),
        timeout_ms=table.integer("timeout_ms", 10_000, 100, 2 * _MINUTE_MS),
        queue=table.integer("queue", 4_096, 1, 1_048_576),
        resolve=RetryPlan(1_000_000, first, max(first, table.integer("resolve_longest_ms", 5_000, 1, _HOUR_MS))),
        resolve_for_ms=table.integer("resolve_for_ms", 180_000, 1, _HOUR_MS),
        not_found_margin_ms=table.integer("not_found_margin_ms", 2_000, 0, _HOUR_MS),
        recovery_ms=table.integer("recovery_ms", 30_000, 0, _HOUR_MS),
        venues=_venues(top.table("venues"), venues),
    )
    table.finish()
    return settings


def _venues(table: _Table, known: Mapping[str, Collection[str]]) -> dict[str, VenueSettings]:
    found = {}
    for name in table.names():
        if name not in known:
            table.mistake(name, name, f"one of {', '.join(sorted(known))}")
        venue = table.table(name)
        connect = venue.base_urls("connect")
        found[name] = VenueSettings(
            connect=connect,
            connections=venue.optional_integer("connections", 1, 256),
            not_found_margin_ms=venue.optional_integer("not_found_margin_ms", 0, _HOUR_MS),
            limits=venue.integers("limits", known.get(name, ())),
            warm=tuple(venue.texts("warm")) or tuple(connect),
        )
        venue.finish()
    table.finish()
    return found


def _check_tcp(config: Config, mistakes: list[str]) -> None:
    open_tcp = [address.text for address in config.listen if address.is_tcp]
    if open_tcp and config.tls is None and not config.insecure_plaintext_tcp:
        mistakes.append(
            f"listen: {open_tcp[0]!r} is TCP: expected a [tls] table with certificate, key and client_ca "
            "(or insecure_plaintext_tcp_for_development = true, which lets anybody on the network trade)"
        )
    mistakes.extend(
        f"listen: {address.text!r}: expected unix:/path or HOST:PORT"
        for address in config.listen
        if address.text.startswith("vsock:")
    )


class _Table:
    """One TOML table: hands out checked values, collects mistakes, and knows what nobody asked for."""

    def __init__(self, path: str, values: Mapping[str, object], mistakes: list[str]) -> None:
        self._path = path
        self._values = values
        self._mistakes = mistakes
        self._asked: set[str] = set()

    def mistake(self, name: str, value: object, expected: str) -> None:
        self._mistakes.append(f"{self._dotted(name)}: {value!r}: expected {expected}")

    def _dotted(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def get(self, name: str) -> object:
        self._asked.add(name)
        return self._values.get(name)

    def has(self, name: str) -> bool:
        return self.get(name) is not None

    def names(self) -> list[str]:
        return list(self._values)

    def finish(self) -> None:
        for name in self._values:
            if name not in self._asked:
                known = ", ".join(sorted(self._asked))
                self._mistakes.append(f"{self._dotted(name)}: is not a known setting; there are {known}")

    def table(self, name: str, *, required: bool = False) -> _Table:
        value = self.get(name)
        if value is None and not required:
            value = {}
        if not isinstance(value, dict):
            self.mistake(name, value, "a table")
            value = {}
        return _Table(self._dotted(name), value, self._mistakes)

    def text(self, name: str) -> str:
        value = self.get(name)
        if isinstance(value, str) and value:
            return value
        self.mistake(name, value, "a text")
        return ""

    def texts(self, name: str) -> list[str]:
        value = self.get(name)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return value
        self.mistake(name, value, "a list of texts")
        return []

    def address(self, name: str) -> Address:
        return self._address(name, self.text(name)) or Address("")

    def addresses(self, name: str) -> list[Address]:
        texts = self.texts(name)
        if not texts:
            self.mistake(
                name, self._values.get(name), 'a list of addresses, such as ["unix:/run/casemate/gateway.sock"]'
            )
        return [address for text in texts if (address := self._address(name, text))]

    def _address(self, name: str, text: str) -> Address | None:
        found = parse_address(text)
        if found is None and text:
            self.mistake(name, text, "unix:/absolute/path, vsock:CID:PORT or HOST:PORT")
        return found

    def path(self, name: str) -> Path:
        return Path(self.text(name))

    def readable(self, name: str) -> Path:
        path = self.path(name)
        if str(path) != "." and not path.is_file():
            self.mistake(name, str(path), "a file that exists")
        return path

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.mistake(name, value, "true or false")
        return False

    def choice(self, name: str, options: tuple[str, ...], default: str) -> str:
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value in options:
            return value
        self.mistake(name, value, " or ".join(options))
        return default

    def mode(self, name: str, default: int) -> int:
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, str) and len(value) in (3, 4) and set(value) <= set("01234567"):
            return int(value, 8)
        self.mistake(name, value, 'an octal mode as a text, such as "0660"')
        return default

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.mistake(name, value, f"a whole number from {least} to {most}")
        return None

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self.optional_integer(name, least, most)
        return default if value is None else value

    def integers(self, name: str, known: Collection[str]) -> dict[str, int]:
        table = self.table(name)
        for key in table.names():
            if key not in known:
                table.mistake(key, table.get(key), f"one of {', '.join(sorted(known))}")
        return {key: table.integer(key, 1, 1, 10**9) for key in table.names()}

    def base_urls(self, name: str) -> dict[str, str]:
        table = self.table(name)
        found = {}
        for authority in table.names():
            found[authority] = table.base_url(authority)
        return found

    def base_url(self, name: str) -> str:
        url = self.text(name)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
            self.mistake(name, url, "http://HOST:PORT or https://HOST:PORT, without a path")
        return url
