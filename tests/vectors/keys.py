"""The names of the stored format, implemented independently from docs/stored-format.md.

make_operations.py writes its results to operations.json, and test_key.c contains a few: the library must
compute the same.
"""

import base64
import hashlib

B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEX = "0123456789abcdef"


def digest(kind, app, type_, name, pepper=b""):
    """28 characters of base64url: BLAKE2b-168 over the fields, each preceded by its length in 8 bytes."""
    state = hashlib.blake2b(digest_size=21, key=pepper)
    for field in (kind, app, type_, name):
        state.update(len(field).to_bytes(8, "little") + field)
    return base64.urlsafe_b64encode(state.digest()).decode()


def tag_of(text):
    """Three hexadecimal digits from the first three characters of a digest."""
    return "".join(HEX[B64.index(c) & 15] for c in text[:3])


def quoted(name):
    """A name as in keys and records: JSON, with every quote as \\u0022."""
    short = {8: b"\\b", 12: b"\\f", 10: b"\\n", 13: b"\\r", 9: b"\\t", 0x5C: b"\\\\"}
    out = b""
    for byte in name:
        if byte in short:
            out += short[byte]
        elif byte == 0x22 or byte < 0x20:
            out += b"\\u%04x" % byte
        else:
            out += bytes([byte])
    return b'"' + out + b'"'


class Place:
    """The key of a token's record, or of an owner's index."""

    def __init__(self, kind, app, type_, name, prefix=b"ts", pepper=b""):
        self.digest = digest(kind, app, type_, name, pepper)
        self.check = self.digest[:4]
        self.tag = tag_of(self.digest)
        if kind == b"t" and carries_tag(name):
            self.tag = name[1:4].decode()
        self.record_key = prefix + b":{%s}:%s" % (self.tag.encode(), self.digest.encode())
        names = quoted(app) + b"," + quoted(type_) + b","
        self.names = names
        self.index_key = prefix + b":{%s}:o:" % self.tag.encode() + names + quoted(name)


def carries_tag(token):
    return len(token) > 3 and token[:1] == b"0" and all(chr(c) in HEX for c in token[1:4])


def created(microseconds):
    """Nine base64url digits, most significant first."""
    text = ""
    for _ in range(9):
        text = B64[microseconds % 64] + text
        microseconds //= 64
    return text


def record(microseconds, place, owner, data, owner_tag=None):
    tail = b',"%s"]' % owner_tag.encode() if owner_tag else b"]"
    head = b'["%s%s",' % (created(microseconds).encode(), place.check.encode())
    return head + quoted(owner) + b"," + data + tail
