"""A Nitro platform for development and CI, which proves nothing to anyone.

The shapes are those of the real ones (four levels of P-384 certificates, a three-hour leaf that is reused,
definite or indefinite payload maps, high-S signatures, null fields), so that the production verifier and
readers run unchanged against another root. Nothing here shares code with them.
"""

from casemate_mock.nitro.chain import AWS_PROFILE, FakeChain, LevelProfile
from casemate_mock.nitro.device import FakeNsmDevice
from casemate_mock.nitro.document import MapForm, SForm, encode_payload, sign_document
from casemate_mock.nitro.envelope import EnvelopeForm, seal_envelope
from casemate_mock.nitro.fake_nsm import FakeNsm, measure

__all__ = [
    "AWS_PROFILE",
    "EnvelopeForm",
    "FakeChain",
    "FakeNsm",
    "FakeNsmDevice",
    "LevelProfile",
    "MapForm",
    "SForm",
    "encode_payload",
    "measure",
    "seal_envelope",
    "sign_document",
]
