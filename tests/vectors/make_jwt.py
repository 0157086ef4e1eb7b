#!/usr/bin/env python3
"""Writes jwt.json: valid and invalid tokens, accepted and rejected keys, results of encode.

The verdicts are written by hand from the RFCs, not computed by an implementation. Only the signatures are
computed, and they are deterministic: RSA by plain arithmetic with a fixed salt for PSS, ECDSA by RFC 6979,
Ed25519 as it is.

    python3 tests/vectors/make_jwt.py        needs the package `cryptography`, 43 or later

README.md describes the members of a case.
"""

import base64
import hashlib
import hmac
import json
import urllib.parse
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

HERE = Path(__file__).parent
KEYS = json.loads((HERE / "jwt_keys.json").read_text())["keys"]
ENCRYPTED = json.loads((HERE / "jwt_encrypted.json").read_text())
NOW = 1_700_000_000
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
ORDERS = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ALGS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
        "ES256", "ES384", "ES512", "EdDSA"]  # fmt: skip
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


# ---- encodings ------------------------------------------------------------------------------------


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text):
    return int.from_bytes(unb64(text), "big")


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def raw(value):
    """Bytes of a part: JSON of an object, or the text or bytes unchanged."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else compact(value)).encode()


def public(name, **more):
    return {k: v for k, v in KEYS[name].items() if k not in PRIVATE} | more


def private(name, **more):
    return KEYS[name] | more


# ---- signatures -----------------------------------------------------------------------------------

DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def rsa_raw(jwk, block):
    n = number(jwk["n"])
    return pow(int.from_bytes(block, "big"), number(jwk["d"]), n).to_bytes(len(unb64(jwk["n"])), "big")


def rsa_pkcs1(jwk, data, digest, info=None):
    size = len(unb64(jwk["n"]))
    inner = (DIGEST_INFO[digest] if info is None else info) + hashlib.new(digest, data).digest()
    return rsa_raw(jwk, b"\0\1" + b"\xff" * (size - 3 - len(inner)) + b"\0" + inner)


def mgf1(seed, size, digest):
    blocks = (hashlib.new(digest, seed + i.to_bytes(4, "big")).digest() for i in range(size))
    out = b""
    while len(out) < size:
        out += next(blocks)
    return out[:size]


def rsa_pss(jwk, data, digest, salt_size=None, mgf=None):
    size = len(unb64(jwk["n"]))
    bits = number(jwk["n"]).bit_length() - 1
    hashed = hashlib.new(digest, data).digest()
    salt_size = len(hashed) if salt_size is None else salt_size
    salt = (b"a fixed salt for the vectors only" * 8)[:salt_size]
    h = hashlib.new(digest, bytes(8) + hashed + salt).digest()
    db = bytes(size - salt_size - len(h) - 2) + b"\1" + salt
    masked = bytearray(x ^ y for x, y in zip(db, mgf1(h, len(db), mgf or digest)))
    masked[0] &= 0xFF >> (8 * size - bits)
    return rsa_raw(jwk, bytes(masked) + h + b"\xbc")


def ecdsa(jwk, data, digest):
    key = ec.derive_private_key(number(jwk["d"]), CURVES[jwk["crv"]])
    algorithm = getattr(hashes, digest.upper())()
    return key.sign(data, ec.ECDSA(algorithm, deterministic_signing=True))


def der_to_raw(jwk, der):
    size = len(unb64(jwk["x"]))
    return b"".join(x.to_bytes(size, "big") for x in utils.decode_dss_signature(der))


def sign(alg, jwk, data):
    digest = "sha" + alg[2:]
    if alg.startswith("HS"):
        return hmac.new(unb64(jwk["k"]), data, digest).digest()
    if alg.startswith("RS"):
        return rsa_pkcs1(jwk, data, digest)
    if alg.startswith("PS"):
        return rsa_pss(jwk, data, digest)
    if alg.startswith("ES"):
        return der_to_raw(jwk, ecdsa(jwk, data, digest))
    return ed25519.Ed25519PrivateKey.from_private_bytes(unb64(jwk["d"])).sign(data)


def token(header, claims, jwk, alg=None, signature=None):
    """A compact JWS. `alg`: the real algorithm, if it differs from the header's. `signature`: a function of
    (jwk, signing input) instead."""
    data = (b64(raw(header)) + "." + b64(raw(claims))).encode()
    if signature is None:
        signature = sign(alg or header["alg"], jwk, data)
    elif callable(signature):
        signature = signature(jwk, data)
    return data.decode() + "." + b64(signature)


# ---- keys -----------------------------------------------------------------------------------------


def pem_public(name):
    jwk = KEYS[name]
    if jwk["kty"] == "RSA":
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
    elif jwk["kty"] == "EC":
        curve = CURVES.get(jwk["crv"], ec.SECP256K1())
        key = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), curve).public_key()
    else:
        key = ed25519.Ed25519PublicKey.from_public_bytes(unb64(jwk["x"]))
    return key


def key_object(name):
    jwk = KEYS[name]
    if jwk["kty"] == "RSA":
        from cryptography.hazmat.primitives.asymmetric import rsa

        numbers = pem_public(name).public_numbers()
        return rsa.RSAPrivateNumbers(*(number(jwk[x]) for x in ("p", "q", "d", "dp", "dq", "qi")),
                                     numbers).private_key()  # fmt: skip
    if jwk["kty"] == "EC":
        return ec.derive_private_key(number(jwk["d"]), CURVES.get(jwk["crv"], ec.SECP256K1()))
    return ed25519.Ed25519PrivateKey.from_private_bytes(unb64(jwk["d"]))


def spki(name):
    return pem_public(name).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def spki_der(name):
    return pem_public(name).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pkcs1(name):
    return pem_public(name).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode()


def pem_private(name, form):
    return key_object(name).private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form),
        serialization.NoEncryption()).decode()


# The keys for cases. `load`: secret, pem, jwk, jwks.
OCT = KEYS["rfc7515-oct"]
NAMED = {}


def named(name, load, value, **more):
    NAMED[name] = {"load": load, "value": value, **more}
    return name


for kind in ("rfc7520-rsa", "rfc7520-p521", "rfc7515-p256", "p384", "rfc8037-ed25519"):
    named(kind, "jwk", private(kind))
    named(kind + " public", "jwk", public(kind))
for kind in ("rfc7515-rsa-public", "rfc7515-p521-public", "rfc7515-oct", "rsa-other", "p256-other",
             "p384-other", "p521-other", "ed25519-other", "rsa-3"):  # fmt: skip
    named(kind, "jwk", KEYS[kind])
named("rfc7520-oct", "jwk", KEYS["rfc7520-oct"] | {
    "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037", "use": "sig", "alg": "HS256"})  # fmt: skip
named("rsa pem", "pem", spki("rfc7520-rsa"))
named("p256 pem", "pem", spki("rfc7515-p256"))
named("ed25519 pem", "pem", spki("rfc8037-ed25519"))
named("rsa private pem", "pem", pem_private("rfc7520-rsa", "PKCS8"))
named("secret 32", "secret", {"hex": bytes(range(32)).hex()})
named("secret 48", "secret", {"hex": bytes(range(48)).hex()})
named("secret 64", "secret", {"hex": bytes(range(64)).hex()})
named("secret 200", "secret", {"hex": bytes(range(200)).hex()})
named("secret other", "secret", {"repeat": ["another secret..", 8]})
named("secret with kid", "secret", {"hex": bytes(range(64)).hex()}, kid="one")
named("secret for HS512", "secret", {"hex": bytes(range(64)).hex()}, algorithm="HS512")
SECRET = {"kty": "oct", "k": b64(bytes(range(64)))}

# alg -> (private JWK, name of the verifying key, name of another key of this kind)
FAMILY = {}
for alg in ALGS:
    FAMILY[alg] = {
        "HS": (SECRET, "secret 64", "secret other"),
        "RS": (KEYS["rfc7520-rsa"], "rfc7520-rsa public", "rsa-other"),
        "PS": (KEYS["rfc7520-rsa"], "rfc7520-rsa public", "rsa-other"),
        "Ed": (KEYS["rfc8037-ed25519"], "rfc8037-ed25519 public", "ed25519-other"),
    }.get(alg[:2]) or {
        "ES256": (KEYS["rfc7515-p256"], "rfc7515-p256 public", "p256-other"),
        "ES384": (KEYS["p384"], "p384 public", "p384-other"),
        "ES512": (KEYS["rfc7520-p521"], "rfc7520-p521 public", "p521-other"),
    }[alg]

DECODE = []
SEEN = set()
CLAIMS = {"sub": "bob", "exp": NOW + 60}


def case(name, token_, verdict="invalid_token", key="secret 64", algorithms=("HS256",), claims=None,
         message=None, **policy):
    """One case of decode. `claims`: of valid tokens; `message`: a required part of the error."""
    assert name not in SEEN, name
    SEEN.add(name)
    one = {"name": name, "token": token_, "key": key, "algorithms": list(algorithms), **policy,
           "verdict": verdict}
    if claims is not None:
        one["claims"] = claims
    if message is not None:
        one["message"] = message
    DECODE.append(one)


def hs(claims=CLAIMS, header=None, **more):
    return token(header or {"alg": "HS256"}, claims, SECRET, alg="HS256", **more)


def good(name, token_, claims=CLAIMS, **more):
    case(name, token_, "ok", claims=claims, **more)


# ---- every algorithm, and invalid signatures ------------------------------------------------------

SIGNATURE = "its signature is invalid"
for alg in ALGS:
    jwk, key, other = FAMILY[alg]
    header = {"alg": alg, "typ": "JWT"}
    whole = token(header, CLAIMS, jwk)
    head, body, sig = whole.split(".")
    bits = unb64(sig)
    sibling = ALGS[ALGS.index(alg) // 3 * 3 + (ALGS.index(alg) + 1) % 3] if alg != "EdDSA" else "ES256"

    def bad(what, text, message=SIGNATURE, key=key, algorithms=(alg,), alg=alg):
        case(f"{alg}: {what}", text, key=key, algorithms=algorithms, message=message)

    good(f"{alg}: good", whole, key=key, algorithms=[alg])
    good(f"{alg}: good, of all algorithms", whole, key=key, algorithms=ALGS)
    good(f"{alg}: good, found among keys of other kinds", whole, algorithms=ALGS,
         key=["secret other", "rsa-other", "p256-other", "p384-other", "p521-other",
              "ed25519-other", key])
    bad("first bit of the signature", f"{head}.{body}.{b64(bytes([bits[0] ^ 0x80]) + bits[1:])}")
    bad("last bit of the signature", f"{head}.{body}.{b64(bits[:-1] + bytes([bits[-1] ^ 1]))}")
    bad("signature one byte short", f"{head}.{body}.{b64(bits[:-1])}")
    bad("signature one byte long", f"{head}.{body}.{b64(bits + bytes(1))}")
    bad("signature with a zero in front", f"{head}.{body}.{b64(bytes(1) + bits)}")
    bad("half a signature", f"{head}.{body}.{b64(bits[:len(bits) // 2])}")
    bad("signature of zeros", f"{head}.{body}.{b64(bytes(len(bits)))}")
    bad("no signature", f"{head}.{body}.", "parts is empty")
    bad("other claims", f"{head}.{b64(raw(CLAIMS | {'sub': 'eve'}))}.{sig}")
    bad("other header", f"{b64(raw({'typ': 'JWT', 'alg': alg}))}.{body}.{sig}")
    bad("not in the list", whole, "not one of those", key=[key, "secret 64"],
        algorithms=[a for a in ALGS if a != alg])
    bad("another key", whole, key=other)
    if alg != "EdDSA":
        bad(f"header says {sibling}", token({"alg": sibling}, CLAIMS, jwk, alg=alg),
            None if alg.startswith("ES") else SIGNATURE, algorithms=(alg, sibling))

good("HS256: the shortest secret", token({"alg": "HS256"}, CLAIMS, {"k": b64(bytes(range(32)))}),
     key="secret 32")
good("HS384: the shortest secret", token({"alg": "HS384"}, CLAIMS, {"k": b64(bytes(range(48)))}),
     key="secret 48", algorithms=["HS384"])
for alg in ALGS[:3]:
    good(f"{alg}: a secret longer than a block",
         token({"alg": alg}, CLAIMS, {"k": b64(bytes(range(200)))}), key="secret 200", algorithms=[alg])

# ---- RFC 7515, 7520, 8037 ----------------------------------------------------------------------------

JOE = {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
JOE64 = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
A1 = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE64}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
A2 = (f"eyJhbGciOiJSUzI1NiJ9.{JOE64}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AA"
      "uHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6x"
      "BArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phC"
      "nvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")  # fmt: skip
A3 = (f"eyJhbGciOiJFUzI1NiJ9.{JOE64}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApm"
      "WQxfKTUJqPP3-Kg6NU1Q")  # fmt: skip
A4 = ("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZq"
      "wqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERB"
      "XukOXolLzeO_Jn")  # fmt: skip
for name, text, key, alg in (("A.1", A1, "rfc7515-oct", "HS256"),
                             ("A.2", A2, "rfc7515-rsa-public", "RS256"),
                             ("A.3", A3, "rfc7515-p256 public", "ES256")):  # fmt: skip
    good(f"RFC 7515 {name}, in its time", text, JOE, key=key, algorithms=[alg], now=1300819379)
    case(f"RFC 7515 {name}, today", text, "expired_token", key=key, algorithms=[alg])
    case(f"RFC 7515 {name}, of another issuer too", text, key=key, algorithms=[alg], issuer="ann")
PAYLOAD = "its payload is"  # the signature is valid, the payload is not JSON
case("RFC 7515 A.4", A4, key="rfc7515-p521-public", algorithms=["ES512"], message=PAYLOAD)
case("RFC 7515 A.5", f"eyJhbGciOiJub25lIn0.{JOE64}.", now=1300819379, message="parts is empty")
FRODO = b64("It\u2019s a dangerous business, Frodo, going out your door. You step onto the road, and if "
            "you don't keep your feet, there\u2019s no knowing where you might be swept off to.".encode())
BILBO = "ImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9"
for name, alg, key, head, sig in (
    ("4.1", "RS256", "rfc7520-rsa public", "eyJhbGciOiJSUzI1NiIs" + BILBO,
     "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84"
     "wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSad"
     "nHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ"
     "41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"),
    ("4.2", "PS384", "rfc7520-rsa public", "eyJhbGciOiJQUzM4NCIs" + BILBO,
     "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItll"
     "Vo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TT"
     "rxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTO"
     "cbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"),
    ("4.3", "ES512", "rfc7520-p521 public", "eyJhbGciOiJFUzUxMiIs" + BILBO,
     "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_s"
     "DDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"),
    ("4.4", "HS256", "rfc7520-oct",
     "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
     "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"),
):  # fmt: skip
    case(f"RFC 7520 {name}", f"{head}.{FRODO}.{sig}", key=key, algorithms=[alg], message=PAYLOAD)
    case(f"RFC 7520 {name}, changed", f"{head}.{FRODO[:-4]}AAAA.{sig}", key=key, algorithms=[alg],
         message=SIGNATURE)
case("RFC 8037 A.4",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6d"
     "WbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg", key="rfc8037-ed25519 public", algorithms=["EdDSA"],
     message=PAYLOAD)  # fmt: skip

# ---- none, and unknown algorithms -----------------------------------------------------------------

ALG = "(alg)"
for spelling in ("none", "None", "NONE", "nOnE", "none ", " none", "none\n", "", "hs256", "Hs256",
                 "HS256 ", "HS1", "RS1", "ES256K", "eddsa", "EDDSA", "A128GCM", "dir", "n\u043ene"):
    text = json.dumps(spelling)
    head = b64(('{"alg":' + text + "}").encode())
    case(f"alg {text}, no signature", f"{head}.{b64(raw(CLAIMS))}.", algorithms=ALGS)
    case(f"alg {text}, signed with HS256", token('{"alg":' + text + "}", CLAIMS, SECRET, alg="HS256"),
         algorithms=ALGS, message=ALG)
case("alg none, a signature of one byte", f"{b64(raw({'alg': 'none'}))}.{b64(raw(CLAIMS))}.AA",
     algorithms=ALGS, message=ALG)
for text in ("null", "true", "256", "[]", '["HS256"]', '{"HS256":1}'):
    case(f"alg {text}", token('{"alg":' + text + "}", CLAIMS, SECRET, alg="HS256"), message=ALG)
case("no alg", token({"typ": "JWT"}, CLAIMS, SECRET, alg="HS256"), message=ALG)
case("ALG instead of alg", token({"ALG": "HS256"}, CLAIMS, SECRET, alg="HS256"), message=ALG)
case("alg twice", token('{"alg":"HS256","alg":"none"}', CLAIMS, SECRET, alg="HS256"))
case("alg twice, once escaped", token('{"alg":"none","\\u0061lg":"HS256"}', CLAIMS, SECRET, alg="HS256"))
good("alg written with an escape", token('{"alg":"HS\\u0032\\u00356"}', CLAIMS, SECRET, alg="HS256"))

# ---- a public key is not a secret -----------------------------------------------------------------

RSA_ALGS = ["RS256", "HS256"]
for what, text in (("SPKI", spki("rfc7520-rsa")), ("SPKI without its last newline", spki("rfc7520-rsa").strip()),
                   ("PKCS#1", pkcs1("rfc7520-rsa")), ("JWK", compact(public("rfc7520-rsa"))),
                   ("modulus", KEYS["rfc7520-rsa"]["n"])):  # fmt: skip
    case(f"HS256 with the RSA key's {what} as secret",
         token({"alg": "HS256"}, CLAIMS, {"k": b64(text.encode())}), key="rsa pem", algorithms=RSA_ALGS,
         message="no key matches")
case("HS256 with the RSA key's DER as secret", token({"alg": "HS256"}, CLAIMS, {"k": b64(spki_der("rfc7520-rsa"))}),
     key="rsa pem", algorithms=RSA_ALGS)
case("HS256 with the EC key's PEM as secret",
     token({"alg": "HS256"}, CLAIMS, {"k": b64(spki("rfc7515-p256").encode())}), key="p256 pem",
     algorithms=["ES256", "HS256"])
case("HS256 with the Ed25519 key's bytes as secret",
     token({"alg": "HS256"}, CLAIMS, {"k": KEYS["rfc8037-ed25519"]["x"]}), key="ed25519 pem",
     algorithms=["EdDSA", "HS256"])
case("HS256 with an empty secret", token({"alg": "HS256"}, CLAIMS, {"k": ""}), message=SIGNATURE)
case("HS256 with the word secret", token({"alg": "HS256"}, CLAIMS, {"k": b64(b"secret")}), message=SIGNATURE)
good("RS256 by PEM", token({"alg": "RS256"}, CLAIMS, KEYS["rfc7520-rsa"]), key="rsa pem", algorithms=RSA_ALGS)
good("RS256 by the private PEM", token({"alg": "RS256"}, CLAIMS, KEYS["rfc7520-rsa"]), key="rsa private pem",
     algorithms=["RS256"])
good("ES256 by PEM", token({"alg": "ES256"}, CLAIMS, KEYS["rfc7515-p256"]), key="p256 pem", algorithms=["ES256"])
good("EdDSA by PEM", token({"alg": "EdDSA"}, CLAIMS, KEYS["rfc8037-ed25519"]), key="ed25519 pem",
     algorithms=["EdDSA"])

# ---- keys in the header are never used ------------------------------------------------------------------

OWN = {"jwk": public("rsa-other"), "jku": "https://attacker.example/jwks.json",
       "x5u": "https://attacker.example/cert.pem", "x5c": [b64(spki_der("rsa-other"))],
       "x5t": "AAAA", "x5t#S256": "AAAA"}
for name, value in OWN.items():
    header = {"alg": "RS256", name: value}
    case(f"{name} in the header, signed with that key", token(header, CLAIMS, KEYS["rsa-other"]),
         key="rfc7520-rsa public", algorithms=["RS256"], message=SIGNATURE)
    good(f"{name} in the header, signed with ours", token(header, CLAIMS, KEYS["rfc7520-rsa"]),
         key="rfc7520-rsa public", algorithms=["RS256"])
case("jwk of kind oct in the header", hs(header={"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"x" * 32)}},
     signature=lambda _, data: hmac.new(b"x" * 32, data, "sha256").digest()), message=SIGNATURE)
case("jwk in the header and kid none there is", token({"alg": "RS256", "kid": "evil", "jwk": public("rsa-other")},
     CLAIMS, KEYS["rsa-other"]), key="rfc7520-rsa public", algorithms=["RS256"], message=SIGNATURE)

# ---- kid -------------------------------------------------------------------------------------------------

KID = "no key matches"
for what, kid in (("a path", "../../../../../../dev/null"), ("SQL", "x' UNION SELECT 'secret' -- "),
                  ("a command", "|/bin/true"), ("long", "k" * 4000), ("empty", ""), ("in other case", "ONE"),
                  ("a URL", "https://attacker.example/key"), ("with a blank", "one ")):  # fmt: skip
    case(f"kid {what}", hs(header={"alg": "HS256", "kid": kid}), key="secret with kid", message=KID)
    good(f"kid {what}, and a key without kid", hs(header={"alg": "HS256", "kid": kid}))
case("kid with NUL", hs(header='{"alg":"HS256","kid":"one\\u0000"}'), key="secret with kid")
case("kid with NUL, and a key without kid", hs(header='{"alg":"HS256","kid":"\\u0000"}'))
case("kid with half a surrogate pair", hs(header='{"alg":"HS256","kid":"\\ud800"}'))
for text in ("null", "1", "true", "[]", '["one"]', '{"$ne":""}'):
    case(f"kid {text}", hs(header='{"alg":"HS256","kid":' + text + "}"), message="kid")
case("kid twice", hs(header='{"alg":"HS256","kid":"one","kid":"two"}'))
good("kid that is the key's", hs(header={"alg": "HS256", "kid": "one"}), key="secret with kid")
good("no kid, and a key with one", hs(), key="secret with kid")
named("set", "jwks", {"keys": [
    public("rsa-other", kid="a"), public("rfc7520-rsa", kid="b", use="sig"), public("p384", kid="c", alg="ES384"),
    {"kty": "unknown", "kid": "d"}, public("rfc8037-ed25519", kid="e"), public("rfc7520-rsa", kid="f", use="enc"),
    public("k256", kid="g"), public("rsa-1024", kid="h"), public("rfc7515-p256", kid="b", alg="XS256")]})
named("set of one kid", "jwks", {"keys": [public("rsa-other", kid="a"), public("rfc7520-rsa", kid="a")]})
SIXTEEN = [{"kty": "oct", "k": b64(bytes([i]) * 64)} for i in range(15)]
named("sixteenth", "jwks", {"keys": [*SIXTEEN, SECRET]})
named("seventeenth", "jwks", {"keys": [*SIXTEEN, {"kty": "oct", "k": b64(b"p" * 64)}, SECRET]})
named("hundredth", "jwks", {"keys": [{"kty": "oct", "k": b64(bytes([i]) * 64), "kid": f"k{i}"} for i in range(99)]
                            + [SECRET | {"kid": "mine"}]})  # fmt: skip
rsa_b = token({"alg": "RS256", "kid": "b"}, CLAIMS, KEYS["rfc7520-rsa"])
good("set: by kid", rsa_b, key="set", algorithms=["RS256"])
good("set: without kid", token({"alg": "RS256"}, CLAIMS, KEYS["rfc7520-rsa"]), key="set", algorithms=["RS256"])
good("set: another kind", token({"alg": "ES384", "kid": "c"}, CLAIMS, KEYS["p384"]), key="set",
     algorithms=["RS256", "ES384"])
good("set: Ed25519", token({"alg": "EdDSA", "kid": "e"}, CLAIMS, KEYS["rfc8037-ed25519"]), key="set",
     algorithms=["EdDSA"])
case("set: kid of another key", token({"alg": "RS256", "kid": "a"}, CLAIMS, KEYS["rfc7520-rsa"]), key="set",
     algorithms=["RS256"], message=SIGNATURE)
case("set: kid of a key of another kind", token({"alg": "RS256", "kid": "c"}, CLAIMS, KEYS["rfc7520-rsa"]), key="set",
     algorithms=["RS256"], message=KID)
case("set: kid nobody has", token({"alg": "RS256", "kid": "z"}, CLAIMS, KEYS["rfc7520-rsa"]), key="set",
     algorithms=["RS256"], message=KID)
case("set: kid of a key for encryption", token({"alg": "RS256", "kid": "f"}, CLAIMS, KEYS["rfc7520-rsa"]), key="set",
     algorithms=["RS256"], message=KID)
good("set: two keys of one kid", token({"alg": "RS256", "kid": "a"}, CLAIMS, KEYS["rfc7520-rsa"]),
     key="set of one kid", algorithms=["RS256"])
good("set: the sixteenth key that fits", hs(), key="sixteenth")
case("set: the seventeenth is not tried", hs(), key="seventeenth", message="first 16 suitable keys")
case("set: the seventeenth is not tried, whatever the kid", hs(header={"alg": "HS256", "kid": "x"}), key="seventeenth",
     message="first 16 suitable keys")
good("set: one of a hundred, by kid", hs(header={"alg": "HS256", "kid": "mine"}), key="hundredth")

# ---- crit and other headers ---------------------------------------------------------------------------------

for text in ('["exp"]', '["b64"]', '["http://example.com/x"]', "[]", '"exp"', "null"):
    case(f"crit {text}", hs(header='{"alg":"HS256","crit":' + text + ',"exp":1}'), message="crit")
for text in ("true", "false", "null"):
    case(f"b64 {text}", hs(header='{"alg":"HS256","b64":' + text + "}"), message="b64")
case("zip", hs(header={"alg": "HS256", "zip": "DEF"}), message="zip")
case("cty JWT: a token in a token", hs(header={"alg": "HS256", "cty": "JWT"}), message="cty")
case("cty jwt in other words", hs(header={"alg": "HS256", "cty": "application/jwt"}), message="cty")
good("cty of something else", hs(header={"alg": "HS256", "cty": "json"}))
case("typ is no string", hs(header={"alg": "HS256", "typ": 1}), message="typ")
good("typ when none is wanted", hs(header={"alg": "HS256", "typ": "anything"}))
for have, want, verdict in (("JWT", "JWT", "ok"), ("jwt", "JWT", "ok"), ("application/jwt", "JWT", "ok"),
                            ("JWT", "application/JWT", "ok"), ("at+jwt", "at+jwt", "ok"),
                            ("application/at+jwt", "at+jwt", "ok"), ("JWT", "at+jwt", "invalid_token"),
                            ("at+jwt", "JWT", "invalid_token"), ("application/", "JWT", "invalid_token")):
    case(f"typ {have} when {want} is wanted", hs(header={"alg": "HS256", "typ": have}), verdict, typ=want,
         claims=CLAIMS if verdict == "ok" else None, message=None if verdict == "ok" else "typ")
case("no typ when one is wanted", hs(), typ="JWT", message="typ")
good("a header nobody knows", hs(header={"alg": "HS256", "x": {"deep": [1, 2]}}))

# ---- the form ------------------------------------------------------------------------------------------------

whole = hs()
head, body, sig = whole.split(".")
for what, text in (
    ("empty", ""), ("one part", "abc"), ("a dot", "."), ("two dots", ".."), ("three dots", "..."),
    ("two parts", f"{head}.{body}"), ("four parts", f"{whole}.x"), ("a dot at the end", f"{whole}."),
    ("a dot in front", f".{whole}"), ("five parts, as a JWE", f"{head}.{body}.{sig}.{body}.{sig}"),
    ("no header", f".{body}.{sig}"), ("no payload", f"{head}..{sig}"), ("a blank in front", f" {whole}"),
    ("a blank at the end", f"{whole} "), ("a newline at the end", f"{whole}\n"),
    ("a newline inside", f"{head}.{body[:8]}\n{body[8:]}.{sig}"), ("a tab", f"{head}\t.{body}.{sig}"),
    ("Bearer in front", f"Bearer {whole}"), ("quotes", f'"{whole}"'), ("padding of the header", f"{head}=.{body}.{sig}"),
    ("padding of the payload", f"{head}.{body}=.{sig}"), ("padding of the signature", f"{head}.{body}.{sig}="),
    ("much padding", f"{head}.{body}.{sig}===="), ("a plus", f"{head}.{body}.+{sig[1:]}"),
    ("a slash", f"{head}.{body}.{sig[:-1]}/"), ("a percent sign", f"{head}.{body}.{sig}%00"),
    ("not ASCII", f"{head}.{body}.{sig[:-1]}\u00e9"), ("one character more", f"{head}.{body}.{sig}A"),
    ("one character less", whole[:-1]), ("parts in other order", f"{body}.{head}.{sig}"),
    ("twice", whole + whole), ("as JSON", compact({"protected": head, "payload": body, "signature": sig})),
    ("as general JSON", compact({"payload": body, "signatures": [{"protected": head, "signature": sig}]})),
):  # fmt: skip
    case(f"form: {what}", text, message="empty" if not text else "three parts" if text.count(".") != 2 else None)
case("form: NUL at the end", {"join": [whole, {"hex": "00"}]})
case("form: NUL inside", {"join": [head, {"hex": "00"}, ".", body, ".", sig]})
case("form: bytes that are no UTF-8", {"join": [head, ".", body, ".", {"hex": "ff"}, sig]})


def last_bits(text):
    """Other text for the same bytes: unused bits are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


case("form: bits left over in the signature", f"{head}.{body}.{last_bits(sig)}", message="base64url")
odd = b64(raw({"alg": "HS256", "x": "1"}))
assert len(odd) % 4, odd
case("form: bits left over in the header", (lambda d: f"{d}.{b64(sign('HS256', SECRET, d.encode()))}")(
     f"{last_bits(odd)}.{body}"), message="base64url")
odd = b64(raw(CLAIMS | {"x": "1"}))
odd = odd if len(odd) % 4 else b64(raw(CLAIMS | {"x": "12"}))
case("form: bits left over in the payload", (lambda d: f"{d}.{b64(sign('HS256', SECRET, d.encode()))}")(
     f"{head}.{last_bits(odd)}"), message="base64url")


def sized(size, tail=b""):
    """A valid token of exactly `size` characters."""
    for more in range(4):
        fill = (size - len(head) - len(sig) - 2) * 3 // 4 - len(raw({"sub": "bob", "x": ""})) - more
        text = hs({"sub": "bob", "x": "y" * fill})
        if len(text) == size:
            return text, {"sub": "bob", "x": {"repeat": ["y", fill]}}
    return None


at_most = next(filter(None, (sized(n) for n in (8192, 8191, 8190))))
case("size: as long as may be", at_most[0], "ok")
case("size: too long", hs({"sub": "bob", "x": "y" * 6200}), message="8192")
case("size: a megabyte of dots", {"repeat": [".", 1 << 20]}, message="8192")
case("size: a megabyte of A", {"repeat": ["A", 1 << 20]}, message="8192")
LONG = hs({"sub": "bob", "x": "y" * 9000})
case("size: as long as max_size says", LONG, "ok", max_size=len(LONG))
case("size: one byte longer than max_size says", LONG, max_size=len(LONG) - 1, message=str(len(LONG) - 1))
case("size: shorter than usual", hs(), max_size=100, message="100")
case("size: long, and of another's hand", LONG[:-2] + ("AA" if LONG[-2:] != "AA" else "BA"), max_size=1 << 20,
     message=SIGNATURE)
case("size: long, and broken in its claims", hs("[" * 12000), max_size=1 << 20, message="payload")
case("size: max_size beyond what there is", hs(), "configuration", max_size=(1 << 20) + 1, message="max_size")
case("size: eight KiB of dots", {"repeat": [".", 8192]})
case("size: a long header", {"join": [{"repeat": ["A", 8000]}, ".", body, ".", sig]})

# ---- JSON ------------------------------------------------------------------------------------------------------


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


for what, text in (
    ("array", "[]"), ("string", '"x"'), ("number", "1"), ("null", "null"), ("true", "true"), ("nothing", " "),
    ("a name twice", '{"sub":"bob","sub":"eve"}'), ("exp twice", '{"exp":1,"exp":1900000000}'),
    ("a name twice, once escaped", '{"sub":"bob","\\u0073ub":"eve"}'), ("a name twice, deeper", '{"a":{"b":1,"b":2}}'),
    ("more behind it", '{"sub":"bob"}{}'), ("NUL behind it", '{"sub":"bob"}\0'), ("a comment", '{"sub":"bob"/**/}'),
    ("a comma too many", '{"sub":"bob",}'), ("too many digits", '{"n":' + "7" * 4301 + "}"), ("NaN", '{"n":NaN}'), ("Infinity", '{"n":-Infinity}'), ("a leading zero", '{"n":01}'),
    ("single quotes", "{'sub':'bob'}"), ("cut short", '{"sub":"bob"'),
    ("a control character", '{"sub":"b\nb"}'), ("depth 513", nested(513)), ("depth 2000", nested(900)),
):  # fmt: skip
    case(f"payload: {what}", hs(text), message="its payload is")
case("payload: invalid UTF-8", hs(b'{"sub":"\xc3\x28"}'), message="its payload is")
case("payload: a byte order mark", hs(b'\xef\xbb\xbf{"sub":"bob"}'), message="its payload is")
case("payload: UTF-16", hs('{"sub":"bob"}'.encode("utf-16-le")), message="its payload is")
case("payload: depth 512", hs(nested(512)), "ok")
for what, text in (
    ("an integer of 18 digits", '{"user_id":281674916028284930}'), ("2^53", '{"n":9007199254740992}'),
    ("an integer of 4300 digits", '{"n":' + "7" * 4300 + "}"), ("1e999", '{"n":1e999}'), ("U+0000", '{"sub":"bob\\u0000"}'),
    ("unpaired surrogate", '{"sub":"\\ud800"}'),
):  # fmt: skip
    case(f"payload: {what}", hs(text), "ok")
good("payload: an empty object", hs({}), {})
good("payload: white space", hs(' {\r\n\t"sub" : "bob" } '), {"sub": "bob"})
good("payload: names that differ in case", hs({"sub": "bob", "Sub": "eve"}), {"sub": "bob", "Sub": "eve"})
good("payload: every kind of value", hs({"a": [1, 1.5, -2, True, False, None, "\u00e9\U0001f600"], "o": {"e": [], "f": {}}}),
     {"a": [1, 1.5, -2, True, False, None, "\u00e9\U0001f600"], "o": {"e": [], "f": {}}})
good("payload: the largest integers", hs({"n": [9007199254740991, -9007199254740991]}),
     {"n": [9007199254740991, -9007199254740991]})
for what, text in (("array", '["HS256"]'), ("string", '"HS256"'), ("null", "null"), ("no JSON", "alg=HS256"),
                   ("more behind it", '{"alg":"HS256"} x'), ("cut short", '{"alg":"HS256"'),
                   ("depth 33", '{"alg":"HS256","x":' + nested(32) + "}"), ("a name twice", '{"alg":"HS256","x":1,"x":1}'),
                   ("deep arrays", '{"alg":"HS256","x":' + "[" * 2000 + "]" * 2000 + "}")):  # fmt: skip
    case(f"header: {what}", token(text, CLAIMS, SECRET, alg="HS256"), message="its header")
good("header: depth 32", token('{"alg":"HS256","x":' + nested(31) + "}", CLAIMS, SECRET, alg="HS256"))
good("header: white space", token(' { "alg" : "HS256" }\n', CLAIMS, SECRET, alg="HS256"))
case("a wrong signature is said before wrong claims", f"{head}.{b64(b'[]')}.{sig}", message=SIGNATURE)

# ---- times -------------------------------------------------------------------------------------------------------

T = NOW
for what, text, verdict in (
    ("in a second", T + 1, "ok"), ("now", T, "expired_token"), ("a second ago", T - 1, "expired_token"),
    ("just ahead", f"{T}.5", "ok"), ("just behind", f"{T - 1}.9999", "expired_token"), ("0", 0, "expired_token"),
    ("-1", -1, "expired_token"), ("-0", "-0", "expired_token"), ("-0.0", "-0.0", "expired_token"),
    ("-1e300", "-1e300", "expired_token"), ("1e-300", "1e-300", "expired_token"), ("in 2038", 2**31 - 1, "ok"),
    ("after 2038", 2**31, "ok"), ("after 2106", 2**32, "ok"), ("-2^31", -(2**31), "expired_token"),
    ("2^53-1", 2**53 - 1, "ok"), ("2^53", 2**53, "ok"), ("2^63", 2**63, "ok"),
    ("2^64", 2**64, "ok"), ("2^64 + an hour ago", 2**64 + T - 3600, "ok"), ("-2^64", -(2**64), "expired_token"), ("1e18", "1e18", "ok"),
    ("1e300", "1e300", "ok"), ("1e999", "1e999", "invalid_token"), ("-1e999", "-1e999", "invalid_token"),
    ("milliseconds", T * 1000, "ok"), ("a string", f'"{T + 60}"', "invalid_token"), ("an empty string", '""', "invalid_token"),
    ("null", "null", "invalid_token"), ("true", "true", "invalid_token"), ("false", "false", "invalid_token"),
    ("a list", f"[{T + 60}]", "invalid_token"), ("an object", "{}", "invalid_token"), ("NaN", "NaN", "invalid_token"),
    ("hexadecimal", "0x7fffffff", "invalid_token"), ("a plus sign", f"+{T + 60}", "invalid_token"),
    ("exponent form", "17e8", "expired_token"), ("exponent form, ahead", "1.7000001e9", "ok"),
):  # fmt: skip
    case(f"exp {what}", hs('{"exp":' + str(text) + "}"), verdict)
for what, text, verdict in (
    ("a second ago", T - 1, "ok"), ("now", T, "ok"), ("in a second", T + 1, "invalid_token"), ("-1", -1, "ok"),
    ("a fraction ahead", f"{T}.5", "invalid_token"), ("2^53-1", 2**53 - 1, "invalid_token"), ("1e300", "1e300", "invalid_token"),
    ("a string", f'"{T - 1}"', "invalid_token"), ("null", "null", "invalid_token"), ("1e999", "1e999", "invalid_token"),
):  # fmt: skip
    case(f"nbf {what}", hs('{"nbf":' + str(text) + "}"), verdict)
for what, text, verdict in (
    ("a second ago", T - 1, "ok"), ("in an hour: clocks differ", T + 3600, "ok"), ("a fraction", f"{T}.25", "ok"),
    ("a string", f'"{T}"', "invalid_token"), ("null", "null", "invalid_token"), ("a list", "[1]", "invalid_token"),
):  # fmt: skip
    case(f"iat {what}", hs('{"iat":' + str(text) + "}"), verdict)
case("leeway: expired within it", hs({"exp": T - 9}), "ok", leeway=10)
case("leeway: expired just beyond it", hs({"exp": T - 10}), "expired_token", leeway=10)
case("leeway: a fraction", hs({"exp": T}), "ok", leeway=0.5)
case("leeway: not yet, within it", hs({"nbf": T + 10}), "ok", leeway=10)
case("leeway: not yet, beyond it", hs({"nbf": T + 11}), leeway=10)
case("expired and not yet valid", hs({"exp": T - 1, "nbf": T + 1}), message="nbf")
case("expired and for another audience", hs({"exp": T - 1, "aud": "a"}), audience="b", message="aud")
case("expired and of another issuer", hs({"exp": T - 1, "iss": "a"}), issuer="b", message="iss")
case("expired, lacking what is required", hs({"exp": T - 1}), require=["sub"])
case("expired, badly signed", hs({"exp": T - 1}) [:-2] + "AA")
case("expired, all else good", hs({"exp": T - 1, "aud": "a", "iss": "b", "sub": "c"}), "expired_token", audience="a",
     issuer="b", require=["sub", "exp"])

# ---- audience, issuer, require -----------------------------------------------------------------------------------

for what, aud, want, verdict in (
    ("the one", "a", "a", "ok"), ("another", "a", "b", "invalid_token"), ("one of ours", "a", ["b", "a"], "ok"),
    ("none of ours", "a", ["b", "c"], "invalid_token"), ("in a list", ["x", "a"], "a", "ok"),
    ("a list of one", ["a"], "a", "ok"), ("not in a list", ["x", "y"], "a", "invalid_token"),
    ("lists that meet", ["x", "a"], ["b", "a"], "ok"), ("lists that do not", ["x"], ["a", "b"], "invalid_token"),
    ("an empty list", [], "a", "invalid_token"), ("in other case", "A", "a", "invalid_token"),
    ("only the beginning", "ab", "a", "invalid_token"), ("more than it", "a", "ab", "invalid_token"),
    ("with a slash more", "https://a/", "https://a", "invalid_token"), ("a number", 1, "1", "invalid_token"),
    ("null", None, "a", "invalid_token"), ("an object", {"a": 1}, "a", "invalid_token"),
    ("a list with a number", ["a", 1], "a", "invalid_token"), ("a list in a list", [["a"]], "a", "invalid_token"),
    ("true", True, "a", "invalid_token"), ("an empty string", "", "a", "invalid_token"),
    ("none asked for, one there", "a", None, "invalid_token"), ("none asked for, a list there", ["a"], None, "invalid_token"),
    ("none asked for, an empty list there", [], None, "invalid_token"), ("none asked for, null there", None, None, "invalid_token"),
    ("not ASCII", "\u00e9", "\u00e9", "ok"),
):  # fmt: skip
    more = {} if want is None else {"audience": want}
    case(f"aud {what}", hs({"aud": aud}), verdict, claims={"aud": aud} if verdict == "ok" else None,
         message=None if verdict == "ok" else "(aud)", **more)
case("aud not there", hs({}), audience="a", message="(aud)")
for what, iss, want, verdict in (
    ("the one", "a", "a", "ok"), ("another", "a", "b", "invalid_token"), ("one of ours", "a", ["b", "a"], "ok"),
    ("none of ours", "a", ["b", "c"], "invalid_token"), ("a list", ["a"], "a", "invalid_token"),
    ("a number", 1, "1", "invalid_token"), ("null", None, "a", "invalid_token"), ("in other case", "A", "a", "invalid_token"),
    ("with a slash more", "https://a/", "https://a", "invalid_token"), ("not asked for", "a", None, "ok"),
    ("not asked for, a number", 1, None, "ok"),
):  # fmt: skip
    more = {} if want is None else {"issuer": want}
    case(f"iss {what}", hs({"iss": iss}), verdict, claims={"iss": iss} if verdict == "ok" else None,
         message=None if verdict == "ok" else "(iss)", **more)
case("iss not there", hs({}), issuer="a", message="(iss)")
good("require: all there", hs(CLAIMS), require=["exp", "sub"])
case("require: one not there", hs(CLAIMS), require=["exp", "jti"], message="required claim")
case("require: in other case", hs(CLAIMS), require=["SUB"], message="required claim")
case("require: null does not count", hs({"sub": None}), require=["sub"], message="required claim")
good("require: empty counts", hs({"sub": ""}), {"sub": ""}, require=["sub"])
good("require: nothing", hs(CLAIMS), require=[])
case("require: exp not there", hs({"sub": "bob"}), require=["exp"], message="required claim")

# ---- signatures made by hand ---------------------------------------------------------------------------------------

RSA, P256, ED = KEYS["rfc7520-rsa"], KEYS["rfc7515-p256"], KEYS["rfc8037-ed25519"]
N256 = ORDERS["P-256"]


def made(name, alg, jwk, signature, verdict="invalid_token", **more):
    more.setdefault("message", SIGNATURE if verdict != "ok" else None)
    case(name, token({"alg": alg}, CLAIMS, jwk, signature=signature), verdict, key=FAMILY[alg][1], algorithms=[alg],
         claims=CLAIMS if verdict == "ok" else None, **more)


def halves(jwk, data):
    s = sign("ES256", jwk, data)
    return int.from_bytes(s[:32], "big"), int.from_bytes(s[32:], "big")


def pair(r, s, size=32):
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


made("ES256: DER instead of R and S", "ES256", P256, lambda k, d: ecdsa(k, d, "sha256"))
made("ES384: DER instead of R and S", "ES384", KEYS["p384"], lambda k, d: ecdsa(k, d, "sha384"))
made("ES512: DER instead of R and S", "ES512", KEYS["rfc7520-p521"], lambda k, d: ecdsa(k, d, "sha512"))
made("ES256: S and R", "ES256", P256, lambda k, d: pair(*halves(k, d)[::-1]))
made("ES256: R and S in halves of 33", "ES256", P256, lambda k, d: pair(*halves(k, d), 33))
made("ES256: R and S little-endian", "ES256", P256,
     lambda k, d: b"".join(x.to_bytes(32, "little") for x in halves(k, d)))
made("ES256: R 0, S 0", "ES256", P256, bytes(64))
made("ES256: R 0, S 1", "ES256", P256, pair(0, 1))
made("ES256: R 1, S 0", "ES256", P256, pair(1, 0))
made("ES256: R n, S n", "ES256", P256, pair(N256, N256))
made("ES256: R n, S 1", "ES256", P256, pair(N256, 1))
made("ES256: R and S of ones", "ES256", P256, b"\xff" * 64)
made("ES256: the other S, which is as good", "ES256", P256,
     lambda k, d: (lambda r, s: pair(r, N256 - s))(*halves(k, d)), "ok")
made("ES512: halves of 65", "ES512", KEYS["rfc7520-p521"],
     lambda k, d: (lambda s: s[1:66] + s[67:])(sign("ES512", k, d)))
made("RS256: the digest's algorithm without NULL", "RS256", RSA,
     lambda k, d: rsa_pkcs1(k, d, "sha256", bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"))
made("RS256: no digest info", "RS256", RSA, lambda k, d: rsa_pkcs1(k, d, "sha256", b""))
made("RS256: SHA-512 inside", "RS256", RSA, lambda k, d: rsa_pkcs1(k, d, "sha512"))
made("RS256: the name of SHA-512, a digest of SHA-256", "RS256", RSA,
     lambda k, d: rsa_pkcs1(k, d, "sha256", DIGEST_INFO["sha512"]))
made("RS256: bytes behind the digest", "RS256", RSA, lambda k, d: rsa_raw(
     k, b"\0\1" + b"\xff" * 8 + b"\0" + DIGEST_INFO["sha256"] + hashlib.sha256(d).digest() + b"x" * 194))
made("RS256: signature plus modulus", "RS256", RSA, lambda k, d: (
     int.from_bytes(rsa_pkcs1(k, d, "sha256"), "big") + number(k["n"])).to_bytes(257, "big"))
made("RS256: PSS", "RS256", RSA, lambda k, d: rsa_pss(k, d, "sha256"))
made("PS256: PKCS#1", "PS256", RSA, lambda k, d: rsa_pkcs1(k, d, "sha256"))
made("PS256: no salt", "PS256", RSA, lambda k, d: rsa_pss(k, d, "sha256", 0))
made("PS256: a salt of 20", "PS256", RSA, lambda k, d: rsa_pss(k, d, "sha256", 20))
made("PS256: the longest salt", "PS256", RSA, lambda k, d: rsa_pss(k, d, "sha256", 222))
made("PS256: SHA-1 in MGF1", "PS256", RSA, lambda k, d: rsa_pss(k, d, "sha256", mgf="sha1"))
made("PS256: SHA-512 in MGF1", "PS256", RSA, lambda k, d: rsa_pss(k, d, "sha256", mgf="sha512"))
made("PS512: a salt as long as of SHA-256", "PS512", RSA, lambda k, d: rsa_pss(k, d, "sha512", 32))
made("RS256: signature 0", "RS256", RSA, bytes(256))
made("RS256: signature 1", "RS256", RSA, bytes(255) + b"\1")
made("RS256: signature n-1", "RS256", RSA, (number(RSA["n"]) - 1).to_bytes(256, "big"))
made("EdDSA: S plus the order", "EdDSA", ED, lambda k, d: (lambda s: s[:32] + (
     int.from_bytes(s[32:], "little") + ED25519_ORDER).to_bytes(32, "little"))(sign("EdDSA", k, d)))
made("EdDSA: R of small order, S 0", "EdDSA", ED, b"\1" + bytes(63))
made("EdDSA: of another message", "EdDSA", ED, lambda k, d: sign("EdDSA", k, d + b"x"))
good("Ed25519, the other name", token({"alg": "Ed25519"}, CLAIMS, KEYS["rfc8037-ed25519"]),
     key="rfc8037-ed25519 public", algorithms=["Ed25519"])
good("Ed25519 beside EdDSA", token({"alg": "Ed25519"}, CLAIMS, KEYS["rfc8037-ed25519"]),
     key="rfc8037-ed25519 public", algorithms=["EdDSA", "Ed25519"])
case("Ed25519 where EdDSA is wanted", token({"alg": "Ed25519"}, CLAIMS, KEYS["rfc8037-ed25519"]),
     key="rfc8037-ed25519 public", algorithms=["EdDSA"], message="algorithm")
case("EdDSA where Ed25519 is wanted", token({"alg": "EdDSA"}, CLAIMS, KEYS["rfc8037-ed25519"]),
     key="rfc8037-ed25519 public", algorithms=["Ed25519"], message="algorithm")
case("Ed25519 with an EC key", token({"alg": "Ed25519"}, CLAIMS, KEYS["rfc8037-ed25519"]),
     "configuration", key="rfc7515-p256 public", algorithms=["Ed25519"], message="no key")
case("Ed448", token({"alg": "Ed448"}, CLAIMS, KEYS["rfc8037-ed25519"]), key="rfc8037-ed25519 public",
     algorithms=["EdDSA", "Ed25519"], message="algorithm")
case("EdDSA: a public key of small order", token({"alg": "EdDSA"}, CLAIMS, ED, signature=b"\1" + bytes(63)),
     key=named("ed25519 of small order", "jwk", {"kty": "OKP", "crv": "Ed25519", "x": b64(b"\1" + bytes(31))}),
     algorithms=["EdDSA"], message=SIGNATURE)
good("RS256: exponent 3", token({"alg": "RS256"}, CLAIMS, KEYS["rsa-3"]), key="rsa-3", algorithms=["RS256"])
size = len(unb64(KEYS["rsa-3"]["n"]))
prefix = b"\0\1" + b"\xff" * 8 + b"\0" + DIGEST_INFO["sha256"]


def cube_root(n):
    low, high = 0, 1 << (n.bit_length() // 3 + 1)
    while low < high:
        mid = (low + high + 1) // 2
        low, high = (mid, high) if mid**3 <= n else (low, mid - 1)
    return low


case("RS256: exponent 3, a forged cube", token({"alg": "RS256"}, CLAIMS, None, signature=lambda _, d: cube_root(
     int.from_bytes((prefix + hashlib.sha256(d).digest()).ljust(size, b"\xff"), "big")).to_bytes(size, "big")),
     key="rsa-3", algorithms=["RS256"], message=SIGNATURE)

# ---- invalid arguments, whatever the token --------------------------------------------------------

CONFIG = "configuration"
case("no algorithms", hs(), CONFIG, algorithms=[], message="algorithms")
case("no algorithms, and no token", "", CONFIG, algorithms=[])
case("an algorithm there is not", hs(), CONFIG, algorithms=["HS256", "none"], message="algorithm")
case("an algorithm in other case", hs(), CONFIG, algorithms=["hs256"])
case("no keys", hs(), CONFIG, key=[], message="key")
case("a secret for RS256", hs(), CONFIG, algorithms=["RS256"], message="no key")
case("an RSA key for HS256", hs(), CONFIG, key="rsa pem", message="no key")
case("an RSA key for ES256", hs(), CONFIG, key="rsa pem", algorithms=["ES256"])
case("a P-256 key for ES384", hs(), CONFIG, key="p256 pem", algorithms=["ES384"])
case("an Ed25519 key for ES256", hs(), CONFIG, key="ed25519 pem", algorithms=["ES256"])
case("a secret of 32 bytes for HS384", hs(), CONFIG, key="secret 32", algorithms=["HS384"])
case("a secret of 48 bytes for HS512", hs(), CONFIG, key="secret 48", algorithms=["HS512"])
case("a secret kept for HS512", hs(), CONFIG, key="secret for HS512")
case("a set without such a key", hs(), CONFIG, key="set", algorithms=["ES512"])
case("an empty set", hs(), CONFIG, key=named("empty set", "jwks", {"keys": []}))
case("leeway below 0", hs(), CONFIG, leeway=-1, message="leeway")
case("leeway of two days", hs(), CONFIG, leeway=172800, message="leeway")
case("now 0", hs(), CONFIG, now=0, message="now")
case("now below 0", hs(), CONFIG, now=-1, message="now")
case("an empty audience", hs(), CONFIG, audience="")
case("an empty audience in a list", hs(), CONFIG, audience=["a", ""])
case("an empty issuer", hs(), CONFIG, issuer="")
case("an empty name required", hs(), CONFIG, require=[""])

# ---- accepted and rejected keys -------------------------------------------------------------------

# ---- checks left to the caller --------------------------------------------------------------------

OVER = CLAIMS | {"exp": NOW - 60}
for what, aud in (("one", "a"), ("several", ["a", "b"]), ("none", [])):
    good(f"any audience: {what}", hs(CLAIMS | {"aud": aud}), claims=CLAIMS | {"aud": aud}, any_audience=True)
good("any audience: no aud", hs(), any_audience=True)
for what, aud in (("a number", 5), ("null", None), ("a list with a number", ["a", 5])):
    case(f"any audience: {what}", hs(CLAIMS | {"aud": aud}), message="aud", any_audience=True)
case("any audience: expired", hs(OVER | {"aud": "a"}), "expired_token", any_audience=True)
case("any audience: another signature", hs({"aud": "a"})[:-4] + "AAAA", any_audience=True, message=SIGNATURE)
good("any expiry: expired", hs(OVER), claims=OVER, verify_exp=False)
good("any expiry: long ago", hs({"exp": -5}), claims={"exp": -5}, verify_exp=False)
good("any expiry: no exp", hs({"sub": "bob"}), claims={"sub": "bob"}, verify_exp=False)
good("expiry that is looked at", hs(), verify_exp=True)
case("any expiry: exp a string", hs({"exp": str(NOW)}), message="exp is not a number", verify_exp=False)
case("any expiry: exp null", hs({"exp": None}), message="exp is not a number", verify_exp=False)
case("any expiry: exp required", hs({"sub": "bob"}), message="required", verify_exp=False, require=["exp"])
case("any expiry: another audience", hs(OVER | {"aud": "a"}), message="another audience", verify_exp=False, audience="b")
case("any expiry: not yet", hs(OVER | {"nbf": NOW + 60}), message="nbf", verify_exp=False)

# ---- unverified headers ---------------------------------------------------------------------------

HEADER = []


def header_of(name, token_, verdict="invalid_token", **more):
    HEADER.append({"name": name, "token": token_, "verdict": verdict, **more})


for what, value in (("plain", {"alg": "HS256", "typ": "JWT"}), ("kid", {"alg": "RS256", "kid": "k", "x5t": "x"}),
                    ("none", {"alg": "none"}), ("unknown alg", {"alg": "XX", "crit": ["x"]}), ("empty", {})):  # fmt: skip
    header_of(what, b64(raw(value)) + ".e30.AAAA", "ok", header=value)
header_of("no base64 behind it", b64(raw({"alg": "x"})) + ".!.!", "ok", header={"alg": "x"})
header_of("no JSON", b64(b"{") + ".e30.AAAA", message="header")
header_of("no object", b64(b"[]") + ".e30.AAAA", message="not a JSON object")
header_of("a name twice", b64(b'{"kid":"a","kid":"b"}') + ".e30.AAAA", message="header")
header_of("deep", b64(b'{"a":' + b"[" * 40 + b"]" * 40 + b"}") + ".e30.AAAA", message="header")
header_of("padding", b64(raw({"alg": "HS256"})) + "=.e30.AAAA", message="base64url")
header_of("two parts", b64(raw({"alg": "HS256"})) + ".e30", message="three parts")
header_of("four parts", b64(raw({"alg": "HS256"})) + ".e30.AAAA.AAAA", message="three parts")
header_of("empty text", "", message="empty")
header_of("too long", b64(raw({"alg": "HS256"})) + ".e30." + "A" * 8192, message="8192")
header_of("longer than usual", b64(raw({"alg": "HS256"})) + ".e30." + "A" * 8192, "ok", header={"alg": "HS256"}, max_size=9000)
header_of("no UTF-8", b64(b'{"kid":"\xff"}') + ".e30.AAAA", message="header")

LOAD = []


def load(name, how, value, verdict="configuration", **more):
    LOAD.append({"name": name, "load": how, "value": value, "verdict": verdict, **more})


RS_PS = ALGS[3:9]
for name, algorithms in (("rfc7520-rsa", RS_PS), ("rfc7515-p256", ["ES256"]), ("p384", ["ES384"]),
                         ("rfc7520-p521", ["ES512"]), ("rfc8037-ed25519", ["EdDSA", "Ed25519"])):  # fmt: skip
    load(f"JWK {name}, private", "jwk", private(name), "ok", algorithms=algorithms, can_sign=True)
    load(f"JWK {name}, public", "jwk", public(name), "ok", algorithms=algorithms, can_sign=False)
    load(f"SPKI {name}", "pem", spki(name), "ok", algorithms=algorithms, can_sign=False)
    load(f"PKCS#8 {name}", "pem", pem_private(name, "PKCS8"), "ok", algorithms=algorithms, can_sign=True)
load("PKCS#1 public", "pem", pkcs1("rfc7520-rsa"), "ok", algorithms=RS_PS, can_sign=False)
load("PKCS#1 private", "pem", pem_private("rfc7520-rsa", "TraditionalOpenSSL"), "ok", algorithms=RS_PS, can_sign=True)
load("PKCS#8, encrypted", "pem", pem_private("rfc7520-rsa", "PKCS8").replace("PRIVATE", "ENCRYPTED PRIVATE"), message="encrypted")
load("PKCS#1 private, encrypted", "pem", pem_private("rfc7520-rsa", "TraditionalOpenSSL").replace(
     "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n", 1), message="encrypted")
OPENED = {"PKCS#8 rfc7520-rsa": RS_PS, "PKCS#8 rfc7515-p256, scrypt": ["ES256"], "PKCS#8 rfc8037-ed25519": ["EdDSA", "Ed25519"],
          "PKCS#8 rfc7515-p256, 3DES": ["ES256"], "PKCS#1 rfc7520-rsa": RS_PS, "SEC 1 rfc7515-p256": ["ES256"]}  # fmt: skip
for name, algorithms in OPENED.items():
    text, of = ENCRYPTED["pem"][name], {"algorithms": algorithms, "can_sign": True}
    load(f"encrypted: {name}", "pem", text, "ok", password=ENCRYPTED["password"], **of)
    load(f"encrypted: {name}, indented", "pem", text.replace("\n", "\n  "), "ok", password=ENCRYPTED["password"], **of)
    load(f"encrypted: {name}, literal newlines", "pem", text.replace("\n", "\\n"), "ok", password=ENCRYPTED["password"], **of)
    load(f"encrypted: {name}, another password", "pem", text, password=ENCRYPTED["password"] + "x", message="password is wrong")
    load(f"encrypted: {name}, an empty password", "pem", text, password="", message="password is wrong")
    load(f"encrypted: {name}, no password", "pem", text, message="give its password")
load("encrypted: with an empty password", "pem", ENCRYPTED["pem"]["PKCS#8 rfc8037-ed25519, no password"], "ok", password="",
     algorithms=["EdDSA", "Ed25519"], can_sign=True)
load("encrypted: a password that is too long", "pem", ENCRYPTED["pem"]["PKCS#8 rfc7520-rsa"], password="x" * 1001, message="1000")
load("encrypted: a password of 1000 bytes", "pem", ENCRYPTED["pem"]["PKCS#1 rfc7520-rsa"], password="x" * 1000, message="password is wrong")
load("encrypted: restricted, with a kid", "pem", ENCRYPTED["pem"]["PKCS#8 rfc7520-rsa"], "ok", password=ENCRYPTED["password"], kid="k",
     algorithm="PS256", algorithms=["PS256"], can_sign=True)
load("a password for what is not encrypted", "pem", pem_private("rfc7520-rsa", "PKCS8"), "ok", password="x", algorithms=RS_PS, can_sign=True)
load("PKCS#8 that is only called encrypted", "pem", pem_private("rfc7520-rsa", "PKCS8").replace("PRIVATE", "ENCRYPTED PRIVATE"),
     password="x", message="corrupt")
load("encrypted: two in one text", "pem", ENCRYPTED["pem"]["PKCS#8 rfc8037-ed25519"] * 2, password=ENCRYPTED["password"], message="more than one")
load("encrypted with no cipher that there is", "pem", ENCRYPTED["pem"]["PKCS#1 rfc7520-rsa"].replace("AES-256-CBC", "AES-999-CBC"),
     password=ENCRYPTED["password"], message="cipher")
SEALED = ENCRYPTED["pem"]["PKCS#8 rfc8037-ed25519"].split("\n")
LONGER = base64.encodebytes(base64.b64decode("".join(SEALED[1:-2])) + b"\0").decode()
load("encrypted: a byte behind the key", "pem", f"{SEALED[0]}\n{LONGER}{SEALED[-2]}\n", password=ENCRYPTED["password"], message="corrupt")
load("encrypted: half of its headers", "pem", ENCRYPTED["pem"]["PKCS#1 rfc7520-rsa"].replace("DEK-Info", "X-Info"),
     password=ENCRYPTED["password"], message="corrupt")
load("SEC 1 private", "pem", pem_private("rfc7515-p256", "TraditionalOpenSSL"), "ok", algorithms=["ES256"], can_sign=True)
CERTIFICATE = (HERE / "jwt_certificate.pem").read_text()
load("certificate", "pem", CERTIFICATE, "ok", algorithms=RS_PS, can_sign=False)
load("PEM with words around it", "pem", "Bag Attributes: x\n" + spki("rfc7515-p256") + "the end\n", "ok",
     algorithms=["ES256"], can_sign=False)
load("PEM with CRLF", "pem", spki("rfc7515-p256").replace("\n", "\r\n"), "ok", algorithms=["ES256"], can_sign=False)
for what, of in (("P-256", "rfc7515-p256"), ("RSA", "rfc7520-rsa")):
    text, can = spki(of), {"algorithms": ["ES256"] if of == "rfc7515-p256" else RS_PS, "can_sign": False}
    for how, spelled in (("literal newlines", text.replace("\n", "\\n")), ("literal CRLF", text.replace("\n", "\\r\\n")),
                         ("two backslashes", text.replace("\n", "\\\\n")), ("indented", text.replace("-----BEGIN", "    -----BEGIN").replace("\n", "\n    ")),
                         ("tabs", text.replace("\n", "\n\t")), ("on one line", text.replace("\n", " ")),
                         ("without newlines", text.replace("\n", "")), ("CR", text.replace("\n", "\r")),
                         ("a byte order mark", "\ufeff" + text), ("quotes", '"' + text.replace("\n", "\\n") + '"'),
                         ("as JSON writes it", json.dumps(text).replace("/", "\\/")), ("blank lines", text.replace("\n", "\n\n")),
                         ("no newline at the end", text.rstrip()), ("blanks at the ends of lines", text.replace("\n", "  \n"))):  # fmt: skip
        load(f"PEM of {what}, {how}", "pem", spelled, "ok", **can)
load("PEM of PKCS#8 with literal newlines", "pem", pem_private("rfc7520-rsa", "PKCS8").replace("\n", "\\n"), "ok",
     algorithms=RS_PS, can_sign=True)
load("PEM, encrypted, indented", "pem", ("x\n" + pem_private("rfc7520-rsa", "TraditionalOpenSSL").replace(
     "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n", 1)).replace("\n", "\n  "), message="encrypted")
load("PEM, two on one line", "pem", (spki("rfc7520-rsa") + spki("rfc7515-p256")).replace("\n", " "), message="more than one")
load("no PEM: base64 of it", "pem", base64.b64encode(spki("rfc7515-p256").encode()).decode(), message="decode it first")
for quote in (urllib.parse.quote, urllib.parse.quote_plus):
    load(f"no PEM: percent-encoded, {quote.__name__}", "pem", quote(spki("rfc7515-p256")), message="percent-encoded")
load("no PEM: OpenPGP", "pem", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n", message="OpenPGP")
load("PEM, encrypted, on one line", "pem", pem_private("rfc7520-rsa", "TraditionalOpenSSL").replace(
     "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n", 1).replace("\n", " "),
     message="with its newlines")
load("no PEM: the base64 inside", "pem", base64.b64encode(spki_der("rfc7515-p256")).decode(), message="first and last line")
load("no PEM: a JWK", "pem", compact(public("rfc7515-p256")), message="from_jwk")
load("no PEM: a JWKS", "pem", " " + compact({"keys": []}), message="from_jwk")
load("no PEM: SSH", "pem", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFzZGZhc2RmYXNkZmFzZGZhc2Rm me", message="ssh-keygen -e")
load("no PEM: RFC 4716", "pem", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", message="ssh-keygen -e")
load("no PEM: OpenSSH's private form", "pem", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n"
     "-----END OPENSSH PRIVATE KEY-----\n", message="ssh-keygen -p")
load("no PEM: a path", "pem", "/etc/keys/public", message="file name")
load("no PEM: a file's name", "pem", "public.pem", message="file name")
load("PEM with kid", "pem", spki("rfc7515-p256"), "ok", kid="k", algorithms=["ES256"], can_sign=False)
load("PEM kept for PS256", "pem", spki("rfc7520-rsa"), "ok", algorithm="PS256", algorithms=["PS256"], can_sign=False)
load("PEM kept for what it cannot do", "pem", spki("rfc7520-rsa"), algorithm="ES256")
load("two keys in one PEM text", "pem", spki("rfc7520-rsa") + spki("rfc7515-p256"), message="more than one")
load("two certificates in one PEM text", "pem", CERTIFICATE * 2, message="more than one")
load("PEM, empty", "pem", "", message="empty")
load("PEM that is none", "pem", "hello")
load("PEM without an end", "pem", spki("rfc7520-rsa")[:200], message="without its")
load("PEM with broken base64", "pem", spki("rfc7520-rsa").replace("M", "*", 1), message="base64 is invalid")
load("PEM with two labels", "pem", spki("rfc7520-rsa").replace("END PUBLIC", "END PRIVATE"), message="labels differ")
load("PEM of another thing", "pem", "-----BEGIN THING-----\nAAAA\n-----END THING-----\n")
load("PEM of nothing", "pem", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")
load("PEM with a byte behind the key", "pem", "-----BEGIN PUBLIC KEY-----\n"
     + base64.b64encode(spki_der("rfc7515-p256") + b"\0").decode() + "\n-----END PUBLIC KEY-----\n")
load("PEM of EC, the point at infinity", "pem", "-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(bytes.fromhex(
     "3019301306072a8648ce3d020106082a8648ce3d03010703020000")).decode() + "\n-----END PUBLIC KEY-----\n")
load("PEM of secp256k1", "pem", spki("k256"), message="curve")
load("PEM of P-256 with the curve written out", "pem", (HERE / "jwt_explicit_curve.pem").read_text(), message="curve")
PSS_ONLY = spki_der("rfc7520-rsa").replace(bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("300b06092a864886f70d01010a"))
PSS_ONLY = b"\x30\x82" + (len(PSS_ONLY) - 4).to_bytes(2, "big") + PSS_ONLY[4:]
load("PEM of RSA-PSS", "pem", "-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(PSS_ONLY).decode()
     + "-----END PUBLIC KEY-----\n", message="RSA, EC or Ed25519")
load("PEM of RSA with 1024 bits", "pem", spki("rsa-1024"), message="2048")
load("JWK kept for EdDSA", "jwk", public("rfc8037-ed25519", alg="EdDSA"), "ok", algorithms=["EdDSA"], can_sign=False)
load("JWK kept for Ed25519", "jwk", public("rfc8037-ed25519", alg="Ed25519"), "ok", algorithms=["Ed25519"], can_sign=False)
load("JWK of RSA with 1024 bits", "jwk", public("rsa-1024"), message="2048")
load("JWK of RSA with 1024 bits, private", "jwk", private("rsa-1024"), message="2048")
load("JWK of RSA with 2047 bits", "jwk", public("rfc7520-rsa", n=b64((number(RSA["n"]) >> 1 | 1).to_bytes(256, "big"))))
load("JWK of RSA with 16384 bits", "jwk", public("rfc7520-rsa", n=b64(b"\xff" * 2048)), message="has a key parameter of more")
load("JWK of RSA with 8200 bits", "jwk", public("rfc7520-rsa", n=b64(b"\xff" * 1025)), message="8200 bits")
load("JWK of RSA, e 1", "jwk", public("rfc7520-rsa", e="AQ"))
load("JWK of RSA, e 0", "jwk", public("rfc7520-rsa", e="AA"))
load("JWK of RSA, e even", "jwk", public("rfc7520-rsa", e="AQAA"))
load("JWK of RSA, e 3", "jwk", public("rsa-3"), "ok", algorithms=RS_PS, can_sign=False)
load("JWK of RSA, e as long as n", "jwk", public("rfc7520-rsa", e=RSA["n"]))
load("JWK of RSA, n even", "jwk", public("rfc7520-rsa", n=b64((number(RSA["n"]) - 1).to_bytes(256, "big"))))
load("JWK of RSA, n with a zero in front", "jwk", public("rfc7520-rsa", n=b64(b"\0" + unb64(RSA["n"]))), "ok",
     algorithms=RS_PS, can_sign=False)
load("JWK of RSA, n, e and d alone", "jwk", public("rfc7520-rsa", d=RSA["d"]), "ok", algorithms=RS_PS, can_sign=True)
for lacking in ("n", "e", "p", "qi", "d"):
    load(f"JWK of RSA without {lacking}", "jwk", {k: v for k, v in RSA.items() if k != lacking})
load("JWK of RSA, d of another key", "jwk", private("rfc7520-rsa", d=KEYS["rsa-other"]["d"]))
load("JWK of RSA, private half of another key", "jwk", private("rsa-other", n=RSA["n"]))
load("JWK of RSA with oth", "jwk", private("rfc7520-rsa", oth=[]))
load("JWK of RSA, n with padding", "jwk", public("rfc7520-rsa", n=RSA["n"] + "=="))
load("JWK of RSA, n a number", "jwk", public("rfc7520-rsa", n=65537))
load("JWK of RSA, n empty", "jwk", public("rfc7520-rsa", n=""))
load("JWK of EC, not on the curve", "jwk", public("rfc7515-p256", y=P256["x"]))
load("JWK of EC, x 0, y 0", "jwk", public("rfc7515-p256", x=b64(bytes(32)), y=b64(bytes(32))))
load("JWK of EC, x too short", "jwk", public("rfc7515-p256", x=b64(unb64(P256["x"])[1:])))
load("JWK of EC, x of ten KiB", "jwk", public("rfc7515-p256", x=b64(bytes(10240)), y=P256["y"]))
load("JWK of EC, x too long", "jwk", public("rfc7515-p256", x=b64(b"\0" + unb64(P256["x"]))))
load("JWK of EC without y", "jwk", {k: v for k, v in public("rfc7515-p256").items() if k != "y"})
load("JWK of EC, point of P-256 on P-384", "jwk", public("rfc7515-p256", crv="P-384"))
load("JWK of EC, secp256k1", "jwk", public("k256"))
load("JWK of EC without crv", "jwk", {k: v for k, v in public("rfc7515-p256").items() if k != "crv"})
load("JWK of EC, private half of another key", "jwk", private("rfc7515-p256", d=KEYS["p256-other"]["d"]))
load("JWK of EC, d 0", "jwk", private("rfc7515-p256", d=b64(bytes(32))))
load("JWK of EC, d empty", "jwk", private("rfc7515-p256", d=""))
load("JWK of EC, d too short", "jwk", private("rfc7515-p256", d=b64(b"\1")))
load("JWK of EC, d without its leading zero", "jwk", private("rfc7520-p521", d=b64(unb64(KEYS["rfc7520-p521"]["d"])[1:])))
load("JWK of EC, x without its leading zero", "jwk", public("rfc7520-p521", x=b64(unb64(KEYS["rfc7520-p521"]["x"])[1:])))
load("JWK of OKP, x too short", "jwk", public("rfc8037-ed25519", x=b64(bytes(31))))
load("JWK of OKP, Ed448", "jwk", public("rfc8037-ed25519", crv="Ed448"))
load("JWK of OKP, X25519", "jwk", public("rfc8037-ed25519", crv="X25519"))
load("JWK of OKP, private half of another key", "jwk", private("rfc8037-ed25519", d=KEYS["ed25519-other"]["d"]))
load("JWK of OKP without x", "jwk", {k: v for k, v in ED.items() if k != "x"})
load("JWK of oct", "jwk", SECRET, "ok", algorithms=ALGS[:3], can_sign=True)
load("JWK of oct, 31 bytes", "jwk", {"kty": "oct", "k": b64(bytes(range(31)))}, message="too short")
load("JWK of oct, empty", "jwk", {"kty": "oct", "k": ""})
load("JWK of oct without k", "jwk", {"kty": "oct"})
load("JWK of oct with padding", "jwk", {"kty": "oct", "k": b64(bytes(32)) + "="})
load("JWK of oct that is a PEM text", "jwk", {"kty": "oct", "k": b64(spki("rfc7520-rsa").encode())}, message="another type")
load("JWK of oct kept for HS512", "jwk", SECRET | {"alg": "HS512"}, "ok", algorithms=["HS512"], can_sign=True)
load("JWK of oct of 32 bytes kept for HS512", "jwk", {"kty": "oct", "k": b64(bytes(range(32))), "alg": "HS512"})
load("JWK kept for another kind's algorithm", "jwk", SECRET | {"alg": "RS256"})
load("JWK for encryption", "jwk", public("rfc7520-rsa", alg="RSA-OAEP"))
load("JWK, use enc", "jwk", public("rfc7520-rsa", use="enc"), message="use")
load("JWK, use sig", "jwk", public("rfc7520-rsa", use="sig"), "ok", algorithms=RS_PS, can_sign=False)
load("JWK, key_ops verify", "jwk", private("rfc7520-rsa", key_ops=["verify"]), "ok", algorithms=RS_PS, can_sign=False)
load("JWK, key_ops sign", "jwk", private("rfc7520-rsa", key_ops=["sign"]), "ok", algorithms=RS_PS, can_sign=True)
load("JWK, key_ops encrypt", "jwk", private("rfc7520-rsa", key_ops=["encrypt"]), message="key_ops")
load("JWK, key_ops no list", "jwk", private("rfc7520-rsa", key_ops="sign"))
load("JWK, kid no string", "jwk", public("rfc7520-rsa", kid=1))
load("JWK with kid", "jwk", public("rfc7520-rsa", kid="k"), "ok", kid="k", algorithms=RS_PS, can_sign=False)
load("JWK, kty unknown", "jwk", {"kty": "AKP"}, message="kty")
load("JWK, kty in other case", "jwk", SECRET | {"kty": "OCT"})
load("JWK without kty", "jwk", {"k": SECRET["k"]})
load("JWK, kty no string", "jwk", {"kty": 1})
for what, text in (("empty", ""), ("no JSON", "{"), ("an array", "[]"), ("null", "null"), ("a string", '"x"'),
                   ("kty twice", '{"kty":"RSA","kty":"oct","k":"' + SECRET["k"] + '"}')):  # fmt: skip
    load(f"JWK text: {what}", "jwk text", text)
    load(f"JWKS text: {what}", "jwks text", text)
load("JWKS", "jwks", NAMED["set"]["value"], "ok", count=4, skipped=5)
load("JWKS, empty", "jwks", {"keys": []}, "ok", count=0, skipped=0)
load("JWKS with odd entries", "jwks", {"keys": [None, 1, "x", [], {}, SECRET]}, "ok", count=1, skipped=5)
load("JWKS without keys", "jwks", {"key": []})
load("JWKS, keys no list", "jwks", {"keys": {}})
load("JWKS, a JWK instead", "jwks", SECRET)
load("secret of 32 bytes", "secret", {"hex": bytes(range(32)).hex()}, "ok", algorithms=["HS256"], can_sign=True)
load("secret of 47 bytes", "secret", {"hex": bytes(range(47)).hex()}, "ok", algorithms=["HS256"], can_sign=True)
load("secret of 48 bytes", "secret", {"hex": bytes(range(48)).hex()}, "ok", algorithms=["HS256", "HS384"], can_sign=True)
load("secret of 64 bytes", "secret", {"hex": bytes(range(64)).hex()}, "ok", algorithms=ALGS[:3], can_sign=True)
load("secret, empty", "secret", "", message="too short")
load("secret, one byte", "secret", "x", message="too short")
load("secret of 31 bytes", "secret", {"hex": bytes(range(31)).hex()}, message="too short")
for what, text in (("SPKI", spki("rfc7520-rsa")), ("PKCS#1", pkcs1("rfc7520-rsa")), ("certificate", CERTIFICATE),
                   ("PKCS#8", pem_private("rfc7520-rsa", "PKCS8")), ("SPKI of EC", spki("rfc7515-p256")),
                   ("SPKI after blanks", "\n  " + spki("rfc7520-rsa")), ("JWK", compact(public("rfc7520-rsa"))),
                   ("JWKS", compact({"keys": [public("rfc7520-rsa")]})),
                   ("SSH key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFzZGZhc2RmYXNkZmFzZGZhc2Rm me"),
                   ("SSH key of EC", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY me")):  # fmt: skip
    load(f"secret that is a {what}", "secret", text, message="another type")
load("secret that is DER", "secret", {"hex": spki_der("rfc7520-rsa").hex()}, message="another type")
load("secret kept for what it cannot do", "secret", {"hex": bytes(range(32)).hex()}, algorithm="HS512")

# ---- export ------------------------------------------------------------------------------------------------------------

EXPORT = []


def thumbprint(jwk):
    """RFC 7638, section 3."""
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = compact({name: jwk[name] for name in names})
    return b64(hashlib.sha256(text.encode()).digest())


def export(name, how, value, jwk=None, **more):
    """A key as a JWK, with or without the private half; without a JWK the export fails."""
    if jwk is None:
        EXPORT.append({"name": name, "load": how, "value": value, **more, "verdict": "configuration"})
        return
    one = {"name": name, "load": how, "value": value, **more, "verdict": "ok",
           "public": {k: v for k, v in jwk.items() if k not in PRIVATE}, "thumbprint": thumbprint(jwk)}
    EXPORT.append(one | ({"private": jwk} if "d" in jwk else {}))


def shown(name, **more):
    alg = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}.get(KEYS[name].get("crv"))
    jwk = {k: v for k, v in KEYS[name].items() if k in PRIVATE | {"kty", "crv", "x", "y", "n", "e"}}
    return jwk | ({"alg": alg} if alg else {}) | more


RFC7638 = {
    "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}  # fmt: skip
assert thumbprint(RFC7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"  # RFC 7638, 3.1
assert thumbprint(KEYS["rfc8037-ed25519"]) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"  # RFC 8037, A.3
export("RFC 7638's example", "jwk", RFC7638, RFC7638)
for name in ("rfc7520-rsa", "rfc7515-p256", "p384", "rfc7520-p521", "rfc8037-ed25519"):
    kid = {"kid": KEYS[name]["kid"]} if "kid" in KEYS[name] else {}
    export(f"{name}, JWK", "jwk", private(name), shown(name, **kid))
    export(f"{name}, public JWK", "jwk", public(name), {k: v for k, v in shown(name, **kid).items() if k not in PRIVATE})
    export(f"{name}, PKCS#8", "pem", pem_private(name, "PKCS8"), shown(name))
    export(f"{name}, SPKI", "pem", spki(name), {k: v for k, v in shown(name).items() if k not in PRIVATE})
export("a private RSA key of n, e and d", "jwk", {k: v for k, v in KEYS["rfc7520-rsa"].items() if k in ("kty", "n", "e", "d")},
       {k: v for k, v in shown("rfc7520-rsa").items() if k in ("kty", "n", "e", "d")})
export("an encrypted key", "pem", ENCRYPTED["pem"]["PKCS#8 rfc7515-p256, scrypt"], shown("rfc7515-p256"), password=ENCRYPTED["password"])
export("kid and algorithm", "pem", spki("rfc7520-rsa"), {k: v for k, v in shown("rfc7520-rsa", alg="PS384", kid="k\u00e9\"").items()
       if k not in PRIVATE}, kid="k\u00e9\"", algorithm="PS384")  # fmt: skip
export("a key that may only verify", "jwk", private("rfc8037-ed25519", key_ops=["verify"]),
       {k: v for k, v in shown("rfc8037-ed25519").items() if k not in PRIVATE})
export("a secret", "secret", {"hex": bytes(range(64)).hex()}, message="a secret")
export("a secret as a JWK", "jwk", SECRET, message="a secret")

# ---- encode --------------------------------------------------------------------------------------------------------------

ENCODE = []


def encode(name, verdict="ok", key="secret 64", algorithm="HS256", claims=CLAIMS, **more):
    ENCODE.append({"name": name, "key": key, "algorithm": algorithm, "claims": claims, **more, "verdict": verdict})


for alg in ALGS:
    jwk = FAMILY[alg][0]
    key = FAMILY[alg][1].removesuffix(" public")
    exact = {} if alg[:2] in ("PS", "ES") else {"token": token({"alg": alg, "typ": "JWT"}, CLAIMS, jwk)}
    encode(f"{alg}", key=key, algorithm=alg, check=FAMILY[alg][1], **exact)
    if alg[:2] != "HS":
        encode(f"{alg} with a public key", "configuration", key=FAMILY[alg][1], algorithm=alg, message="cannot sign")
encode("the key's kid", key="secret with kid", token=token({"alg": "HS256", "typ": "JWT", "kid": "one"}, CLAIMS, SECRET))
encode("another kid", key="secret with kid", headers={"kid": "two"}, check="secret 64",
       token=token({"alg": "HS256", "typ": "JWT", "kid": "two"}, CLAIMS, SECRET))
encode("no kid", key="secret with kid", headers={"kid": None}, token=token({"alg": "HS256", "typ": "JWT"}, CLAIMS, SECRET))
encode("another typ", headers={"typ": "at+jwt"}, token=token({"alg": "HS256", "typ": "at+jwt"}, CLAIMS, SECRET))
encode("no typ", headers={"typ": None}, token=token({"alg": "HS256"}, CLAIMS, SECRET))
encode("a header more", headers={"x": [1, {"y": None}]},
       token=token({"alg": "HS256", "typ": "JWT", "x": [1, {"y": None}]}, CLAIMS, SECRET))
encode("no claims", claims={}, token=token({"alg": "HS256", "typ": "JWT"}, {}, SECRET))
encode("fractions of seconds", claims={"exp": NOW + 0.5}, token=token({"alg": "HS256", "typ": "JWT"}, {"exp": NOW + 0.5}, SECRET))
encode("text that is not ASCII", claims={"sub": "\u00e9\U0001f600\""},
       token=token({"alg": "HS256", "typ": "JWT"}, {"sub": "\u00e9\U0001f600\""}, SECRET))
encode("header alg", "data", headers={"alg": "none"}, message="alg")
encode("header alg that is the same", "data", headers={"alg": "HS256"}, message="alg")
encode("header crit", "data", headers={"crit": ["exp"]}, message="crit")
encode("header b64", "data", headers={"b64": False}, message="b64")
encode("header zip", "data", headers={"zip": "DEF"}, message="zip")
encode("kid that is no string", "data", headers={"kid": 1}, message="kid")
encode("typ that is no string", "data", headers={"typ": ["JWT"]}, message="typ")
for name in ("exp", "nbf", "iat"):
    encode(f"{name} a string", "data", claims={name: str(NOW)}, message="numbers")
    encode(f"{name} null", "data", claims={name: None}, message="numbers")
for what, aud in (("a number", 5), ("null", None), ("true", True), ("an object", {"a": "b"}), ("empty", ""), ("an empty list", []),
                  ("a list with a number", ["a", 5]), ("a list with null", ["a", None]), ("a list of lists", [["a"]]),
                  ("a list of empty texts", ["", ""])):  # fmt: skip
    encode(f"aud is {what}", "data", claims={"aud": aud}, message="aud must be a string or a list")
encode("exp before 1970", "data", claims={"exp": -1}, message="1970")
encode("nbf behind exp", "data", claims={"exp": NOW, "nbf": NOW + 1}, message="nbf is not before exp")
encode("nbf equal to exp", "data", claims={"exp": NOW + 0.5, "nbf": NOW + 0.5}, message="nbf is not before exp")
encode("nbf before exp", claims={"nbf": NOW - 1, "exp": NOW + 0.5},
       token=token({"alg": "HS256", "typ": "JWT"}, {"nbf": NOW - 1, "exp": NOW + 0.5}, SECRET))
for what, cty in (("JWT", "JWT"), ("jwt", "jwt"), ("application/jwt", "application/jwt"), ("a number", 5), ("null", None)):
    encode(f"header cty {what}", "data", headers={"cty": cty}, message="cty")
encode("header cty of another thing", headers={"cty": "application/json"},
       token=token({"alg": "HS256", "typ": "JWT", "cty": "application/json"}, CLAIMS, SECRET))
encode("Ed25519", key="rfc8037-ed25519", algorithm="Ed25519", check="rfc8037-ed25519 public",
       token=token({"alg": "Ed25519", "typ": "JWT"}, CLAIMS, KEYS["rfc8037-ed25519"]))
encode("too long", "data", claims={"x": "y" * 6200}, message="8192")
encode("longer than usual", claims={"x": "y" * 9000}, max_size=20000,
       token=token({"alg": "HS256", "typ": "JWT"}, {"x": "y" * 9000}, SECRET))
encode("longer than max_size says", "data", claims={"x": "y" * 9000}, max_size=10000, message="10000")
encode("max_size beyond what there is", "configuration", max_size=(1 << 20) + 1, message="max_size")
encode("a secret of 32 bytes for HS512", "configuration", key="secret 32", algorithm="HS512")
encode("a secret for RS256", "configuration", algorithm="RS256")
encode("an RSA key for HS256", "configuration", key="rfc7520-rsa")
encode("an RSA key for ES256", "configuration", key="rfc7520-rsa", algorithm="ES256")
encode("a P-256 key for ES384", "configuration", key="rfc7515-p256", algorithm="ES384")
encode("a secret kept for HS512", "configuration", key="secret for HS512")
encode("algorithm none", "configuration", algorithm="none")
encode("algorithm in other case", "configuration", algorithm="hs256")
encode("no algorithm", "configuration", algorithm="")


def main():
    def lines(items):
        return "[\n" + ",\n".join("    " + json.dumps(i, ensure_ascii=True) for i in items) + "\n  ]"

    keys = "{\n" + ",\n".join(f"    {json.dumps(n)}: {json.dumps(k)}" for n, k in NAMED.items()) + "\n  }"
    about = "JWTs: which are good, which keys are taken, what encode makes. Made by make_jwt.py; see README.md."
    (HERE / "jwt.json").write_text(
        f'{{\n  "about": {json.dumps(about)},\n  "now": {NOW},\n  "keys": {keys},\n  "load": {lines(LOAD)},\n'
        f'  "decode": {lines(DECODE)},\n  "header": {lines(HEADER)},\n  "export": {lines(EXPORT)},\n'
        f'  "encode": {lines(ENCODE)}\n}}\n')
    print(f"{len(LOAD)} keys, {len(DECODE)} tokens to decode, {len(HEADER)} headers, {len(EXPORT)} to export, "
          f"{len(ENCODE)} to encode")


if __name__ == "__main__":
    main()
