"""The hash-locked lists are what the pyproject files ask for, and name no source of wheels."""

import re

import pytest

from tools import lock

# Everything in the enclave's list is trusted code and measured with the image. Whoever lengthens this list says why
# in docs/adr.
TRUSTED = {
    "cbor2",
    "cffi",  # by cryptography
    "cryptography",
    "grpcio",
    "protobuf",
    "pycparser",  # by cffi
    "typing-extensions",  # by grpcio
}

LISTS = lock.locks()


def test_the_lists_agree_with_what_the_distributions_ask_for() -> None:
    assert lock.mistakes() == []


@pytest.mark.parametrize("held", LISTS, ids=lambda held: held.path)
def test_a_list_names_no_index_no_host_and_no_path(held: lock.Lock) -> None:
    assert not re.search(r"://|--(?!hash=)|/|@", held.file.read_text().replace("`make lock`", ""))


def test_the_enclave_trusts_a_short_list() -> None:
    (enclave,) = [held for held in LISTS if held.path == "enclave/requirements.lock"]
    assert set(lock.entries(enclave.file.read_text())) == TRUSTED


HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    "line",
    [
        "grpcio==1.85.1",
        f"grpcio>=1.85.1 {HASH}",
        f"grpcio {HASH}",
        f"grpcio @ file:///wheels/grpcio.whl {HASH}",
        "grpcio==1.85.1 --hash=md5:00",
        "--index-url=https://mirror.example/simple",
        "--find-links wheels",
        "-e enclave",
        f"grpcio==1.85.1 {HASH}\ngrpcio==1.85.0 {HASH}",
    ],
)
def test_anything_but_a_pinned_and_hashed_line_is_seen(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a pinned and hashed line|stands twice"):
        lock.entries(line)
