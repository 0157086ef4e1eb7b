#!/usr/bin/env python3
"""Writes jwt_secrets.json: keys of every kind in every encoding, all rejected as HMAC secrets.

    python3 tests/vectors/make_secrets.py        needs openssl and ssh-keygen; the keys are new each time

`refused` and `taken` are lists of {name, value}. Values in `taken` look like keys but are not.
"""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import tempfile
import textwrap
import urllib.parse
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def openssl(*args: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *args], input=stdin, check=True, capture_output=True).stdout


def private(*options: str) -> bytes:
    return openssl("genpkey", *options)


def unpem(pem: bytes) -> bytes:
    """The DER in the last block of a PEM text."""
    return base64.b64decode(re.findall(rb"-----BEGIN [^-]+-----\n([^-]+)-----END", pem)[-1])


def public(key: bytes, *options: str) -> bytes:
    return openssl("pkey", "-pubout", *options, stdin=key)


def certificate(key: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        file.write(key)
        file.flush()
        return openssl("req", "-x509", "-new", "-key", file.name, "-subj", "/CN=a", "-days", "1")


def request(key: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        file.write(key)
        file.flush()
        return openssl("req", "-new", "-key", file.name, "-subj", "/CN=a")


def ec(curve: str, *options: str) -> bytes:
    return private("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", *options)


RSA = private("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
SMALL = private("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512")
P256, ED25519 = ec("P-256"), private("-algorithm", "ed25519")

DER: dict[str, bytes] = {
    "SPKI of RSA": unpem(public(RSA)),
    "PKCS#1 of RSA": unpem(openssl("rsa", "-RSAPublicKey_out", stdin=RSA)),
    "PKCS#1 of RSA with 512 bits": unpem(openssl("rsa", "-RSAPublicKey_out", stdin=SMALL)),
    "SPKI of RSA with 512 bits": unpem(public(SMALL)),
    "SPKI of RSA-PSS": unpem(public(private("-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"))),
    "SPKI of P-256": unpem(public(P256)),
    "SPKI of P-256, compressed": unpem(openssl("ec", "-pubout", "-conv_form", "compressed", stdin=P256)),
    "SPKI of P-256, explicit": unpem(openssl("ec", "-pubout", "-param_enc", "explicit", stdin=P256)),
    "SPKI of P-384": unpem(public(ec("P-384"))),
    "SPKI of P-521": unpem(public(ec("P-521"))),
    "SPKI of secp256k1": unpem(public(ec("secp256k1"))),
    "SPKI of Ed25519": unpem(public(ED25519)),
    "SPKI of Ed448": unpem(public(private("-algorithm", "ed448"))),
    "SPKI of X25519": unpem(public(private("-algorithm", "x25519"))),
    "certificate of RSA": unpem(certificate(RSA)),
    "certificate of P-256": unpem(certificate(P256)),
    "certificate of Ed25519": unpem(certificate(ED25519)),
    "certificate request": unpem(request(P256)),
    "PKCS#7": openssl("crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin", "-outform", "DER", stdin=certificate(P256)),
    "PKCS#8 of RSA": unpem(SMALL),
    "PKCS#8 of P-256": unpem(P256),
    "PKCS#8 of Ed25519": unpem(ED25519),
    "PKCS#8, encrypted": unpem(openssl("pkey", "-aes128", "-passout", "pass:x", stdin=ED25519)),
    "PKCS#1 of RSA, private": unpem(openssl("rsa", "-traditional", stdin=SMALL)),
    "SEC 1 of P-256": unpem(openssl("ec", stdin=P256)),
    "SEC 1 of P-256, bare": unpem(openssl("ec", "-no_public", stdin=P256)),
    "SEC 1 of P-521": unpem(openssl("ec", stdin=ec("P-521"))),
}  # fmt: skip


def ssh(*options: str) -> tuple[str, str]:
    """A public key as OpenSSH writes it, and as RFC 4716."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/key"
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "me@host", "-f", path, *options], check=True)
        exported = subprocess.run(["ssh-keygen", "-e", "-f", path], check=True, capture_output=True, text=True)
        return Path(path + ".pub").read_text(), exported.stdout


SSH = {f"SSH, {' '.join(o[1::2])}": ssh(*o) for o in (("-t", "rsa", "-b", "2048"), ("-t", "ecdsa", "-b", "256"),
       ("-t", "ecdsa", "-b", "521"), ("-t", "ed25519"))}  # fmt: skip


def number(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


POINT = DER["SPKI of P-256"][-64:]
JWK: dict[str, dict[str, Any]] = {
    "P-256": {"kty": "EC", "crv": "P-256", "x": number(POINT[:32]), "y": number(POINT[32:])},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519", "x": number(DER["SPKI of Ed25519"][-32:])},
    "RSA": {"kty": "RSA", "e": "AQAB", "n": number(DER["PKCS#1 of RSA"][9:-5])},
    "oct": {"kty": "oct", "k": number(bytes(range(32)))},
    "a kind to come": {"kty": "AKP", "pub": number(bytes(range(64))), "alg": "ML-DSA-44"},
}


def pem(name: str, der: bytes, width: int = 64) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), width))
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----\n"


def as_c_file(der: bytes) -> bytes:
    lines = textwrap.fill(", ".join(f"0x{byte:02x}" for byte in der), 72)
    return f"unsigned char key_der[] = {{\n{lines}\n}};\nunsigned int key_der_len = {len(der)};\n".encode()


def as_buffer(data: bytes) -> bytes:
    return json.dumps({"type": "Buffer", "data": list(data)}, separators=(",", ":")).encode()


def z85(data: bytes) -> bytes:
    """RFC 1924's digits in ZeroMQ's order."""
    rfc1924 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    zeromq = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    return base64.b85encode(data).translate(bytes.maketrans(rfc1924, zeromq))


def indefinite(der: bytes) -> bytes:
    """The outermost element as BER may write it (X.690, 8.1.3.6)."""
    return der[:1] + b"\x80" + der[2 + (der[1] & 0x7F if der[1] & 0x80 else 0) :] + bytes(2)


def spellings_of_bytes(der: bytes) -> dict[str, bytes]:
    text = base64.b64encode(der)
    url = base64.urlsafe_b64encode(der)
    lines = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    hexed = der.hex()
    return {
        "as it is": der,
        "and a newline": der + b"\r\n",
        "behind a newline": b"\n" + der,
        "behind a byte order mark": b"\xef\xbb\xbf" + der,
        "base64": text,
        "base64 without padding": text.rstrip(b"="),
        "base64 in lines": lines + b"\n",
        "base64 in lines, CRLF": lines.replace(b"\n", b"\r\n"),
        "base64 with literal newlines": lines.replace(b"\n", b"\\n"),
        "base64 in quotes": b'"' + text + b'"',
        "base64 behind a name": b"key=" + text,
        "base64 as a data URL": b"data:application/octet-stream;base64," + text,
        "base64 in base64": base64.b64encode(text),
        "base64url": url,
        "base64url without padding": url.rstrip(b"="),
        "base64, percent-encoded": urllib.parse.quote(text, safe="").encode(),
        "hex": hexed.encode(),
        "HEX": hexed.upper().encode(),
        "hex with colons": ":".join(textwrap.wrap(hexed, 2)).encode(),
        "hex in lines with blanks": "\n".join(textwrap.wrap(" ".join(textwrap.wrap(hexed, 2)), 48)).encode(),
        "hex with 0x": b"0x" + hexed.encode(),
        "hex of PostgreSQL": b"\\x" + hexed.encode(),
        "hex of SQL": b"x'" + hexed.encode() + b"'",
        "hex with dashes": "-".join(textwrap.wrap(hexed.upper(), 2)).encode(),
        "hex with commas": ", ".join(textwrap.wrap(hexed, 2)).encode(),
        "hex as Node shows a Buffer": ("<Buffer " + " ".join(textwrap.wrap(hexed, 2)) + ">").encode(),
        "hex as xxd -i writes it": as_c_file(der),
        "numbers": ",".join(map(str, der)).encode(),
        "numbers with blanks, as Go shows them": ("[" + " ".join(map(str, der)) + "]").encode(),
        "numbers with signs, as Java shows them": str([byte - byte // 128 * 256 for byte in der]).encode(),
        "a list of numbers": json.dumps(list(der)).encode(),
        "a list of numbers in lines": json.dumps(list(der), indent=2).encode(),
        "a tuple of numbers": repr(tuple(der)).encode(),
        "a Buffer of Node in JSON": as_buffer(der),
        "a Buffer of Node in JSON with blanks": json.dumps({"data": list(der), "type": "Buffer"}, indent=1).encode(),
        "a Buffer of Node in base64": base64.b64encode(as_buffer(der)),
        "a Uint8Array in JSON": json.dumps({str(at): byte for at, byte in enumerate(der)}).encode(),
        "a Uint8Array as Node shows it": f"Uint8Array({len(der)}) {list(der)}".encode(),
        "base85": base64.b85encode(der),
        "base85 in quotes": repr(base64.b85encode(der)).encode(),
        "base85 and a newline": base64.b85encode(der) + b"\n",
        "Ascii85": base64.a85encode(der),
        "Ascii85 in quotes": repr(base64.a85encode(der)).encode(),
        "Ascii85 in lines": base64.a85encode(der, wrapcol=60),
        "Ascii85 of Adobe": base64.a85encode(der, adobe=True),
        "Z85": z85(der),
        "base64url in lines": b"\r\n".join(url[i : i + 76] for i in range(0, len(url), 76)),
        "base64url in quotes": repr(url).encode(),
        "base64url behind a name": b"key=" + url,
        "bytes, percent-encoded": urllib.parse.quote_from_bytes(der, safe="").encode(),
        "base32": base64.b32encode(der),
        "base32 without padding": base64.b32encode(der).rstrip(b"=").lower(),
        "an array in C": ("{" + ", ".join(f"0x{byte:02x}" for byte in der) + "}").encode(),
        "as Python writes bytes": repr(der).encode(),
        "as Latin-1 in UTF-8": der.decode("latin-1").encode(),
        "base64 in UTF-16": text.decode().encode("utf-16"),
        "base64 behind a scheme": b"base64:" + text,
        "base64 with references of HTML": html.escape(text.decode()).replace("=", "&#61;").replace("+", "&#x2b;").encode(),
        "base64 as a list of lines": json.dumps(lines.decode().split("\n")).encode(),
        "base64 in lines behind #": textwrap.indent(lines.decode(), "# ").encode(),
        "base64 in lines behind >": textwrap.indent(lines.decode(), "> ").encode(),
        "base64 as Java joins strings": " +\n".join(f'"{line}\\n"' for line in lines.decode().split("\n")).encode(),
        "hex behind a name": b"key=" + hexed.encode(),
        "hex behind a scheme": b"hex:" + hexed.encode(),
        "hex in JSON": json.dumps({"key": hexed, "format": "spki"}).encode(),
        "numbers in Rust": ("&[" + ", ".join(f"0x{byte:02x}u8" for byte in der) + "]").encode(),
        "numbers in Java": ("new byte[]{" + ", ".join(f"(byte)0x{byte:02X}" for byte in der) + "};").encode(),
        "numbers in Go": ("[]byte{" + ", ".join(f"0x{byte:x}" for byte in der) + "}").encode(),
        "a Buffer of Node amid other members": (b'{"key":' + as_buffer(der) + b',"alg":"HS256","ids":[1]}'),
        "as Python writes a bytearray": repr(bytearray(der)).encode(),
        "behind NULs": bytes(3) + der,
        "of indefinite length": indefinite(der),
        "of indefinite length, base64": base64.b64encode(indefinite(der)),
    }


def spellings_of_text(text: str) -> dict[str, bytes]:
    return {
        "as it is": text.encode(),
        "behind blanks": b" \n\t\r\n" + text.encode(),
        "indented": textwrap.indent(text, "    ").encode(),
        "behind a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "CRLF": text.replace("\n", "\r\n").encode(),
        "CR": text.replace("\n", "\r").encode(),
        "UTF-16": text.encode("utf-16"),
        "UTF-16BE": text.encode("utf-16-be"),
        "UTF-32": text.encode("utf-32"),
        "on one line": text.replace("\n", " ").encode(),
        "literal newlines": text.replace("\n", "\\n").encode(),
        "a string of JSON": json.dumps(text).encode(),
        "a string of JSON in JSON": json.dumps(json.dumps(text)).encode(),
        "base64": base64.b64encode(text.encode()),
        "base64 in lines": base64.encodebytes(text.encode()),
        "base64url": base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
        "hex": text.encode().hex().encode(),
        "percent-encoded": urllib.parse.quote(text).encode(),
        "percent-encoded, blanks as +": urllib.parse.quote_plus(text).encode(),
        "percent-encoded in lower case": re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(text)).encode(),
        "percent-encoded, every character": "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
        "percent-encoded twice": urllib.parse.quote(urllib.parse.quote(text)).encode(),
        "hex with colons": ":".join(textwrap.wrap(text.encode().hex(), 2)).encode(),
        "a list of numbers": json.dumps(list(text.encode())).encode(),
        "a Buffer of Node in JSON": as_buffer(text.encode()),
        "base85": base64.b85encode(text.encode()),
        "Ascii85": base64.a85encode(text.encode()),
        "base64 behind a scheme": b"base64:" + base64.b64encode(text.encode()),
        "base64 as a data URL": b"data:application/json;base64," + base64.b64encode(text.encode()),
        "base64 in JSON": json.dumps({"key": base64.b64encode(text.encode()).decode(), "alg": "HS256"}).encode(),
        "references of HTML": html.escape(text).encode(),
        "references of HTML, twice": html.escape(html.escape(text)).encode(),
        "references of HTML, decimal": re.sub(r"\W", lambda m: f"&#{ord(m[0])};", text).encode(),
        "references of HTML, hexadecimal": re.sub(r"\W", lambda m: f"&#x{ord(m[0]):02X};", text).encode(),
        "Ascii85 with y for blanks": base64.a85encode(b"    " + text.encode(), foldspaces=True),
    }


def spellings_of_jwk(jwk: dict[str, Any]) -> dict[str, str]:
    text = json.dumps(jwk)
    inside = text[1:-1]
    return {
        "as it is": text,
        "compact": json.dumps(jwk, separators=(",", ":")),
        "pretty": json.dumps(jwk, indent=2),
        "in an array": f"[{text}]",
        "in a set": json.dumps({"keys": [jwk]}),
        "in a set behind another": json.dumps({"keys": [{}, 1, jwk]}),
        "in an object": json.dumps({"data": {"key": jwk}}),
        "kty twice": "{" + inside + ', "kty": "oct"}',
        "kty twice, first a number": '{"kty": 1, ' + inside + "}",
        "another member twice": '{"use": 1, "use": 2, ' + inside + "}",
        "escaped name": text.replace('"kty"', '"\\u006bty"'),
        "escaped name, whole": text.replace('"kty"', '"\\u006B\\u0074\\u0079"'),
        "escaped value": re.sub(r'"kty": "(.)', lambda m: f'"kty": "\\u{ord(m[1]):04x}', text),
        "both escaped": re.sub(r'"kty": "(.)', lambda m: f'"k\\u0074y": "\\u{ord(m[1]):04x}', text),
        "as Python writes a dict": repr(jwk),
        "broken at the end": text[:-1] + ",",
        "blanks around the colon": text.replace('"kty": ', '"kty"\n\t : '),
        "in YAML": "\n".join(f"{name}: {value}" for name, value in jwk.items()),
        "in YAML, in a list": "keys:\n- " + "\n  ".join(f"{name}: {value}" for name, value in jwk.items()),
        "in TOML": "\n".join(f'{name} = "{value}"' for name, value in jwk.items()),
        "in XML": "<key>" + "".join(f"<{name}>{value}</{name}>" for name, value in jwk.items()) + "</key>",
        "as Node shows it": "{\n  " + ",\n  ".join(f"{name}: '{value}'" for name, value in jwk.items()) + "\n}",
        "in Ruby": "{" + ", ".join(f'"{name}"=>"{value}"' for name, value in jwk.items()) + "}",
        "in Ruby, by symbols": "{" + ", ".join(f':{name}=>"{value}"' for name, value in jwk.items()) + "}",
        "in PHP": "array (\n" + "".join(f"  '{name}' => '{value}',\n" for name, value in jwk.items()) + ")",
        "in Lua": "{ " + ", ".join(f'["{name}"] = "{value}"' for name, value in jwk.items()) + " }",
        "as Go shows it": "map[" + " ".join(f"{name}:{value}" for name, value in sorted(jwk.items())) + "]",
        "as a list of pairs": json.dumps(list(jwk.items())),
        "as a query": urllib.parse.urlencode(jwk),
        "a big number beside": '{"n": 1e999, "m": 99999999999999999999, ' + inside + "}",
    }


def entry(name: str, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("ascii")
        if text.isprintable() or text.replace("\n", "").isprintable():
            return {"name": name, "value": text}
    except UnicodeDecodeError:
        pass
    return {"name": name, "value": {"hex": data.hex()}}


def refused() -> list[dict[str, Any]]:
    out = []
    for name, der in DER.items():
        spelled = spellings_of_bytes(der)
        # All encodings of three; the common ones of the others.
        few = ("as it is", "base64", "base64url without padding", "hex", "and a newline")
        all_ = name in ("SPKI of P-256", "SPKI of Ed25519", "PKCS#1 of RSA with 512 bits")
        out += [entry(f"{name}: {how}", spelled[how]) for how in (spelled if all_ else few)]
    for name, der, label in (("SPKI of P-256", DER["SPKI of P-256"], "PUBLIC KEY"),
                             ("certificate", DER["certificate of Ed25519"], "CERTIFICATE")):  # fmt: skip
        out += [entry(f"PEM, {name}: {how}", data) for how, data in spellings_of_text(pem(label, der)).items()]
    out.append(entry("PEM in lines of 76", pem("PUBLIC KEY", DER["SPKI of RSA"], 76).encode()))
    out.append(entry("PEM of PKCS#8", pem("PRIVATE KEY", DER["PKCS#8 of Ed25519"]).encode()))
    out.append(entry("PEM behind text", b"Bag Attributes\n  a: b\n" + pem("PUBLIC KEY", DER["SPKI of P-256"]).encode()))
    for name, (line, exported) in SSH.items():
        for how, data in {
            "as it is": line,
            "behind blanks": "  \t" + line,
            "behind a byte order mark": "\ufeff" + line,
            "behind options": 'no-pty,command="echo \\"hi\\"",from="10.0.0.0/8" ' + line,
            "in known_hosts": "host.example,10.0.0.1 " + line,
            "the blob alone": line.split()[1],
            "CRLF": line.replace("\n", "\r\n"),
        }.items():
            out.append(entry(f"{name}: {how}", data.encode()))
        out.append(entry(f"{name}: decoded", base64.b64decode(line.split()[1])))
        out.append(entry(f"{name}: in hex", base64.b64decode(line.split()[1]).hex().encode()))
        out.append(entry(f"{name}: the line in base64", base64.b64encode(line.encode())))
        out.append(entry(f"{name}: RFC 4716", exported.encode()))
        out.append(entry(f"{name}: RFC 4716 behind blanks", b"\r\n  " + exported.encode()))
    line, exported = SSH["SSH, ed25519"]
    out += [entry(f"SSH: {how}", data) for how, data in spellings_of_text(line).items()]
    out += [entry(f"RFC 4716: {how}", data) for how, data in spellings_of_text(exported).items()]
    small = bytes.fromhex("3048024100c4b4ff") + base64.a85decode("%;\\aa" * 15) + bytes.fromhex("010203010001")
    out.append(entry("Ascii85 in quotes, with percent signs and backslashes", repr(base64.a85encode(small)).encode()))
    for name, jwk in JWK.items():
        out += [entry(f"JWK, {name}: {how}", text.encode()) for how, text in spellings_of_jwk(jwk).items()]
    out += [entry(f"JWK: {how}", data) for how, data in spellings_of_text(json.dumps(JWK["P-256"])).items()]
    blob = b"\0\0\0\x0ex509v3-ssh-rsa\0\0\0\1" + DER["certificate of RSA"]
    out += [entry(f"SSH, a certificate of X.509: {how}", data)
            for how, data in (("decoded", blob), ("the line", b"x509v3-ssh-rsa " + base64.b64encode(blob)))]  # fmt: skip
    body = base64.b64encode(bytes(256)).decode()
    for name in ("ds:RSAKeyValue", "dsig11:ECKeyValue", "ds:DSAKeyValue", "RSAKeyValue xmlns='a'"):
        out.append(entry(f"XML, {name}", f"<{name}><a>{body}</a></{name.split()[0]}>".encode()))
        out.append(entry(f"XML, {name}: in HTML", html.escape(f"<{name}><a>{body}</a></{name.split()[0]}>").encode()))
    out.append(entry("XML", b"<RSAKeyValue><Modulus>" + base64.b64encode(bytes(256)) + b"</Modulus></RSAKeyValue>"))
    return out


def taken() -> list[dict[str, Any]]:
    filler = "0123456789abcdefghijklmnopqrstuvwxyz"
    der = DER["SPKI of Ed25519"]
    return [
        entry("begins as an SSH key", b"ssh-" + filler.encode()),
        entry("begins as an SSH key of EC", b"ecdsa-sha2-nistp256" + filler.encode()),
        entry("speaks of SSH", b"AAAA ssh-rsa AAAA" + filler.encode()),
        entry("speaks of PEM", b"BEGIN PUBLIC KEY" + filler.encode()),
        entry("speaks of a JWK", b'"kty" is EC, kty:EC, {"kt":"EC"} ' + filler.encode()),
        entry("speaks of kty", b"kty: none; the kty is RSA, monkty:RSA kty=RSAX kty: EC " + filler.encode()),
        entry("speaks of XML", b"RSAKeyValue and ECKeyValue " + filler.encode()),
        entry("behind a scheme", b"base64:" + base64.b64encode(bytes(range(48)))),
        entry("hex behind a scheme", b"hex:" + bytes(range(48)).hex().encode()),
        entry("references of HTML", b"&#34;&quot;&#x22;&amp;&#999999999999;&#;&#x;&" + filler.encode()),
        entry("an indefinite sequence", b"\x30\x80" + bytes(range(1, 43)) + bytes(2)),
        entry("a sequence of nothing known", b"\x30\x2a" + bytes(range(1, 43))),
        entry("a sequence of numbers", b"\x30\x24\x02\x10" + bytes(range(1, 17)) + b"\x02\x10" + bytes(range(1, 17))),
        entry("DER that is cut off", der[:40]),
        entry("DER of another length", b"\x30\x2b" + der[2:]),
        entry("DER without an algorithm", der.replace(b"\x06\x03", b"\x04\x03")),
        entry("base64 of DER that is cut off", base64.b64encode(der[:36])),
        entry("hex", bytes(range(32)).hex().encode()),
        entry("base64", base64.b64encode(bytes(range(48)))),
        entry("base64url", base64.urlsafe_b64encode(bytes(range(200, 248)))),
        entry("a UUID and another", b"123e4567-e89b-12d3-a456-426614174000123e4567-e89b-12d3-a456-426614174000"),
        entry("numbers", b"48 89 48 19 6 7 42 134 72 206 61 2 1 6 8 42 134 72 206 61 3 1 7 3 66 0 4"),
        entry("numbers that are no bytes", b"[" + b"48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0, " + b"256, " * 32 + b"1]"),
        entry("a list of nothing known", json.dumps(list(range(48, 90))).encode()),
        entry("a Buffer of nothing known", as_buffer(bytes(range(32)))),
        entry("base85", base64.b85encode(bytes(range(48)))),
        entry("Ascii85", base64.a85encode(bytes(range(48)), adobe=True)),
        entry("Ascii85 of DER that is cut off", base64.a85encode(der[:40])),
        entry("32 NULs", bytes(32)),
        entry("64 quotes", b'"' * 64),
        entry("64 backslashes", b"\\" * 64),
        entry("64 percents", b"%" * 64),
        entry("64 times M", b"M" * 64),
        entry("64 times A", b"A" * 64),
        entry("UTF-16", filler.encode("utf-16")),
        entry("UTF-8", ("\u00e9" * 32).encode()),
        entry("the bare key of Ed25519, which nobody can tell", der[-32:]),
    ]


def main() -> None:
    lists = {"about": __doc__.split("\n")[0], "refused": refused(), "taken": taken()}
    lines = [f' "{name}": [\n  ' + ",\n  ".join(map(json.dumps, cases)) + "\n ]"
             if isinstance(cases, list) else f' "{name}": {json.dumps(cases)}'
             for name, cases in lists.items()]  # fmt: skip
    (HERE / "jwt_secrets.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(lists["refused"]), "refused,", len(lists["taken"]), "taken")


if __name__ == "__main__":
    main()
