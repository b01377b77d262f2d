"""Every line of a file is a valid in-toto statement: statement.py FILE"""
import sys

from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

with open(sys.argv[1], encoding="utf-8") as file:
    lines = file.read().splitlines()
assert lines
for line in lines:
    # Unknown members are errors here.
    parsed = json_format.Parse(line, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    predicate = json_format.MessageToDict(parsed)["predicate"]
    # What a SLSA verification summary v1 requires.
    for key in "verifier", "resourceUri", "policy", "verificationResult", "verifiedLevels":
        assert key in predicate, key
    assert predicate["verifier"]["id"]
