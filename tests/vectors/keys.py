"""The stored form's names, written again from docs/explanation/stored-format.md and nothing else.

make_operations.py puts what this computes into operations.json, and test_key.c holds a few: what the
library makes must be the same.
"""

import base64
import hashlib
import zlib

B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def digest(kind, app, type_, name, pepper=b""):
    """28 characters of base64url: BLAKE2b-168 over fields, each behind its length in 8 bytes."""
    state = hashlib.blake2b(digest_size=21, key=pepper)
    for field in (kind, app, type_, name):
        state.update(len(field).to_bytes(8, "little") + field)
    return base64.urlsafe_b64encode(state.digest()).decode()


def quoted(name):
    """A name as it stands in keys and records: JSON, with every quote as \\u0022."""
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


def digits(number, count):
    """So many base64url digits, most significant first."""
    text = ""
    for _ in range(count):
        text = B64[number % 64] + text
        number //= 64
    return text.encode()


def kind(app, type_):
    """Four digits of a CRC-32 over the length of app, app and type."""
    return digits(zlib.crc32(len(app).to_bytes(2, "little") + app + type_) >> 8, 4)


def locator(app, type_, owner):
    return digest(b"o", app, type_, owner)[:16].encode()


def field(app, type_, token, pepper=b""):
    return digest(b"t", app, type_, token, pepper)[:22].encode()


def generated(owner_locator, random):
    """A token in base64url: a marker, the locator, the random part, and 24 bits of a CRC-32 over them."""
    text = b"1" + owner_locator + random
    return text + digits(zlib.crc32(text) >> 8, 4)


def owner_key(app, type_, owner_locator, prefix=b"ts"):
    return prefix + b":" + kind(app, type_) + owner_locator


def alias_key(app, type_, token_field, prefix=b"ts"):
    return prefix + b":" + kind(app, type_) + b"=" + token_field


def created(microseconds):
    return digits(microseconds, 9)


def record(microseconds, token_field, owner, data, end=0, pieces=b""):
    piece = b"e" + digits(end, 7) if end else b""
    return created(microseconds) + token_field[:4] + piece + pieces + quoted(owner) + data


def successor(token, salt, owner_locator):
    """The token in base64url, of 32 random bytes, that follows from another and a salt."""
    key = hashlib.blake2b(token).digest()
    random = hashlib.blake2b(salt + b"\0", key=key).digest()[:32]
    return generated(owner_locator, base64.urlsafe_b64encode(random).rstrip(b"="))


def left(microseconds, token_field, family, end=0):
    """What a forward and a tombstone begin with."""
    piece = b"e" + digits(end, 7) if end else b""
    return created(microseconds) + token_field[:4] + piece + b"r" + family


def forward(salt, token_field, size=32):
    """Of a token in base64url."""
    return b">A" + digits(size, 2) + salt + token_field
