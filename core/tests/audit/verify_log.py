"""An independent reader of audit logs: verify_log.py LOG CHECKPOINT PROOF [LEAVES]"""
import base64
import hashlib
import json
import sys


def leaf(line):
    return hashlib.sha256(b"\x00" + line).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


def path(m, leaves):
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def subproof(m, leaves, known):
    """RFC 6962, section 2.1.2."""
    if m == len(leaves):
        return [] if known else [root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return subproof(m, leaves[:k], known) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


log, checkpoint, proof = sys.argv[1:4]
with open(log, "rb") as file:
    lines = file.read().split(b"\n")
assert lines.pop() == b""
KEYS = {"entry", "log", "prev", "run", "schema", "seq", "time", "trailer"}
ENTRIES = {"genesis", "run", "transition", "end", "recovered"}
previous = bytes(32)
for seq, line in enumerate(lines):
    record = json.loads(line)
    assert record["seq"] == seq and record["prev"] == previous.hex(), seq
    assert set(record) == KEYS and record["schema"] == 1, seq
    assert len(record["entry"]) == 1 and set(record["entry"]) <= ENTRIES, seq
    again = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert again.replace("\x7f", "\\u007f").encode() == line, seq
    body, trailer = line.rsplit(b',"trailer":', 1)
    assert hashlib.sha256(body).hexdigest() == json.loads(trailer[:-1]), seq
    previous = leaf(line)
leaves = [leaf(line) for line in lines]
for file in sys.argv[4:]:
    with open(file, encoding="ascii") as file:
        assert file.read().splitlines() == [leaf.hex() for leaf in leaves]
with open(checkpoint, encoding="ascii") as file:
    origin, size, encoded = file.read().splitlines()
assert origin == json.loads(lines[0])["log"] and int(size) == len(lines)
assert base64.b64decode(encoded) == root(leaves)
with open(proof, encoding="ascii") as file:
    head, of = file.read().split("\n\n", 1)
with open(checkpoint, encoding="ascii") as file:
    assert of == file.read()
head = head.split("\n")
if head[0] == "c2sp.org/tlog-proof@v1":
    word, number = head[1].split(" ")
    assert word == "index"
    expected, given = path(int(number), leaves), head[2:]
else:
    word, number = head[0].split(" ")
    assert word == "old"
    expected, given = subproof(int(number), leaves, True), head[1:]
assert [base64.b64decode(hash) for hash in given] == expected
print("ok")
