"""Looking for secrets in heaps of bytes, in every form in which they could have leaked."""

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote_from_bytes

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

# Shorter needles would be found by chance, and no encoding here makes any shorter than this.
SHORTEST = 14


def forms(secret: bytes) -> set[bytes]:
    """Return a secret raw, in hexadecimal, in base64 at each of the three alignments, and URL-encoded."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), quote_from_bytes(secret, safe="").encode()}
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret)
        # Only the characters that depend on nothing but the secret.
        middle = whole[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        found |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_"), quote_from_bytes(middle, safe="").encode()}
    assert min(map(len, found)) >= SHORTEST
    return found


def key_material(fields: Mapping[str, str]) -> dict[str, set[bytes]]:
    """Return everything that would give a credential away, by what it is. API key and passphrase travel in clear."""
    text = fields["secret"]
    material = {"the secret as given": forms(text.encode())}
    if "-----BEGIN" in text:
        key = serialization.load_pem_private_key(text.encode(), None)
        material |= {name: forms(raw) for name, raw in _private(key)}
    elif _is_base64(text):
        material["the secret decoded"] = forms(base64.b64decode(text))
    return material


def _private(key: object) -> Iterable[tuple[str, bytes]]:
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    yield (
        "the DER of the key",
        key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    if isinstance(key, ec.EllipticCurvePrivateKey):
        yield "the private scalar", key.private_numbers().private_value.to_bytes(32, "big")
    else:
        yield (
            "the seed",
            key.private_bytes(
                serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
            ),
        )


def _is_base64(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9+/]{40,}={0,2}", text)) and not re.fullmatch(r"[0-9a-f]+", text)


def memory_of(pid: int) -> bytes:
    """Return all readable memory of a process (Linux, proc(5))."""
    pieces = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            place, rights, *rest = line.split()
            if "r" not in rights or (rest[3:] and rest[3] in {"[vvar]", "[vsyscall]", "[vvar_vclock]"}):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            try:
                memory.seek(start)
                pieces.append(memory.read(end - start))
            except (OSError, OverflowError):
                continue  # a mapping that went away, or device memory
    return b"".join(pieces)


def leaks(heaps: Mapping[str, bytes], secrets: Mapping[str, Mapping[str, set[bytes]]]) -> list[str]:
    """Name each secret that is in a heap, without showing it."""
    return [
        f"{what} of {account} is in {place}"
        for place, heap in heaps.items()
        for account, material in secrets.items()
        for what, needles in material.items()
        if any(needle in heap for needle in needles)
    ]
