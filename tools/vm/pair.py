"""Part (b): our image on an emulated Nitro machine, a parent guest with context id 3 beside it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.quorum.files import quorum_bytes
from enclave_signer.boot_codes import MARK, BootCode
from tools.vm import machines
from tools.vm.guest.ceremony import MOST_ORDERS
from tools.vm.guest.duty import SHARE
from tools.vm.images import PORT, SERVE, Enclaves
from tools.vm.loopback import hardships, on_duty, orders
from tools.vm.pump import Pump, port_of
from tools.vm.report import demand, expect

if TYPE_CHECKING:
    from pathlib import Path

    from tools.vm.parts import Machine, Nitro
    from tools.vm.report import Report

# A context id of its own for every boot, as nitro-cli gives them.
_PROBE, _CRASH, _NO_QUORUM, _FIRST, _SECOND, _LATE = range(16, 22)
_CIDS: Final = (3, _PROBE, _CRASH, _NO_QUORUM, _FIRST, _SECOND, _LATE)
_ORDERS: Final = 20
_TRIPS: Final = 50
_ZERO: Final = "0" * 96
_LOCKED_AT_BOOT: Final = 16
_NOBODY: Final = 65534
_BEHIND: Final = timedelta(minutes=10)
_HEARTBEAT: Final = f"{MARK:02x}"
# The machine that runs the machines, from inside.
_HERE: Final = 2


def address(cid: int) -> str:
    """Return where the parent reaches an enclave."""
    return f"vsock:{_HERE}:{port_of(cid)}"


@dataclass(slots=True)
class Pair:
    """The state of the part."""

    nitro: Nitro
    folder: Path
    enclaves: Enclaves
    report: Report
    guest: Any
    admins: list[str]

    def boot(self, image: Path, cid: int, *, clock: str = "") -> machines.Process:
        """Boot an image."""
        return machines.enclave(self.nitro.qemu, image, self.folder, cid, clock=clock)

    def heartbeat(self, cid: int) -> None:
        """Wait for the heartbeat of an enclave, and that it began its program."""
        expect(self.guest.call("heard", kind="heartbeat", cid=cid, count=1), [_HEARTBEAT], "heartbeat")

    def codes(self, cid: int, *expected: BootCode) -> None:
        """Wait for these codes of an enclave."""
        said = self.guest.call("heard", kind="codes", cid=cid, count=len(expected))
        expect(said, [f"{MARK:02x}{code:02x}" for code in expected], "codes")

    def serves(self, cid: int) -> None:
        """Wait until an enclave answers."""
        self.codes(cid, BootCode.RUNNING)
        self.guest.call("round_trips", addresses=[address(cid)], count=1)


def run(machine: Machine, nitro: Nitro, ramdisk: Path, folder: Path, report: Report) -> None:
    """Run all steps; raises what the first failing one raised."""
    report.part("(b) our image on QEMU's emulated Nitro machine, a parent guest beside it")
    enclaves = Enclaves(machine, folder)
    admins = [Ed25519PrivateKey.generate() for _ in range(3)]
    with report.step("the image is built, and the same inputs give the same bytes") as found:
        public = [key.public_key().public_bytes_raw().hex() for key in admins]
        found.append(enclaves.prepare(nitro.compiler, quorum_bytes("demo", 2, public)))
        image, measured = enclaves.shipped("enclave")
        again, _ = enclaves.shipped("again")
        expect(_digest(again), _digest(image), "the second build's bytes")
        again.unlink()
        found.append(f"{image.stat().st_size >> 20} MiB, PCR0 {measured['PCR0'][:16]}..., 2 of 3 administrators inside")
    carried = dict.fromkeys(_CIDS[1:], PORT)
    with machines.vsock_daemon(nitro.daemon, folder, _CIDS), Pump(folder, _CIDS[0], carried):
        with report.step("the parent boots with context id 3") as found:
            guest = machines.ParentGuest(machine.qemu, machine.kernel, ramdisk, folder, folder / "3.sock")
            guest.call("listen")
            found.append(f"kernel {guest.call('kernel')}; listens for heartbeats (9000) and codes (9001)")
        with guest:
            pair = Pair(nitro, folder, enclaves, report, guest, [key.private_bytes_raw().hex() for key in admins])
            _probe(pair)
            _endings(pair)
            _trading(pair, image, measured)


def _probe(pair: Pair) -> None:
    certificate, key = _certificate(pair.folder)
    image, measured = pair.enclaves.other("probe", ("/probe.py", "0"), (certificate, key))
    with pair.boot(image, _PROBE) as enclave:
        with pair.report.step("heartbeat") as found:
            begun = time.monotonic()
            pair.heartbeat(_PROBE)
            found.append(f"0xB7 to port 9000 of context id 3 and back, {time.monotonic() - begun:.1f} s after power-on")
        with pair.report.step("/dev/nsm by the enclave's own client") as found:
            (raw,) = pair.guest.call("heard", kind="probe", cid=_PROBE, count=1)
            said = json.loads(bytes.fromhex(raw))
            _nsm(said["nsm"], measured, found)
        with pair.report.step("the shipped verifier refuses what the emulated NSM attests") as found:
            reason = pair.guest.call("verified", document=said["nsm"]["document"])
            expect(reason, "protected_header", "reason")
            found.append(f"refused: {reason} (QEMU's documents name no algorithm and carry no signature)")
        with pair.report.step("entropy and confinement") as found:
            _confined(said, found)
        with pair.report.step("a clean end leaves by its code") as found:
            pair.codes(_PROBE, BootCode.RUNNING, BootCode.STOPPED)
            enclave.wait(30)
            found.append("RUNNING, STOPPED on port 9001, then the machine is off")
    image.unlink()


def _nsm(said: dict[str, Any], measured: dict[str, str], found: list[str]) -> None:
    registers = said["pcrs"]
    for index in (0, 1, 2, 8):
        expect(registers[str(index)], measured[f"PCR{index}"], f"PCR{index}")
    expect(registers["4"], _extended(bytes(48), machines.PARENT_ID.encode()), "PCR4")
    expect(registers["3"], _extended(bytes(48), machines.PARENT_ROLE.encode()), "PCR3")
    expect(said["locked"], list(range(_LOCKED_AT_BOOT)), "locked registers")
    found.append("PCR0, 1, 2 and 8 are those that `casemate eif build` printed; PCR3 and 4 those of role and instance")
    first = _extended(bytes(48), b"a")
    expect(said["extended"], [first, _extended(bytes.fromhex(first), b"b")], "PCR16")
    expect([said["extend_after_lock"], said["lock_of_pcr0"]], ["ReadOnlyIndex", "ReadOnlyIndex"], "after the lock")
    found.append("PCR16 extended twice as SHA-384 says, then locked: no further extension; PCR0 cannot be locked again")
    demand(holds=len(set(said["random"])) == len(said["random"]), what="random bytes repeat")
    found.append(
        f"2 x 1000 random bytes; attestation document {len(said['document']) // 2} bytes, {said['attest_ms']} ms"
    )


def _confined(said: dict[str, Any], found: list[str]) -> None:
    expect(said["uid"] + said["gid"] + said["groups"], [_NOBODY] * 6, "user and groups")
    expect((int(said["capabilities"], 16), said["no_new_privs"]), (0, "1"), "rights")
    expect((said["writable"], said["core"]), ([], "0"), "what can be written, and core dumps")
    expect("init" in said["root"] or "modules" in said["root"], False, "init's files in the application's root")  # noqa: FBT003
    demand(holds=said["entropy"] == 256, what=f"entropy {said['entropy']}")  # noqa: PLR2004 - the pool's size
    found.append("user nobody, no capability, no new rights, no core, nothing writable but /tmp, /init out of reach")
    found.append("the kernel's pool is full (256 bits), random.trust_cpu is off: credited from the NSM")


def _endings(pair: Pair) -> None:
    with pair.report.step("a crash leaves by its code") as found:
        image, _ = pair.enclaves.other("crash", ("/probe.py", "SIGABRT"))
        with pair.boot(image, _CRASH) as enclave:
            pair.codes(_CRASH, BootCode.RUNNING, BootCode.CRASHED)
            enclave.wait(30)
        image.unlink()
        found.append("SIGABRT in the program: RUNNING, CRASHED")
    with pair.report.step("an enclave without its quorum file does not serve") as found:
        image, _ = pair.enclaves.other("no-quorum", (*SERVE[:-1], "/etc/other.cbor"))
        with pair.boot(image, _NO_QUORUM) as enclave:
            pair.codes(_NO_QUORUM, BootCode.RUNNING, BootCode.QUORUM)
            enclave.wait(30)
        image.unlink()
        found.append("RUNNING, QUORUM")


def _trading(pair: Pair, image: Path, measured: dict[str, str]) -> None:
    guest, report = pair.guest, pair.report
    guest.call("venues")
    with pair.boot(image, _FIRST) as enclave:
        with report.step("the shipped enclave serves on vsock, and takes nothing without its quorum") as found:
            pair.serves(_FIRST)
            guest.call("host", enclave=address(_FIRST))
            guest.call("follow_clock")
            guest.call("pin", pcr0=measured["PCR0"])
            _loads(pair, found)
        with report.step("attestation through the host") as found:
            _attests(pair, measured, found)
        with report.step("signed orders through the parent's host process") as found:
            on_duty(guest, found)
            orders(guest, found, _ORDERS)
            (trip,) = guest.call("round_trips", addresses=[address(_FIRST)], count=_TRIPS)
            found.append(f"status call between two machines, p50 {trip} ms (emulated)")
        hardships(guest, report, _HERE, port_of(_FIRST))
        with report.step("the enclave is killed") as found:
            before = guest.call("at_venue")
            enclave.kill()
            answers = [guest.call("one_order", timeout_s=20) for _ in range(3)]
            demand(holds="open" not in answers, what=f"an order without an enclave: {answers}")
            expect(guest.call("at_venue"), before, "orders at the venue")
            found.append(f"orders meanwhile: {', '.join(answers)}; none reached the venue")
    with pair.boot(image, _SECOND):
        _again(pair, before)
    with report.step("the receipts in the host's journal") as found:
        _audits(pair, measured, found)
    _drift(pair, image)


def _again(pair: Pair, spent: int) -> None:
    """Another boot of the image takes over. ``spent``: orders of the boot before."""
    guest = pair.guest
    with pair.report.step("it comes back with another context id") as found:
        pair.serves(_SECOND)
        guest.call("host", enclave=address(_SECOND))
        guest.call("follow_clock")
        guest.call("load", admins=pair.admins[:2])
        guest.call("trust")
        found.append(f"vsock:{_FIRST} became vsock:{_SECOND}: policy and sealed key by quorum again, a new session")
    with pair.report.step("S13: a limit counts over the kill and the new boot") as found:
        duty = guest.call("on_duty")
        demand(holds=duty["continued"], what=f"the new boot continues nothing: {duty}")
        found.append(f"granted {duty['waited_s']} s later, when the killed boot's grant had ended, from its checkpoint")
        said = guest.call("orders_until_refused", most=MOST_ORDERS)
        # What the killed boot could have spent unseen under its last grant counts, too.
        numerator, denominator = SHARE
        most = MOST_ORDERS - MOST_ORDERS * numerator // denominator
        demand(holds=0 < said["taken"] <= most, what=f"at most {most} orders are left after {spent}: {said}")
        demand(holds=said["refused"].startswith("refused: limit"), what=f"refused by another rule: {said}")
        total = spent + said["taken"]
        found.append(f"{spent} orders before, {said['taken']} now, then {said['refused'].split(': ')[1]}")
        found.append(f"{total} of the day's {MOST_ORDERS}: the rest the killed boot could have spent unseen")


def _audits(pair: Pair, measured: dict[str, str], found: list[str]) -> None:
    """Hold the journal against the receipts; only the attestation of an unsigned NSM can be found wanting."""
    said = pair.guest.call("audit", pcr0=measured["PCR0"])
    expect(said["problems"], ["not_attested"], "problems that casemate audit verify finds")
    expect(said["claims"]["without_receipt"], 0, "orders that the host sent without a receipt")
    counts = ", ".join(f"{each['receipts']} receipts with {each['heads']} heads" for each in said["boots"])
    sent = said["claims"]["sent"]
    found.append(f"casemate audit verify: {counts}, as the officer witnessed; {sent} orders sent, each by a receipt")
    found.append("its one finding is what it must find: nobody signed these documents (not_attested)")


def _loads(pair: Pair, found: list[str]) -> None:
    try:
        pair.guest.call("load", admins=pair.admins[:1])
    except machines.GuestError as error:
        demand(holds="NotAllowed" in str(error) or "approv" in str(error), what=str(error))
    else:
        demand(holds=False, what="one administrator of three was enough")
    loaded = pair.guest.call("load", admins=pair.admins[1:])
    found.append("one administrator's approval is refused; two load policy and credential")
    found.append(f"the credential went in sealed to the key that this boot attests: {loaded['phase']}")


def _attests(pair: Pair, measured: dict[str, str], found: list[str]) -> None:
    guest = pair.guest
    document = guest.call("document")
    refused = guest.call("verified", document=document)
    demand(holds=bool(refused), what="the shipped verifier took an unsigned document")
    claims = guest.call("claims", document=document)
    for index in (0, 1, 2):
        expect(claims["pcrs"][str(index)], measured[f"PCR{index}"], f"PCR{index}")
    expect(claims["module_id"], machines.MODULE_ID, "module id")
    reason = guest.call("refused_sessions", pcr0=measured["PCR0"])
    demand(holds=bool(reason), what="an engine with the shipped pins opened a session")
    stand_in = guest.call("pin", pcr0=measured["PCR0"])
    guest.call("trust")
    found.append(f"the document carries the image's PCR0, 1 and 2; the shipped verifier refuses it ({refused})")
    found.append(f"so an engine opens no session; the test's own {stand_in} names this NSM, and does")


def _drift(pair: Pair, image: Path) -> None:
    guest = pair.guest
    wake = (datetime.now(UTC) - _BEHIND).strftime("%Y-%m-%dT%H:%M:%S")
    with pair.boot(image, _LATE, clock=wake), pair.report.step("an enclave whose clock is ten minutes behind") as found:
        pair.serves(_LATE)
        guest.call("host", enclave=address(_LATE))
        drift = guest.call("status")["drift_ms"]
        demand(holds=drift < -_BEHIND.total_seconds() * 900, what=f"it says that its clock is {drift} ms ahead")
        before = guest.call("at_venue")
        refused = ""
        try:
            guest.call("load", admins=pair.admins[:2])
        except machines.GuestError as error:
            refused = str(error)
        demand(holds="CLOCK_DRIFT" in refused, what=f"a policy by a wrong clock: {refused}")
        guest.call("trust")
        answer = guest.call("one_order")
        demand(holds=answer != "open", what="an order was taken by a wrong clock")
        expect(guest.call("at_venue"), before, "orders at the venue")
        found.append(f"it found by its security module's time that it is {-drift / 1000:.0f} s behind, and says so")
        found.append(f"policy: CLOCK_DRIFT; an order: {answer}; nothing reached the venue")


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "signer.pem", folder / "signer.key"
    subject = ("-subj", "/CN=casemate vm-test", "-days", "2")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes")
    command: list[str | Path] = ["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def _extended(old: bytes, data: bytes) -> str:
    return hashlib.sha384(old + data).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha384").hexdigest()
