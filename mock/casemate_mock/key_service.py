"""The stack's mock KMS: the key policy that it gets, and what boto3 needs in order to talk to it."""

import json
from collections.abc import Mapping

ALIAS = "casemate"
# What boto3 asks of its surroundings; these open nothing.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "mock",
    "AWS_SECRET_ACCESS_KEY": "mock",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def key_policy(pcrs: Mapping[str, str]) -> str:
    """Whoever seals may have data keys; only an enclave of this image may open them."""
    everybody = {"Principal": "*", "Resource": "*"}
    image = {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": pcrs["0"]}}
    statements = [
        {"Sid": "Seal", "Effect": "Allow", "Action": "kms:GenerateDataKey", **everybody},
        {"Sid": "Open", "Effect": "Allow", "Action": "kms:Decrypt", **everybody, "Condition": image},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
