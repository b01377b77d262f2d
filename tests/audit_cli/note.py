"""An independent reader and writer of signed notes, with Ed25519 of `cryptography`:
note.py keygen NAME               prints a secret key and a verifier key
note.py sign SECRET_KEY TEXT      prints a note
note.py verify VERIFIER_KEY NOTE  prints the text
"""
import base64
import hashlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)


def key_id(name, public):
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def text_of(prefix, name, public, key):
    encoded = base64.b64encode(b"\x01" + key).decode()
    return f"{prefix}{name}+{key_id(name, public).hex()}+{encoded}"


def read_file(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


command, first = sys.argv[1:3]
if command == "keygen":
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    print(text_of("PRIVATE+KEY+", first, public, key.private_bytes_raw()))
    print(text_of("", first, public, public))
elif command == "sign":
    _, _, name, identifier, encoded = read_file(first).strip().split("+", 4)
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(encoded)[1:])
    text = read_file(sys.argv[3])
    signature = bytes.fromhex(identifier) + key.sign(text.encode())
    sys.stdout.write(f"{text}\n\u2014 {name} {base64.b64encode(signature).decode()}\n")
else:
    name, identifier, encoded = first.split("+", 2)
    public = base64.b64decode(encoded)[1:]
    assert identifier == key_id(name, public).hex()
    text, lines = read_file(sys.argv[3]).rsplit("\n\n", 1)
    text += "\n"
    verified = False
    for line in lines.splitlines():
        dash, by, signature = line.split(" ")
        assert dash == "\u2014"
        signature = base64.b64decode(signature, validate=True)
        if by == name and signature[:4].hex() == identifier:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
            verified = True
    assert verified
    sys.stdout.write(text)
