"""An independent reader of audit logs: verify_log.py LOG CHECKPOINT PROOF [LEAVES]"""
import base64
import hashlib
import json
import re
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


def check_invocation(run):
    who = run["invocation"]
    assert RUN <= set(run) <= RUN | {"verifiers"} and {"pid", "uid"} <= set(who) <= WHO
    assert 0 < who["pid"] <= 1 << 22
    assert all(0 <= who.get(uid, 0) < 2**32 - 1 for uid in ("loginUid", "uid"))
    assert re.fullmatch("sha256:[0-9a-f]{64}", who.get("machine", "sha256:" + 64 * "0"))
    for name, most in (("host", 64), ("user", 255)):
        assert name not in who or 0 < len(who[name]) <= most and PRINTABLE(who[name])
    labels = who.get("labels")
    assert labels is None or 0 < len(labels) <= 32
    for key, value in (labels or {}).items():
        assert LABEL(key) and len(key) < 64
        assert PRINTABLE(value) and len(value) < 256 and "," not in value


def check_answer(transition):
    answer = transition.get("command", {}).get("answer")
    if answer is not None:
        assert set(answer) == {"endpoint", "repository"}
        assert "docker" in transition["request"]["location"]
        assert re.fullmatch("https?://[A-Za-z0-9.-]+(:[0-9]+)?", answer["endpoint"])
        assert re.fullmatch("[a-z0-9]+([._/-]+[a-z0-9]+)*", answer["repository"])


log, checkpoint, proof = sys.argv[1:4]
with open(log, "rb") as file:
    lines = file.read().split(b"\n")
assert lines.pop() == b""
KEYS = {"entry", "log", "prev", "run", "schema", "seq", "time", "trailer"}
RUN = {"cache", "invocation", "policy", "source", "version"}
WHO = {"host", "labels", "loginUid", "machine", "pid", "uid", "user"}
PRINTABLE = re.compile("[ -~]*").fullmatch
LABEL = re.compile("[A-Za-z0-9][A-Za-z0-9._/-]*").fullmatch
ENTRIES = {"genesis", "run", "skopeo", "transition", "end", "recovered", "rotated"}
previous = bytes(32)
torn = []
for seq, line in enumerate(lines):
    try:
        record = json.loads(line)
    except ValueError:
        torn.append({"bytes": len(line), "sha256": "sha256:" + hashlib.sha256(line).hexdigest()})
        previous = leaf(line)
        continue
    # Torn lines are named by the very next record.
    assert record["entry"].get("recovered", {"lines": []})["lines"] == torn, seq
    torn = []
    assert record["seq"] == seq and record["prev"] == previous.hex(), seq
    assert set(record) == KEYS and record["schema"] == 1, seq
    assert len(record["entry"]) == 1 and set(record["entry"]) <= ENTRIES, seq
    if "run" in record["entry"]:
        check_invocation(record["entry"]["run"])
    check_answer(record["entry"].get("transition", {}))
    again = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert again.replace("\x7f", "\\u007f").encode() == line, seq
    body, trailer = line.rsplit(b',"trailer":', 1)
    assert hashlib.sha256(body).hexdigest() == json.loads(trailer[:-1]), seq
    previous = leaf(line)
assert not torn
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
