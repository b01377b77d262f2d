"""A host with Python's own socket and json: host.py EXE REGISTRY DIGEST CACHE"""
import array
import json
import os
import socket
import subprocess
import sys

exe, registry, digest, cache = sys.argv[1:]
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
environment = dict(os.environ, SKOPEO_INDEX_REPLY="structured", SKOPEO_INDEX_RETRY_TIMES="0")
service = subprocess.Popen(
    [exe, "--service-id", "source/test", "--service-fd", str(theirs.fileno())],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
    env=environment)
theirs.close()
ours.settimeout(60)


def receive():
    data, ancillary, flags, _ = ours.recvmsg(1 << 22, socket.CMSG_LEN(253 * 4))
    assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), flags
    if data == b"<args-via-fd>":
        fds = array.array("i", ancillary[0][2])
        with os.fdopen(fds[0]) as file:
            data = file.read()
    return json.loads(data)


def download(items):
    args = {"items": items, "options": {}, "cache": cache, "output": None, "checksums": []}
    message = {"type": "method", "data": {"name": "download", "args": args}}
    ours.send(json.dumps(message).encode())
    return receive()["data"]["reply"]


item = {"image": {"name": registry + "/app", "tls-verify": False}}
good = download({digest: item})
assert good["success"] is True and good["results"][0]["error"] == "", good
assert good["results"][0]["metadata"] == {"checksum": digest, "cached": False}, good
bad = download({"sha256:" + "0" * 64: item, "no digest": item})
assert bad["success"] is False and len(bad["results"]) == 2, bad
assert "manifest unknown" in bad["output"], bad
ours.send(b"{}")
assert receive()["type"] == "exception"
ours.close()
assert service.wait(60) == 0
print("ok")
