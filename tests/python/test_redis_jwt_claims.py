"""RedisJWT: claims are read correctly in any formatting; the common one needs no parser."""

from __future__ import annotations

import base64
import hmac
import json

import pytest

import tokenstore
from servers import Server
from tokenstore import RedisJWT
from topologies import tagged

SECRET = "a secret of thirty-two bytes, yes"
ID = tagged("507f191e810c19729de860ea")


@pytest.fixture
def sessions(client: tokenstore.Client) -> RedisJWT:
    return RedisJWT(client, secret=SECRET)


def make_token(payload: str) -> str:
    """A token with exactly this payload."""

    def encode(part: bytes) -> bytes:
        return base64.urlsafe_b64encode(part).rstrip(b"=")

    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(payload.encode())
    mac = hmac.digest(SECRET.encode(), signed, "sha256")
    return (signed + b"." + encode(mac)).decode()


@pytest.mark.parametrize(
    "spelling",
    [
        '{"rjwt":"%s","iat":5}',
        '{"rjwt":"%s","iat":0}',
        '{"rjwt":"%s","iat":999999999999999}',
        '{"rjwt":"%s","iat":9007199254740991}',
        '{"rjwt":"%s","iat":9007199254740993}',
        '{"rjwt":"%s","iat":5,"user_id":281674916028284930,"t":"\\u0000\\ud800"}',
        '{"rjwt":"%s","iat":-5}',
        '{"rjwt":"%s","iat":5.5}',
        '{"rjwt":"%s","iat":5e3}',
        '{"iat":5,"rjwt":"%s"}',
        '{"rjwt":"%s"}',
        ' { "rjwt" : "%s", "iat" : 5 } ',
        '{"rjwt":"%s","iat":5,"dataToken":{"a":[1,null]}}',
        '{"rjwt":"%s","iat":5,"id":7,"ttl":"x","dataSession":[]}',
    ],
)
def test_every_spelling_of_claims_is_read_alike(
    sessions: RedisJWT, server: Server, spelling: str
) -> None:
    for id in (ID, tagged('b\\"ö\x7f')):
        key = f"{id}:ABCDEFGHIJK"
        server("SET", key, json.dumps({"rjwt": key, "dataSession": {"role": "admin"}}))
        claims = json.loads(spelling % json.dumps(key)[1:-1])
        token = make_token(spelling % json.dumps(key, ensure_ascii=id == ID)[1:-1])
        expected = {**claims, "id": id, "ttl": -1}
        expected.pop("dataSession", None)
        assert sessions.verify(token) == expected
        assert sessions.verify(token, True) == {**expected, "dataSession": {"role": "admin"}}


@pytest.mark.parametrize(
    "payload",
    [
        '{"rjwt":"%s","iat":05}',
        '{"rjwt":"%s","iat":}',
        '{"rjwt":"%s","iat":' + "9" * 400 + "}",
        '{"rjwt":"%s","iat":5}}',
        '{"rjwt":"%s","iat":5} x',
        '{"rjwt":"%s","iat":5',
        '{"rjwt":"%s","iat":"5"}',
        '{"rjwt":"%s","iat":5,"exp":5}',
        '{"rjwt":"%s","iat":5,"aud":"a"}',
        '{"rjwt":"%s","rjwt":"%s"}',
        '{"rjwt":"%s',
        '{"rjwt":"',
        "%s",
    ],
)
def test_claims_that_are_refused(sessions: RedisJWT, server: Server, payload: str) -> None:
    key = f"{ID}:ABCDEFGHIJK"
    server("SET", key, json.dumps({"rjwt": key}))
    with pytest.raises(tokenstore.InvalidTokenError):
        sessions.verify(make_token(payload.replace("%s", key)))
