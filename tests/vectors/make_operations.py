"""Writes operations.json: `python3 tests/vectors/make_operations.py`.

This script computes the digests and the RESP. It uses keys.py for the stored format, not the library.
"""

import json

import operation_notation
from keys import Place, created, record
from operation_notation import (
    Error,
    Status,
    by_text,
    eval_,
    join,
    lost,
    replies,
    script,
    send,
    sleep,
    text,
)

NOW = 1700000000000
US = 1699999999123456
SERVER = NOW + 7200000  # the server's clock: two hours ahead of ours, which must not matter
TIME = [b"%d" % (SERVER // 1000), b"999"]
APP, TYPE, OWNER = b"app", b"type", b"bob"
CUSTOM = b"my-custom-token"

cases = []


def case(*args, **more):
    cases.append(operation_notation.case(*args, **more))


# ---- a stored token ------------------------------------------------------------------------------


class Stored:
    def __init__(self, token=None, owner=OWNER, data=None, prefix=b"ts", pepper=b"", us=US,
                 app=APP, type_=TYPE):  # fmt: skip
        self.app, self.type, self.owner_name = app, type_, owner
        self.owner = Place(b"o", app, type_, owner, prefix, pepper)
        self.token = token or b"0" + self.owner.tag.encode() + b"A" * 43
        self.place = Place(b"t", app, type_, self.token, prefix, pepper)
        self.key, self.check = self.place.record_key, self.place.check.encode()
        self.data = data or {}
        self.us = us
        self.head = created(us).encode() + self.check
        self.foreign = self.place.tag != self.owner.tag
        self.data_text = json.dumps(self.data, separators=(",", ":"), ensure_ascii=False).encode()
        self.record = record(us, self.place, owner, self.data_text,
                             self.owner.tag if self.foreign else None)  # fmt: skip
        self.member = (self.place.tag if self.foreign else "") + self.place.digest
        self.member = self.member.encode()

    @property
    def args(self):
        return {"app": self.app, "type": self.type, "token": self.token}

    def result(self, expires_ms=0, **more):
        return {"app": text(self.app), "type": text(self.type), "owner": text(self.owner_name),
                "token": text(self.token), "id": text(self.member), "created_us": self.us,
                "expires_ms": expires_ms, "data": self.data, **more}  # fmt: skip

    def get(self):
        return [b"GET", self.key]

    def pttl(self):
        return [b"PTTL", self.key]

    def refresh(self, ms, max_age=0, later=0):
        return eval_(script("refresh", self.key, self.check, self.owner.names, b"%d" % ms,
                            b"%d" % max_age, b"%d" % later))  # fmt: skip

    def touch(self, ms, max_age=0):
        return self.refresh(ms, max_age, later=1)

    def update(self, *pairs, max_age=0, most=65536):
        return eval_(script("update", self.key, self.check, b"%d" % max_age, b"%d" % most, *pairs))

    def delete(self, max_age=0):
        return eval_(script("delete", self.key, self.check, self.owner.names, b"%d" % max_age))


bob = Stored(data={"name": "n123", "role": "admin"})
custom = Stored(CUSTOM, data={"n": [1, 1.5, {}], "e": []})
HARD = b"*?[]\\^:|{},\"\n\x01\xff"
hard = Stored(b"tok" + HARD, owner=HARD, app=b"app" + HARD, type_=b"type" + HARD)
read = ("read", bob.get())
assert custom.foreign
assert not bob.foreign

# ---- get -----------------------------------------------------------------------------------------

case("get is one plain GET", "get", bob.args,
     [{**send(*read, route=text(bob.key)), **replies(bob.record)}], {"token": bob.result()})
case("get of a custom token names its owner's tag in the id", "get", custom.args,
     [{**send("read", custom.get()), **replies(custom.record)}], {"token": custom.result()})
case("get of hostile names", "get", hard.args,
     [{**send("read", hard.get()), **replies(hard.record)}], {"token": hard.result()})
case("get of an unknown token", "get", bob.args, [{**send(*read), **replies(None)}], {"token": None})

with_pepper = Stored(b"tok", prefix=b"p", pepper=b"pepper pepper 16")
case("get with prefix and pepper", "get", with_pepper.args,
     [{**send("read", with_pepper.get()), **replies(with_pepper.record)}],
     {"token": with_pepper.result()}, options={"prefix": "p", "pepper": "pepper pepper 16"})

for name, token in (("empty", ""), ("1025 bytes long", {"repeat": ["x", 1025]}),
                    ("holding a NUL", {"hex": "78 00 79"})):  # fmt: skip
    case(f"get of a token {name} asks nobody", "get", {**bob.args, "token": token}, [],
         {"token": None})

both = send("read", bob.get(), bob.pttl(), [b"TIME"])
expiry = {**bob.args, "expiry": True}
case("get with expiry", "get", expiry, [{**both, **replies(bob.record, 1234, TIME)}],
     {"token": bob.result(SERVER + 1234)})
case("get with expiry of a token that has none", "get", expiry,
     [{**both, **replies(bob.record, -1, TIME)}], {"token": bob.result()})
case("get with expiry of a token that expires between the two commands", "get", expiry,
     [{**both, **replies(bob.record, -2, TIME)}], {"token": None})
case("get with expiry of an unknown token", "get", expiry, [{**both, **replies(None, -2, TIME)}],
     {"token": None})

sliding = {**bob.args, "refresh": 3600}
touch = send("read", bob.touch(3600000))
case("get with refresh just after a touch writes nothing", "get", sliding,
     [{**both, **replies(bob.record, 3600000 - 59999, TIME)}],
     {"token": bob.result(SERVER + 3600000 - 59999)})
case("get with refresh a touch interval later", "get", sliding,
     [{**both, **replies(bob.record, 3600000 - 60000, TIME)},
      {**touch, **replies([bob.check, SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)})
case("get with refresh of a token without expiry leaves it alone", "get", sliding,
     [{**both, **replies(bob.record, -1, TIME)}], {"token": bob.result()})
case("get with refresh of a token that lives longer leaves it alone", "get", sliding,
     [{**both, **replies(bob.record, 7200000, TIME)}], {"token": bob.result(SERVER + 7200000)},
     options={"touch_interval": 0})
case("get with refresh of a token that dies meanwhile", "get", sliding,
     [{**both, **replies(bob.record, 5, TIME)}, {**touch, **replies([bob.check, 0])}], {"token": None})
case("get with refresh of a token that loses its expiry meanwhile", "get", sliding,
     [{**both, **replies(bob.record, 5, TIME)}, {**touch, **replies([bob.check, -1])}],
     {"token": bob.result()})
case("get with refresh of an unknown token", "get", sliding, [{**both, **replies(None, -2, TIME)}],
     {"token": None})
case("get with refresh and touch_interval 0 always writes", "get", sliding,
     [{**both, **replies(bob.record, 3600000, TIME)}, {**touch, **replies([bob.check, SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)}, options={"touch_interval": 0})
case("get with refresh and a long touch_interval", "get", sliding,
     [{**both, **replies(bob.record, 3600000 - 299000, TIME)}],
     {"token": bob.result(SERVER + 3600000 - 299000)}, options={"touch_interval": 300})
case("get with refresh whose script is unknown to the server", "get", sliding,
     [{**both, **replies(bob.record, 5, TIME)},
      {**touch, **replies(Error("NOSCRIPT No matching script."))},
      {**send("read", by_text(bob.touch(3600000)[1:])), **replies([bob.check, SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)})

# A token is returned even if its slide fails.
unslid = {"token": bob.result(SERVER + 5000)}
for word in ("NOREPLICAS", "MISCONF", "READONLY", "OOM", "NOPERM", "BUSY", "LOADING", "CLUSTERDOWN", "MOVED"):
    leave = {"leave": True} if word == "READONLY" else {}
    case(f"get with refresh on a server that cannot write: {word}", "get", sliding,
         [{**both, **replies(bob.record, 5000, TIME)}, {**touch, **leave, **replies(Error(f"{word} cannot"))}], unslid)
case("get with refresh whose slide has no answer", "get", sliding,
     [{**both, **replies(bob.record, 5000, TIME)}, {**touch, **lost(True)}], unslid)
case("get with refresh whose deadline passes during the slide", "get", sliding,
     [{**both, **replies(bob.record, 5000, TIME)}, {**touch, "deadline": {"sent": True}}], unslid)
case("get with refresh whose slide is answered to somebody else", "get", sliding,
     [{**both, **replies(bob.record, 5000, TIME)}, {**touch, **replies([b"****", SERVER])}],
     error=("connection", "another request"))

# max_age applies to every token, also to those created before it was set. bob was created 7 200.877 s ago.
aged = send("read", bob.get(), [b"TIME"])
age_ms = SERVER - US // 1000
case("get under max_age", "get", bob.args, [{**aged, **replies(bob.record, TIME)}],
     {"token": bob.result()}, options={"max_age": 7201})
case("get beyond max_age", "get", bob.args, [{**aged, **replies(bob.record, TIME)}],
     {"token": None}, options={"max_age": 7200})
case("get with expiry under max_age", "get", expiry, [{**both, **replies(bob.record, 900000, TIME)}],
     {"token": bob.result(US // 1000 + 7260000)}, options={"max_age": 7260})
case("get with expiry under max_age of a token without", "get", expiry,
     [{**both, **replies(bob.record, -1, TIME)}],
     {"token": bob.result(US // 1000 + 7260000)}, options={"max_age": 7260})
case("get with refresh beyond max_age", "get", sliding, [{**both, **replies(bob.record, 5, TIME)}],
     {"token": None}, options={"max_age": 7200})
left = 7300000 - age_ms
case("get with refresh at max_age writes nothing", "get", sliding,
     [{**both, **replies(bob.record, left, TIME)}], {"token": bob.result(SERVER + left)},
     options={"max_age": 7300})
case("get with refresh at max_age writes nothing, whatever the touch_interval", "get", sliding,
     [{**both, **replies(bob.record, left - 900, TIME)}], {"token": bob.result(SERVER + left - 900)},
     options={"max_age": 7300, "touch_interval": 0})
case("get with refresh up to max_age", "get", {**sliding, "refresh": 60},
     [{**both, **replies(bob.record, 5, TIME)},
      {**send("read", bob.touch(60000, 7300000)), **replies([bob.check, SERVER + 60000])}],
     {"token": bob.result(SERVER + 60000)}, options={"max_age": 7300})

# What is stored is not what was asked for. Whether the answers are in step is asked before the failure is told.
said = {"capture": "said", "size": 22}
proof = send("read", [b"EVAL", b"return ARGV[1]", b"0", said])
in_step = {**proof, **replies({"var": "said"})}
other = Stored(b"other token")
case("get whose answer is another token's record", "get", bob.args,
     [{**send(*read), **replies(other.record)}], error=("connection", "another request"))
case("get of what is no record", "get", bob.args, [{**send(*read), **replies(b'{"owner":"bob"}')}, in_step],
     error=("data", "not a tokenstore record"))
for name, answer in (("out of step", replies(b"another said")), ("of another kind", replies(22)),
                     ("forbidden", replies(Error("NOPERM"))), ("lost", lost(True, final=True))):
    case(f"get of what is no record, its proof {name}", "get", bob.args,
         [{**send(*read), **replies(b'{"owner":"bob"}')}, {**proof, **answer}],
         error=("data", "not a tokenstore record"))
for name, bad in (("broken JSON", b'{"a":}'), ("a control character", b'{"a":"\x01"}'),
                  ("a leading zero", b'{"a":01}'), ("invalid UTF-8", b'{"a":"\xff"}')):
    case(f"get of a record with {name}", "get", bob.args,
         [{**send(*read), **replies(record(US, bob.place, OWNER, bad))}, in_step], error=("data", "JSON"))
case("get of a key of another type", "get", bob.args,
     [{**send(*read), **replies(Error("WRONGTYPE Operation against a key"))}],
     error=("server", "WRONGTYPE"))
case("get that is answered with a number", "get", bob.args, [{**send(*read), **replies(5)}],
     error=("connection", "not a string"))
case("get whose PTTL is answered with text", "get", expiry,
     [{**both, **replies(bob.record, b"x", TIME)}], error=("connection", "PTTL"))
for name, bad in (("text", b"x"), ("one number", [b"1"]), ("other texts", [b"1", b"x"]), ("nothing", None)):
    case(f"get whose TIME is answered with {name}", "get", expiry,
         [{**both, **replies(bob.record, 5, bad)}], error=("connection", "TIME"))

# Lost connections, and servers that refuse for a while.
again = {**send(*read), **replies(bob.record)}
case("get is read again after a lost connection", "get", bob.args,
     [{**send(*read), **lost(True)}, sleep(1, 10), again], {"token": bob.result()})
case("get that never gets through", "get", bob.args,
     [{**send(*read), **lost(False)}, sleep(1, 10), {**send(*read), **lost(True)}, sleep(10, 40),
      {**send(*read), **lost(False)}, sleep(40, 120),
      {**send(*read), **lost(False, "connection refused")}],
     error=("connection", "connection refused"))
case("get where trying again cannot help", "get", bob.args,
     [{**send(*read), **lost(False, "bad certificate", final=True)}],
     error=("connection", "bad certificate"))
case("a lost connection counts anew after an answer", "get", sliding,
     [{**both, **lost(True)}, sleep(1, 10), {**both, **lost(True)}, sleep(10, 40),
      {**both, **lost(True)}, sleep(40, 120), {**both, **replies(bob.record, Error("LOADING"), TIME)},
      sleep(1, 20), {**send("read", bob.pttl()), **lost(True)}, sleep(1, 10),
      {**send("read", bob.pttl()), **replies(-1)}], {"token": bob.result()})
for word in ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"):
    case(f"get from a server that says {word}", "get", bob.args,
         [{**send(*read), **replies(Error(f"{word} not now"))}, sleep(1, 20), again],
         {"token": bob.result()})
case("get from a server that cannot serve this takes another connection", "get", bob.args,
     [{**send(*read), "leave": True,
       **replies(Error("READONLY You can't write against a read only replica."))},
      sleep(1, 20), {**send(*read), **replies(bob.record)}], {"token": bob.result()})
case("only what got no answer is sent again", "get", expiry,
     [{**both, **replies(Error("LOADING"), 77, TIME)}, sleep(1, 20), again],
     {"token": bob.result(SERVER + 77)})
case("get that the server never serves in time", "get", bob.args,
     [{**send(*read), **replies(Error("LOADING Redis is loading"))}, sleep(1, 20, deadline={})],
     error=("timeout", "LOADING"))
deep = {"replies": {"repeat": ["*1\r\n", 33]}}
deep["replies"] = {"join": [deep["replies"], ":1\r\n"]}
case("get whose answer is beyond what is read", "get", bob.args, [{**send(*read), **deep}],
     error=("limit", "levels"))
case("get whose deadline passes while such an answer comes", "get", bob.args,
     [{**send(*read), **lost(True, "too large", "limit")}], error=("limit", "too large"))
case("get whose deadline passes", "get", bob.args, [{**send(*read), "deadline": {"sent": True}}],
     error=("timeout", "timeout"))
case("get refuses an empty app", "get", {**bob.args, "app": ""}, refused=("data", "app"))

# ---- get_many ------------------------------------------------------------------------------------

many = {"app": APP, "type": TYPE, "tokens": [text(bob.token), "", "unknown", text(custom.token)]}
unknown = Stored(b"unknown")
case("get_many keeps order and asks only for what can exist", "get_many", many,
     [{**send("read", bob.get(), unknown.get(), custom.get()),
       **replies(bob.record, None, custom.record)}],
     {"tokens": [bob.result(), None, None, custom.result()]})
case("get_many under max_age and beyond it", "get_many", {**many, "tokens": [text(bob.token), "unknown"]},
     [{**send("read", bob.get(), unknown.get(), [b"TIME"]), **replies(bob.record, None, TIME)}],
     {"tokens": [bob.result(), None]}, options={"max_age": 7201})
case("get_many beyond max_age", "get_many", {**many, "tokens": [text(bob.token)]},
     [{**send("read", bob.get(), [b"TIME"]), **replies(bob.record, TIME)}],
     {"tokens": [None]}, options={"max_age": 7200})
case("get_many of nothing", "get_many", {**many, "tokens": []}, [], {"tokens": []})
case("get_many of impossible tokens", "get_many", {**many, "tokens": ["", ""]}, [],
     {"tokens": [None, None]})
case("get_many of one token twice", "get_many", {**many, "tokens": [text(bob.token)] * 2},
     [{**send("read", bob.get(), bob.get()), **replies(bob.record, bob.record)}],
     {"tokens": [bob.result(), bob.result()]})
case("get_many with one that is no record", "get_many", many,
     [{**send("read", bob.get(), unknown.get(), custom.get()), **replies(bob.record, b"x", None)}, in_step],
     error=("data", "not a tokenstore record"))
case("get_many whose answers are exchanged", "get_many", many,
     [{**send("read", bob.get(), unknown.get(), custom.get()),
       **replies(custom.record, None, bob.record)}], error=("connection", "another request"))

# ---- create --------------------------------------------------------------------------------------

new = {"app": APP, "type": TYPE, "owner": OWNER}
digest = {"var": "digest"}
check = {"var": "digest", "first": 4}
head = join(created(US).encode(), check)


def create(tail, ttl=b"0", cap=b"0", owner=bob.owner, variable="digest", first=True):
    """The command that creates a generated token; the first time its digest is captured."""
    base = b"ts:{%s}:" % owner.tag.encode()
    digest = {"capture": variable, "size": 28} if first else {"var": variable}
    words = (join(base, digest), owner.index_key, tail, ttl)
    return eval_(script("create", *words, *([cap] if cap != b"0" else []), keys=2))


def created_token(expires_ms=0, variable="digest", **more):
    return {"app": "app", "type": "type", "owner": "bob", "id": {"var": variable}, "created_us": US,
            "token": {"join": ["0", bob.owner.tag, {"capture": variable + " token", "size": 43}]},
            "expires_ms": expires_ms, "data": {}, **more}  # fmt: skip


case("create", "create", new,
     [{**send("idempotent", create(b'"bob",{}]')), **replies(head)}],
     {"token": created_token()})
case("create with data and duration", "create", {**new, "duration": 60, "data": {"b": [], "a": {"x": 1.0}}},
     [{**send("idempotent", create(b'"bob",{"b":[],"a":{"x":1.0}}]', ttl=b"60000")),
       **replies(head)}],
     {"token": created_token(US // 1000 + 60000, data={"b": [], "a": {"x": 1.0}})})
case("create under max_age and max_per_owner", "create", {**new, "duration": 60},
     [{**send("idempotent", create(b'"bob",{}]', ttl=b"10000", cap=b"3")), **replies(head)}],
     {"token": created_token(US // 1000 + 10000)}, options={"max_age": 10, "max_per_owner": 3})
case("create without duration under max_age", "create", new,
     [{**send("idempotent", create(b'"bob",{}]', ttl=b"10000")), **replies(head)}],
     {"token": created_token(US // 1000 + 10000)}, options={"max_age": 10})
for encoding, chars in (("hex", 32), ("base64", 22), ("base64url", 22)):
    token = {"join": ["0", bob.owner.tag, {"capture": "secret", "size": chars}]}
    case(f"create with 16 bytes of {encoding}", "create", new,
         [{**send("idempotent", create(b'"bob",{}]')), **replies(head)}],
         {"token": created_token(token=token)}, options={"token_size": 16, "token_encoding": encoding})
retried = send("idempotent", create(b'"bob",{}]', first=False))
case("create is sent again, the same, after a lost connection", "create", new,
     [{**send("idempotent", create(b'"bob",{}]')), **lost(True)}, sleep(1, 10),
      {**retried, **replies(head)}], {"token": created_token()})
case("create whose script is unknown to the server", "create", new,
     [{**send("idempotent", create(b'"bob",{}]')), **replies(Error("NOSCRIPT"))},
      {**send("idempotent", by_text(create(b'"bob",{}]', first=False)[1:])), **replies(head)}],
     {"token": created_token()})
case("create on a server without memory", "create", new,
     [{**send("idempotent", create(b'"bob",{}]')), **replies(Error("OOM command not allowed"))}],
     error=("server", "OOM"))
case("create whose answer is another's", "create", new,
     [{**send("idempotent", create(b'"bob",{}]')), **replies(created(US).encode() + b"****")}],
     error=("outcome_unknown", "another request"))


def create_custom(stored, ttl=b"0"):
    tag = b',"%s"]' % stored.owner.tag.encode() if stored.foreign else b"]"
    tail = b'"bob",' + stored.data_text + tag
    return eval_(script("create", stored.key, stored.owner.index_key, tail, ttl, b"0", stored.member,
                        keys=2))  # fmt: skip


plain = Stored(CUSTOM)
with_custom = {**new, "custom_token": CUSTOM}
made = send("once", create_custom(plain))
case("create of a custom token", "create", with_custom,
     [{**made, **replies(plain.head)}], {"token": plain.result()})
case("create of a custom token in use", "create", with_custom,
     [{**made, **replies(plain.check)}], error=("data", "in use"))
case("create of a custom token whose answer is lost", "create", with_custom,
     [{**made, **lost(True, "reset by peer")}], error=("outcome_unknown", "reset by peer"))
case("create of a custom token that was not sent is tried again", "create", with_custom,
     [{**made, **lost(False)}, sleep(1, 10), {**made, **replies(plain.head)}],
     {"token": plain.result()})
case("create of a custom token whose answer is another's", "create", with_custom,
     [{**made, **replies(other.head)}], error=("outcome_unknown", "another request"))
case("create of a custom token whose deadline passes", "create", with_custom,
     [{**made, "deadline": {"sent": True}}], error=("outcome_unknown", "may or may not"))
case("create of a custom token whose deadline passes before it is sent", "create", with_custom,
     [{**made, "deadline": {"sent": False}}], error=("timeout", "timeout"))
own_tag = Stored(b"0" + bob.owner.tag.encode() + b" chosen")
assert not own_tag.foreign
case("create of a custom token that carries its owner's tag", "create",
     {**new, "custom_token": own_tag.token},
     [{**send("once", create_custom(own_tag)), **replies(own_tag.head)}],
     {"token": own_tag.result()})
case("create refuses an empty owner", "create", {**new, "owner": ""}, refused=("data", "owner"))
case("create refuses data over max_data_size", "create", {**new, "data": {"a": "123"}},
     refused=("data", "max_data_size"), options={"max_data_size": 10})
case("create takes data of max_data_size", "create", {**new, "data": {"a": "12"}},
     [{**send("idempotent", create(b'"bob",{"a":"12"}]')), **replies(head)}],
     {"token": created_token(data={"a": "12"})}, options={"max_data_size": 10})
case("the constructor refuses a short pepper", "create", new, refused=("configuration", "pepper"),
     options={"pepper": "short"})
case("the constructor refuses braces in the prefix", "create", new,
     refused=("configuration", "prefix"), options={"prefix": "a{b"})

# ---- create_many ---------------------------------------------------------------------------------

two = {"tokens": [{k: text(v) for k, v in new.items()},
                  {k: text(v) for k, v in with_custom.items()}]}  # fmt: skip
both_made = send("once", create(b'"bob",{}]'), create_custom(plain))
case("create_many", "create_many", two,
     [{**both_made, **replies(head, plain.head)}],
     {"tokens": [created_token(), plain.result()]})
undo = eval_(script("delete", join(b"ts:{%s}:" % bob.owner.tag.encode(), digest), check, bob.owner.names,
                     b"0"))  # fmt: skip
case("create_many that fails deletes what it made", "create_many", two,
     [{**both_made, **replies(head, plain.check)},
      {**send("once", undo), **replies([check, 1])}], error=("data", "in use"))
case("create_many that fails and cannot undo keeps the first error", "create_many", two,
     [{**both_made, **replies(head, Error("OOM no memory"))},
      {**send("once", undo), **lost(True)}], error=("server", "OOM"))
case("create_many of nothing", "create_many", {"tokens": []}, [], {"tokens": []})

# ---- refresh -------------------------------------------------------------------------------------

hour = {**bob.args, "duration": 3600}
case("refresh", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.check, NOW + 3600000])}],
     {"bool": True})
case("refresh of an unknown token", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.check, 0])}], {"bool": False})
case("refresh passes max_age on", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000, 7200000)), **replies([bob.check, NOW])}],
     {"bool": True}, options={"max_age": 7200})
case("refresh of what is no record", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.check, -2])}],
     error=("data", "not a tokenstore record"))
case("refresh is sent again after a lost connection", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **lost(True)}, sleep(1, 10),
      {**send("idempotent", bob.refresh(3600000)), **replies([bob.check, NOW + 3600000])}],
     {"bool": True})
case("refresh of an empty token asks nobody", "refresh", {**hour, "token": ""}, [], {"bool": False})

# ---- update --------------------------------------------------------------------------------------

patch = {**bob.args, "data": {"role": "root", "gone": None, 'q"\\': [1, {}]}}
after = Stored(data={"name": "n123", "role": "root", 'q"\\': [1, {}]})
words = bob.update(b'"role"', b'"root"', b'"gone"', b"", b'"q\\"\\\\"', b"[1,{}]")
case("update sends texts, and nothing for null", "update", patch,
     [{**send("once", words), **replies([bob.check, after.record])}], {"token": after.result()})
case("update whose answer is beyond what is read", "update", patch,
     [{**send("once", words), **deep}], error=("limit", "the command was executed"))
case("update of an unknown token", "update", patch,
     [{**send("once", words), **replies([bob.check, 0])}], {"token": None})
case("update that would be too large", "update", patch,
     [{**send("once", words), **replies([bob.check, -1])}], error=("data", "max_data_size"))
case("update with nothing", "update", {**bob.args, "data": {}},
     [{**send("once", bob.update()), **replies([bob.check, bob.record])}], {"token": bob.result()})
case("update keeps to max_data_size", "update", {**bob.args, "data": {"a": 1}},
     [{**send("once", bob.update(b'"a"', b"1", most=100)), **replies([bob.check, bob.record])}],
     {"token": bob.result()}, options={"max_data_size": 100})
case("update whose answer is lost", "update", patch, [{**send("once", words), **lost(True)}],
     error=("outcome_unknown", "may or may not"))
case("update whose answer is another's", "update", patch,
     [{**send("once", words), **replies([other.check, other.record])}],
     error=("outcome_unknown", "another request"))
case("update whose record is another's", "update", patch,
     [{**send("once", words), **replies([bob.check, other.record])}],
     error=("outcome_unknown", "another request"))

# ---- delete, delete_by_id, delete_all ----------------------------------------------------------------

case("delete", "delete", bob.args, [{**send("once", bob.delete()), **replies([bob.check, 1])}],
     {"bool": True})
case("delete of an unknown token", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.check, 0])}], {"bool": False})
case("delete whose answer is lost is never a silent ok", "delete", bob.args,
     [{**send("once", bob.delete()), **lost(True)}], error=("outcome_unknown", "may or may not"))
case("delete whose deadline passes", "delete", bob.args,
     [{**send("once", bob.delete()), "deadline": {"sent": True}}],
     error=("outcome_unknown", "may or may not"))
case("delete on a server that refuses it", "delete", bob.args,
     [{**send("once", bob.delete()), **replies(Error("NOPERM no permissions"))}],
     error=("server", "NOPERM"))
case("delete whose script is unknown to the server", "delete", bob.args,
     [{**send("once", bob.delete()), **replies(Error("NOSCRIPT"))},
      {**send("once", by_text(bob.delete()[1:])), **replies([bob.check, 1])}], {"bool": True})
case("delete that is answered with a status", "delete", bob.args,
     [{**send("once", bob.delete()), **replies(Status("OK"))}],
     error=("outcome_unknown", "another request"))

for stored in (bob, custom):
    by_id = eval_(script("delete_by_id", stored.key, stored.owner.index_key, stored.check,
                         stored.owner.names, b"0", keys=2))  # fmt: skip
    ids = {**new, "id": stored.member}
    kind = "a custom token" if stored.foreign else "a generated token"
    case(f"delete_by_id of {kind}", "delete_by_id", ids,
         [{**send("once", by_id), **replies([stored.check, 1])}], {"bool": True})
    case(f"delete_by_id of {kind}, not found", "delete_by_id", ids,
         [{**send("once", by_id), **replies([stored.check, 0])}], {"bool": False})
for name, bad in (("empty", b""), ("one too short", bob.member[1:]), ("one too long", bob.member + b"A"),
                  ("of other characters", b"*" * 28)):  # fmt: skip
    case(f"delete_by_id with an id {name} asks nobody", "delete_by_id", {**new, "id": bad}, [],
         {"bool": False})

owner = bob.owner
of_owner = [owner.index_key, owner.check.encode(), b"ts:", owner.tag.encode()]
all_of = eval_(script("delete_all", *of_owner, b"0"))
case("delete_all", "delete_all", new,
     [{**send("once", all_of), **replies([owner.check.encode(), 3])}], {"count": 3})
case("delete_all of nothing", "delete_all", new,
     [{**send("once", all_of), **replies([owner.check.encode(), 0])}], {"count": 0})
case("delete_all whose answer is lost", "delete_all", new, [{**send("once", all_of), **lost(True)}],
     error=("outcome_unknown", "may or may not"))
case("delete_all refuses an empty owner", "delete_all", {**new, "owner": ""}, refused=("data", "owner"))

# ---- list ----------------------------------------------------------------------------------------

def listing(max_age=b"0", limit=b"0", after=b""):
    return send("read", eval_(script("list", *of_owner, max_age, limit, after)))


newer = Stored(b"0" + owner.tag.encode() + b"B" * 43, us=US + 1)
asked = listing()
case("list, newest first, without the secrets", "list", new,
     [{**asked, **replies([owner.check.encode(), bob.member, bob.record, 0, newer.member, newer.record,
                           NOW + 5, custom.member, custom.record, NOW + 60000])}],
     {"tokens": [newer.result(NOW + 5, token=None)]
      + sorted((bob.result(token=None), custom.result(NOW + 60000, token=None)), key=lambda t: t["id"])})
case("list passes max_age on", "list", new,
     [{**listing(b"7200000"), **replies([owner.check.encode()])}], {"tokens": []},
     options={"max_age": 7200})
case("list of a page", "list", {**new, "limit": 2},
     [{**listing(limit=b"2"), **replies([owner.check.encode(), bob.member, bob.record, 0])}],
     {"tokens": [bob.result(token=None)]})
case("list of a later page", "list", {**new, "limit": 1000000, "after": custom.member},
     [{**listing(limit=b"1000000", after=custom.member), **replies([owner.check.encode()])}], {"tokens": []})
case("list behind a token that has ended", "list", {**new, "after": bob.member},
     [{**listing(after=bob.member), **replies([owner.check.encode(), 0])}],
     error=("data", "after: no live token"))
case("list whose answer is beyond what is read", "list", new, [{**asked, **deep}],
     error=("limit", "pass limit and after to list"))
for bad in (0, -1, 1000001):
    case(f"list refuses the limit {bad}", "list", {**new, "limit": bad}, refused=("data", "limit"))
for name, bad in (("empty", b""), ("of other characters", b"*" * 28)):
    case(f"list refuses an id {name}", "list", {**new, "after": bad}, refused=("data", "after"))
case("list of nothing", "list", new, [{**asked, **replies([owner.check.encode()])}], {"tokens": []})
case("list is read again after a lost connection", "list", new,
     [{**asked, **lost(True)}, sleep(1, 10), {**asked, **replies([owner.check.encode()])}],
     {"tokens": []})
case("list with a record that is not its member's", "list", new,
     [{**asked, **replies([owner.check.encode(), bob.member, newer.record, 0])}],
     error=("connection", "another request"))
case("list with a member that is none", "list", new,
     [{**asked, **replies([owner.check.encode(), b"x", bob.record, 0])}],
     error=("data", "not a tokenstore record"))
case("list of another owner", "list", new, [{**asked, **replies([b"****"])}],
     error=("connection", "another request"))

# ---- count -------------------------------------------------------------------------------------------

counting = send("read", eval_(script("count", *of_owner, b"0")))
case("count", "count", new, [{**counting, **replies([owner.check.encode(), 3])}], {"count": 3})
case("count is read again after a lost connection", "count", new,
     [{**counting, **lost(True)}, sleep(1, 10), {**counting, **replies([owner.check.encode(), 0])}],
     {"count": 0})
case("count of another owner", "count", new, [{**counting, **replies([b"****", 3])}],
     error=("connection", "another request"))

# ---- rotate --------------------------------------------------------------------------------------


def rotate(stored, ms=0, max_age=0, first=True):
    key = join(b"ts:{%s}:" % stored.place.tag.encode(), {"capture": "digest", "size": 28} if first else digest)
    return eval_(script("rotate", stored.key, key, check, stored.owner.names, b"%d" % ms,
                        b"%d" % max_age, keys=2))  # fmt: skip


def rotated(stored):
    """The record with the new check."""
    return join(stored.record[:2 + 9], check, stored.record[2 + 9 + 4:])


def rotated_token(stored, expires_ms=0):
    token = {"join": ["0", stored.place.tag, {"capture": "secret", "size": 43}]}
    tag = [stored.place.tag] if stored.foreign else []
    return stored.result(expires_ms, token=token, id={"join": [*tag, digest]})


for stored in (bob, custom):
    kind = "a custom token" if stored.foreign else "a generated token"
    case(f"rotate of {kind}", "rotate", stored.args,
         [{**send("idempotent", rotate(stored)), **replies([check, rotated(stored), NOW + 5])}],
         {"token": rotated_token(stored, NOW + 5)})
case("rotate with a duration, under max_age", "rotate", {**bob.args, "duration": 60},
     [{**send("idempotent", rotate(bob, 60000, 90000)), **replies([check, rotated(bob), NOW + 60000])}],
     {"token": rotated_token(bob, NOW + 60000)}, options={"max_age": 90})
case("rotate of an unknown token", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([check, 0])}], {"token": None})
case("rotate is sent again, to the same new token, after a lost connection", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **lost(True)}, sleep(1, 10),
      {**send("idempotent", rotate(bob, first=False)), **replies([check, rotated(bob), 0])}],
     {"token": rotated_token(bob)})
case("rotate whose answer holds the old record", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([check, bob.record, 0])}],
     error=("outcome_unknown", "another request"))
case("rotate of what is no record", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([check, -2])}],
     error=("data", "not a tokenstore record"))

# ---- execute -------------------------------------------------------------------------------------

case("execute", "execute", {"commands": [["SET", {"hex": "00 ff"}, ""]]},
     [{**send("once", [b"SET", b"\0\xff", b""]), **replies(Status("OK"))}], {"replies": ["OK"]})
case("execute: errors are answers", "execute", {"commands": [["X"], ["PING"]]},
     [{**send("once", [b"X"], [b"PING"]), **replies(Error("NOSCRIPT no"), Error("LOADING wait"))}],
     {"replies": ["NOSCRIPT no", "LOADING wait"]})
case("execute whose answer is lost", "execute", {"commands": [["INCR", "x"]]},
     [{**send("once", [b"INCR", b"x"]), **lost(True)}], error=("outcome_unknown", "may or may not"))
case("execute whose answer is beyond what is read, and there is no time to skip it", "execute",
     {"commands": [["INCR", "x"]]},
     [{**send("once", [b"INCR", b"x"]), **lost(True, "too large", "limit")}],
     error=("limit", "the command was executed"))
case("execute of two, of which the first answer is beyond what is read", "execute",
     {"commands": [["GET", "x"], ["INCR", "x"]]},
     [{**send("once", [b"GET", b"x"], [b"INCR", b"x"]), **lost(True, "too large", "limit")}],
     error=("outcome_unknown", "too large"))
case("execute of nothing", "execute", {"commands": []}, refused=("data", "command"))
case("execute of an empty command", "execute", {"commands": [["PING"], []]}, refused=("data", "command"))

assert created(US).encode() in bob.record
operation_notation.write("operations.json", "make_operations.py", cases)
