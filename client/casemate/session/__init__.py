"""The engine's end of an authenticated session (docs/client-protocol.md).

    sealer = AttestedSealer("mm-1", key.sign, Pins(pcrs={0: pcr0}, deployment="prod"))
    async with Gateway("unix:/run/casemate/gateway.sock", sealer) as gateway:
        ...

The gateway opens and renews the session by itself.
"""

from casemate.session.pins import Pins
from casemate.session.sealer import AttestedSealer

__all__ = ["AttestedSealer", "Pins"]
