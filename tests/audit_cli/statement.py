"""Independent checks of exported statements.

statement.py validate FILE
    every line is a valid in-toto statement with a verification summary
statement.py verify KEY KEYID FILE DIGEST VERIFIER_ID RESOURCE_URI LEVEL
    the envelope verifies, and is a verification summary with these values, by the steps of
    slsa.dev/spec/v1.1/verification_summary ("How to verify"), which slsa-verifier takes
statement.py changes KEY KEYID FILE DIGEST VERIFIER_ID RESOURCE_URI LEVEL
    the same, and no single change of the envelope verifies

KEY is a verifier key of a signed note, or a file with a public key in PEM.
"""
import base64
import copy
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"


def validate(line):
    # Unknown members are errors here.
    parsed = json_format.Parse(line, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    predicate = json_format.MessageToDict(parsed)["predicate"]
    # What a SLSA verification summary v1 requires.
    for key in (
        "verifier",
        "timeVerified",
        "resourceUri",
        "policy",
        "verificationResult",
        "verifiedLevels",
    ):
        assert key in predicate, key
    assert predicate["verifier"]["id"]


def public_key(text, key_id):
    if "+" in text:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.split("+", 2)[2])[1:])
    else:
        with open(text, "rb") as file:
            key = load_pem_public_key(file.read())
    return SSlibKey.from_crypto(key, key_id)


def verify(envelope, key, digest, verifier_id, resource_uri, level):
    # 1. The envelope's signature, by the key that is trusted for this verifier.
    assert envelope["payloadType"] == PAYLOAD_TYPE
    parsed = Envelope.from_dict(copy.deepcopy(envelope))
    parsed.verify([key], 1)
    # 2. The statement is about the artifact.
    statement = json.loads(parsed.payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    algorithm, value = digest.split(":")
    assert value in [subject["digest"][algorithm] for subject in statement["subject"]]
    # 3. It is a verification summary.
    assert statement["predicateType"] == PREDICATE_TYPE
    predicate = statement["predicate"]
    # 4. and 5. By whom, of what.
    assert predicate["verifier"]["id"] == verifier_id
    assert predicate["resourceUri"] == resource_uri
    # 6. and 7. With which result.
    assert predicate["verificationResult"] == "PASSED"
    assert level in predicate["verifiedLevels"]
    return parsed.payload


def is_accepted(envelope, expected):
    try:
        verify(envelope, *expected)
    except Exception:  # securesystemslib has many ways to refuse
        return False
    return True


def encoded_changes(text):
    """Base64 of the bytes with one changed, one removed, or one added."""
    data = base64.b64decode(text)
    for at in range(len(data)):
        flipped = bytes([data[at] ^ 1 << at % 8])
        yield data[:at] + flipped + data[at + 1 :]
    yield data[:-1]
    yield data[1:]
    yield data + b"\0"


def text_changes(text):
    for at, char in enumerate(text):
        yield text[:at] + chr(ord(char) ^ 1) + text[at + 1 :]
    yield text[:-1]
    yield text + "0"


def changed_envelopes(envelope):
    def change(change_it):
        changed = copy.deepcopy(envelope)
        change_it(changed)
        return changed

    def set_signature(member, value):
        return change(lambda changed: changed["signatures"][0].update({member: value}))

    for data in encoded_changes(envelope["payload"]):
        text = base64.b64encode(data).decode()
        yield change(lambda changed, text=text: changed.update(payload=text))
    for text in text_changes(envelope["payloadType"]):
        yield change(lambda changed, text=text: changed.update(payloadType=text))
    signature = envelope["signatures"][0]
    for data in encoded_changes(signature["sig"]):
        yield set_signature("sig", base64.b64encode(data).decode())
    for text in text_changes(signature["keyid"]):
        yield set_signature("keyid", text)
    yield change(lambda changed: changed.update(signatures=[]))
    for member in "payload", "payloadType", "signatures":
        yield change(lambda changed, member=member: changed.pop(member))


def main(command, *args):
    if command == "validate":
        with open(args[0], encoding="utf-8") as file:
            lines = file.read().splitlines()
        assert lines
        for line in lines:
            validate(line)
        return
    key, key_id, path, *expected = args
    with open(path, encoding="utf-8") as file:
        (line,) = file.read().splitlines()
    envelope = json.loads(line)
    expected = [public_key(key, key_id), *expected]
    validate(verify(envelope, *expected))
    # No expectation is met by chance.
    for at in range(1, len(expected)):
        others = expected[:at] + [expected[at] + "0"] + expected[at + 1 :]
        assert not is_accepted(envelope, others), at
    if command == "changes":
        count = 0
        for changed in changed_envelopes(envelope):
            assert not is_accepted(changed, expected), changed
            count += 1
        assert count > len(base64.b64decode(envelope["payload"]))


main(*sys.argv[1:])
