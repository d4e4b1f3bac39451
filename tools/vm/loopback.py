"""Part (a): host and enclave in one guest, joined by a real kernel's vsock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.quorum.files import quorum_bytes
from tools.vm.machines import ParentGuest
from tools.vm.report import demand, expect

if TYPE_CHECKING:
    from pathlib import Path

    from tools.vm.parts import Machine
    from tools.vm.report import Report

_VSOCK: Final = "vsock:1:5005"
_UNIX: Final = "unix:/tmp/casemate/beside.sock"
_ORDERS: Final = 40
_TRIPS: Final = 150
_HALF_OPEN: Final = 64


def run(machine: Machine, ramdisk: Path, folder: Path, report: Report) -> None:
    """Run all steps; raises what the first failing one raised."""
    report.part("(a) host and enclave in one guest, over AF_VSOCK loopback")
    with report.step("a guest boots with vsock loopback") as found:
        guest = ParentGuest(machine.qemu, machine.kernel, ramdisk, folder)
        found.append(f"kernel {guest.call('kernel')}, Python as PID 1")
    with guest:
        _steps(guest, report)


def _steps(guest: Any, report: Report) -> None:  # noqa: ANN401 - a guest, or what a test puts in its place
    admins = [Ed25519PrivateKey.generate() for _ in range(3)]
    quorum = quorum_bytes("demo", 2, [key.public_key().public_bytes_raw().hex() for key in admins]).hex()
    with report.step("an enclave service listens on vsock, another on a unix socket") as found:
        venues = guest.call("venues")
        pins = guest.call("mock_enclave", name="enclave", listen=_VSOCK, quorum=quorum)
        guest.call("mock_enclave", name="beside", listen=_UNIX, quorum=quorum)
        found.append(f"source-built grpcio serves {_VSOCK}; {len(venues)} simulated venues")
    with report.step("round trips over vsock and over a unix socket") as found:
        vsock, unix = guest.call("round_trips", addresses=[_VSOCK, _UNIX], count=_TRIPS)
        found.append(
            f"status call, p50 of {_TRIPS} by turns: vsock {vsock} ms, unix {unix} ms: ratio {vsock / unix:.2f}"
        )
        found.append("both on an emulated processor: only the ratio says anything")
    with report.step("signed orders through the host to a simulated venue") as found:
        guest.call("host", enclave=_VSOCK)
        guest.call("pin", pcr0=pins["pcrs"]["0"], root=pins["root"])
        loaded = guest.call("load", admins=[key.private_bytes_raw().hex() for key in admins[1:]])
        found.append(f"two of three administrators; credential sealed to the boot's attested key: {loaded['phase']}")
        guest.call("trust")
        on_duty(guest, found)
        orders(guest, found, _ORDERS)
    hardships(guest, report, 1, 5005)
    with report.step("the receipts in the host's journal") as found:
        said = guest.call("audit", pcr0=pins["pcrs"]["0"], root=pins["root"])
        expect((said["code"], said["problems"]), (0, []), "casemate audit verify")
        (boot,) = said["boots"]
        found.append(
            f"casemate audit verify: sound; {boot['receipts']} receipts, {boot['heads']} heads, "
            f"{boot['witnessed']} seen by the officer"
        )


def on_duty(guest: Any, found: list[str]) -> None:  # noqa: ANN401 - as above
    """See an order refused for want of a grant, and start the officer."""
    refused = guest.call("one_order")
    demand(holds=refused.startswith("refused: duty"), what=f"an order without a grant: {refused}")
    grant = guest.call("duty")
    found.append(f"before the first grant an order is {refused[:13]}; now the officer's grant {grant} is in force")


def orders(guest: Any, found: list[str], count: int) -> None:  # noqa: ANN401 - as above
    """Send orders, and count them at the venue itself."""
    before = guest.call("at_venue")
    sent = guest.call("orders", count=count)
    expect(sent["states"], ["open"], "states of the orders")
    expect(guest.call("at_venue") - before, count, "orders at the venue")
    found.append(f"{count} orders in attested sessions, all resting at the venue; p50 {sent['p50_ms']} ms")


def hardships(guest: Any, report: Report, cid: int, port: int) -> None:  # noqa: ANN401 - as above
    """Nobody there, half-open connections, and an answer that nobody reads."""
    with report.step("a port on which nobody listens") as found:
        expect(guest.call("nobody", cid=cid, port=5999), "UNAVAILABLE", "status")
        found.append("UNAVAILABLE, and no hang")
    with report.step("half-open connections") as found:
        count = guest.call("half_open", cid=cid, port=port, count=_HALF_OPEN)
        expect(guest.call("one_order"), "open", "an order beside them")
        guest.call("hang_up")
        expect(guest.call("one_order"), "open", "an order after them")
        found.append(f"{count} silent connections held open: orders go on, and go on when they are gone")
    with report.step("back-pressure") as found:
        flood = guest.call("flood", address=f"vsock:{cid}:{port}", most=2_000)
        # A first request that does not get through would be a broken line, not a full one.
        demand(holds=flood["stalled"] and flood["written"] > 0, what=f"no halt, or nothing but a halt: {flood}")
        expect(guest.call("one_order"), "open", "an order beside it")
        found.append(
            f"a peer that reads no answers is halted after {flood['written']} requests of 8 KiB; others are served"
        )
