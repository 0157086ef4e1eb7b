"""Writes operations.json: `python3 tests/vectors/make_operations.py`.

The cases are the file's; this script only spares one the digests and the RESP. It knows the stored form
from keys.py, not from the library.
"""

import base64
import json

import keys
import operation_notation
from keys import created, record
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
SERVER = NOW + 7200000  # the server's clock: two hours off ours, which counts for nothing
TIME = [b"%d" % (SERVER // 1000), b"999"]
APP, TYPE, OWNER = b"app", b"type", b"bob"
CUSTOM = b"my-custom-token"
NONCE = b"Nonce6"

cases = []


def has_create(step):
    return any({"sha": "create"} in command or {"script": "create"} in command for command in step.get("send", ()))


def register(steps):
    """The first create of a client registers the kind of its keys, until that is answered."""
    names = [b"HSETNX", b"ts:kinds", keys.kind(APP, TYPE), b'["app","type"]']
    for step in steps:
        if not has_create(step):
            continue
        step["send"] = [*step["send"], [text(word) for word in names]]
        if "replies" in step:
            got = step["replies"]
            step["replies"] = join(got.encode() if isinstance(got, str) else got, b":1\r\n")
            return


def case(*args, known="ends", **more):
    """`known`: what is known of the server before: "ends", it ends fields by itself; "lacks", it cannot; None."""
    if known:
        more["known"] = known
    made = operation_notation.case(*args, **more)
    made["steps"] = [dict(step) for step in made.get("steps", ())]
    register(made["steps"])
    if "refused" in more:
        del made["steps"]
    cases.append(made)


# ---- a stored token ------------------------------------------------------------------------------


class Stored:
    def __init__(self, token=None, owner=OWNER, data=None, prefix=b"ts", pepper=b"", us=US,
                 app=APP, type_=TYPE, random=b"A" * 43):  # fmt: skip
        self.app, self.type, self.owner_name = app, type_, owner
        self.locator = keys.locator(app, type_, owner)
        self.token = token or keys.generated(self.locator, random)
        self.field = keys.field(app, type_, self.token, pepper)
        self.key = keys.owner_key(app, type_, self.locator, prefix)
        self.alias = keys.alias_key(app, type_, self.field, prefix) if token else None
        self.echo = self.field[:4] + b"1"
        self.data = data or {}
        self.us = us
        self.head = created(us) + self.echo
        self.data_text = json.dumps(self.data, separators=(",", ":"), ensure_ascii=False).encode()
        self.record = record(us, self.field, owner, self.data_text)

    def stamped(self, end):
        return record(self.us, self.field, self.owner_name, self.data_text, end)

    def idle(self, ms):
        return record(self.us, self.field, self.owner_name, self.data_text, pieces=b"i" + keys.digits(ms, 7))

    @property
    def args(self):
        return {"app": self.app, "type": self.type, "token": self.token}

    def result(self, expires_ms=0, **more):
        return {"app": text(self.app), "type": text(self.type), "owner": text(self.owner_name),
                "token": text(self.token), "id": text(self.field), "created_us": self.us,
                "expires_ms": expires_ms, "data": self.data, **more}  # fmt: skip

    def found(self):
        """The step that finds a custom token's owner."""
        return {**send("read", [b"GET", self.alias]), **replies(self.locator + NONCE)}

    def get(self):
        return [b"HGET", self.key, self.field]

    def end(self):
        return [b"HPEXPIRETIME", self.key, b"FIELDS", b"1", self.field]

    def script(self, name, *words):
        return eval_(script(name, self.key, self.echo, self.field, *words))

    def refresh(self, ms, max_age=0, later=0):
        return self.script("refresh", b"%d" % ms, b"%d" % max_age, b"%d" % later)

    def drop(self, echo):
        return eval_(script("alias_claim", self.alias, echo, self.locator + NONCE, b"", b"0"))

    def touch(self, ms, max_age=0):
        return self.refresh(ms, max_age, later=1)

    def update(self, *pairs, max_age=0, most=65536):
        return self.script("update", b"%d" % max_age, b"%d" % most, *pairs)

    def update_more(self, *pairs, replace=b"", refresh=0, expect=(), **more):
        """The same where more is wanted than to merge."""
        head = (replace, b"%d" % refresh, b"%d" % (len(expect) // 2), *expect)
        return self.update(*head, *pairs, **more)

    def lengthen(self, ms):
        return eval_(script("alias_extend", self.alias, b"%d" % (ms + 60000)))

    def delete(self, max_age=0):
        return self.script("delete", b"%d" % max_age)


class ById(Stored):
    """The same, named by its id."""

    def script(self, name, *words):
        return eval_(script(name, self.key, self.echo, b"=" + self.field, *words))


bob = Stored(data={"name": "n123", "role": "admin"})
custom = Stored(CUSTOM, data={"n": [1, 1.5, {}], "e": []})
HARD = b"*?[]\\^:|{},\"\n\x01\xff"
hard = Stored(b"tok" + HARD, owner=HARD, app=b"app" + HARD, type_=b"type" + HARD)
read = ("read", bob.get())

# ---- get -----------------------------------------------------------------------------------------

said = {"capture": "said", "size": 22}
proof = send("read", [b"EVAL", b"return ARGV[1]", b"0", said])
in_step = {**proof, **replies({"var": "said"})}
case("get is one plain HGET", "get", bob.args,
     [{**send(*read, route=text(bob.key)), **replies(bob.record)}], {"token": bob.result()})
case("get of a custom token goes by its alias", "get", custom.args,
     [custom.found(), {**send("read", custom.get()), **replies(custom.record)}], {"token": custom.result()})
case("get of a custom token whose alias leads nowhere", "get", custom.args,
     [custom.found(), {**send("read", custom.get()), **replies(None)}], {"token": None})
case("get of a custom token that is being created", "get", custom.args,
     [{**send("read", [b"GET", custom.alias]), **replies(custom.locator + NONCE + b"?")},
      {**send("read", custom.get()), **replies(custom.record)}], {"token": custom.result()})
case("get of an unknown custom token", "get", custom.args,
     [{**send("read", [b"GET", custom.alias]), **replies(None)}], {"token": None})
case("get whose alias is none", "get", custom.args,
     [{**send("read", [b"GET", custom.alias]), **replies(b"*" * 22)}, in_step],
     error=("data", "not a tokenstore record"))
case("get of a mistyped token goes by an alias", "get", {**bob.args, "token": bob.token[:-1] + b"?"},
     [{**send("read", [b"GET", keys.alias_key(APP, TYPE, keys.field(APP, TYPE, bob.token[:-1] + b"?"))]),
       **replies(None)}], {"token": None})
case("get of hostile names", "get", hard.args,
     [hard.found(), {**send("read", hard.get()), **replies(hard.record)}], {"token": hard.result()})
case("get of an unknown token", "get", bob.args, [{**send(*read), **replies(None)}], {"token": None})

with_pepper = Stored(b"tok", prefix=b"p", pepper=b"pepper pepper 16")
case("get with prefix and pepper", "get", with_pepper.args,
     [with_pepper.found(), {**send("read", with_pepper.get()), **replies(with_pepper.record)}],
     {"token": with_pepper.result()}, options={"prefix": "p", "pepper": "pepper pepper 16"})

for name, token in (("empty", ""), ("1025 bytes long", {"repeat": ["x", 1025]}),
                    ("holding a NUL", {"hex": "78 00 79"})):  # fmt: skip
    case(f"get of a token {name} asks nobody", "get", {**bob.args, "token": token}, [],
         {"token": None})

# What is asked for with the record depends on what is known of the server.
both = send("read", bob.get(), bob.end())
timed = send("read", bob.get(), [b"TIME"])
all_three = send("read", bob.get(), bob.end(), [b"TIME"])
expiry = {**bob.args, "expiry": True}
END = SERVER + 1234
case("get with expiry", "get", expiry, [{**both, **replies(bob.record, [END])}],
     {"token": bob.result(END)})
case("get with expiry of a token that has none", "get", expiry,
     [{**both, **replies(bob.record, [-1])}], {"token": bob.result()})
case("get with expiry of a token that ends between the two commands", "get", expiry,
     [{**both, **replies(bob.record, [-2])}], {"token": None})
case("get with expiry of an unknown token", "get", expiry, [{**both, **replies(None, [-2])}],
     {"token": None})
case("get with expiry of an unknown owner", "get", expiry, [{**both, **replies(None, None)}],
     {"token": None})
NO_COMMAND = Error("ERR unknown command 'HPEXPIRETIME', with args beginning with: 'ts'")
for name, known, step, extra in (
    ("a server that nothing is known of, and that ends fields", None, all_three, [[-1], TIME]),
    ("a server that nothing is known of, and that cannot end fields", None, all_three, [NO_COMMAND, TIME]),
    ("a server that does not allow the command", None, all_three, [Error("NOPERM no"), TIME]),
    ("a server that cannot end fields", "lacks", timed, [TIME]),
):
    case(f"get from {name}", "get", bob.args, [{**step, **replies(bob.record, *extra)}],
         {"token": bob.result()}, known=known)
    case(f"get of a live stamp from {name}", "get", bob.args,
         [{**step, **replies(bob.stamped(SERVER + 1), *extra)}], {"token": bob.result()}, known=known)
    case(f"get of an ended stamp from {name}", "get", bob.args,
         [{**step, **replies(bob.stamped(SERVER), *extra)}], {"token": None}, known=known)
    case(f"get with expiry of a stamp from {name}", "get", expiry,
         [{**step, **replies(bob.stamped(SERVER + 1), *extra)}], {"token": bob.result(SERVER + 1)}, known=known)
case("get with expiry from a server that was upgraded meanwhile", "get", expiry,
     [{**timed, **replies(bob.record, TIME)}, {**all_three, **replies(bob.record, [END], TIME)}],
     {"token": bob.result(END)}, known="lacks")
case("get with expiry by a user who may not ask for it", "get", expiry,
     [{**timed, **replies(bob.record, TIME)}, {**all_three, **replies(bob.record, Error("NOPERM no"), TIME)}],
     {"token": bob.result()}, known="lacks")
case("get with expiry from a server that nothing is known of", "get", expiry,
     [{**all_three, **replies(bob.record, [END], TIME)}], {"token": bob.result(END)}, known=None)
time_alone = send("read", [b"TIME"])
case("get of a live stamp from before an upgrade asks for the time", "get", bob.args,
     [{**send(*read), **replies(bob.stamped(SERVER + 1))}, {**time_alone, **replies(TIME)}],
     {"token": bob.result()})
case("get of an ended stamp from before an upgrade asks for the time", "get", bob.args,
     [{**send(*read), **replies(bob.stamped(SERVER))}, {**time_alone, **replies(TIME)}], {"token": None})

sliding = {**bob.args, "refresh": 3600}
touch = send("read", bob.touch(3600000))


def left(ms, stored=bob):
    """The answers for a token that ends so many milliseconds from now."""
    return replies(stored.record, [SERVER + ms], TIME)


case("get with refresh just after a touch writes nothing", "get", sliding,
     [{**all_three, **left(3600000 - 59999)}],
     {"token": bob.result(SERVER + 3600000 - 59999)})
case("get with refresh a touch interval later", "get", sliding,
     [{**all_three, **left(3600000 - 60000)},
      {**touch, **replies([bob.echo, SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)})
case("get with refresh of a stamp", "get", sliding,
     [{**timed, **replies(bob.stamped(SERVER + 5), TIME)},
      {**send("read", eval_(script("refresh", bob.key, bob.field[:4] + b"0", bob.field, b"3600000", b"0", b"1"))),
       **replies([bob.field[:4] + b"0", SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)}, known="lacks")
case("get with refresh of a token without expiry leaves it alone", "get", sliding,
     [{**all_three, **replies(bob.record, [-1], TIME)}], {"token": bob.result()})
case("get with refresh of a token that lives longer leaves it alone", "get", sliding,
     [{**all_three, **left(7200000)}], {"token": bob.result(SERVER + 7200000)},
     options={"touch_interval": 0})
case("get with refresh of a token that dies meanwhile", "get", sliding,
     [{**all_three, **left(5)}, {**touch, **replies([bob.echo, 0])}], {"token": None})
case("get with refresh of a token that loses its expiry meanwhile", "get", sliding,
     [{**all_three, **left(5)}, {**touch, **replies([bob.echo, -1])}],
     {"token": bob.result()})
case("get with refresh of an unknown token", "get", sliding, [{**all_three, **replies(None, [-2], TIME)}],
     {"token": None})
case("get with refresh and touch_interval 0 always writes", "get", sliding,
     [{**all_three, **left(3600000)}, {**touch, **replies([bob.echo, SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)}, options={"touch_interval": 0})
case("get with refresh and a long touch_interval", "get", sliding,
     [{**all_three, **left(3600000 - 299000)}],
     {"token": bob.result(SERVER + 3600000 - 299000)}, options={"touch_interval": 300})
case("get with refresh whose script is unknown to the server", "get", sliding,
     [{**all_three, **left(5)},
      {**touch, **replies(Error("NOSCRIPT No matching script."))},
      {**send("read", by_text(bob.touch(3600000)[1:])), **replies([bob.echo, SERVER + 3600000])}],
     {"token": bob.result(SERVER + 3600000)})
case("get with refresh of a custom token lets its alias live as long", "get", {**custom.args, "refresh": 3600},
     [custom.found(), {**send("read", custom.get(), custom.end(), [b"TIME"]), **left(5, custom)},
      {**send("read", custom.touch(3600000), custom.lengthen(3600000)),
       **replies([custom.echo, SERVER + 3600000], 1)}],
     {"token": custom.result(SERVER + 3600000)})

# A token that was read is given, whatever becomes of its slide.
unslid = {"token": bob.result(SERVER + 5000)}
for word in ("NOREPLICAS", "MISCONF", "READONLY", "OOM", "NOPERM", "BUSY", "LOADING", "CLUSTERDOWN", "MOVED"):
    leave = {"leave": True} if word == "READONLY" else {}
    case(f"get with refresh on a server that cannot write: {word}", "get", sliding,
         [{**all_three, **left(5000)}, {**touch, **leave, **replies(Error(f"{word} cannot"))}], unslid)
case("get with refresh whose slide has no answer", "get", sliding,
     [{**all_three, **left(5000)}, {**touch, **lost(True)}], unslid)
case("get with refresh whose deadline passes during the slide", "get", sliding,
     [{**all_three, **left(5000)}, {**touch, "deadline": {"sent": True}}], unslid)
case("get with refresh whose slide is answered to somebody else", "get", sliding,
     [{**all_three, **left(5000)}, {**touch, **replies([b"****1", SERVER])}],
     error=("connection", "another request"))

# max_age ends every token, also those that were made before it was set. bob was made 7 200.877 s ago.
aged = send("read", bob.get(), [b"TIME"])
age_ms = SERVER - US // 1000
case("get under max_age", "get", bob.args, [{**aged, **replies(bob.record, TIME)}],
     {"token": bob.result()}, options={"max_age": 7201})
case("get beyond max_age", "get", bob.args, [{**aged, **replies(bob.record, TIME)}],
     {"token": None}, options={"max_age": 7200})
case("get with expiry under max_age", "get", expiry, [{**all_three, **replies(bob.record, [SERVER + 900000], TIME)}],
     {"token": bob.result(US // 1000 + 7260000)}, options={"max_age": 7260})
case("get with expiry under max_age of a token without", "get", expiry,
     [{**all_three, **replies(bob.record, [-1], TIME)}],
     {"token": bob.result(US // 1000 + 7260000)}, options={"max_age": 7260})
case("get with refresh beyond max_age", "get", sliding, [{**all_three, **left(5)}],
     {"token": None}, options={"max_age": 7200})
remains = 7300000 - age_ms
case("get with refresh at max_age writes nothing", "get", sliding,
     [{**all_three, **left(remains)}], {"token": bob.result(SERVER + remains)},
     options={"max_age": 7300})
case("get with refresh at max_age writes nothing, whatever the touch_interval", "get", sliding,
     [{**all_three, **left(remains)}], {"token": bob.result(SERVER + remains)},
     options={"max_age": 7300, "touch_interval": 0})
case("get with refresh up to max_age", "get", {**sliding, "refresh": 60},
     [{**all_three, **left(5)},
      {**send("read", bob.touch(60000, 7300000)), **replies([bob.echo, SERVER + 60000])}],
     {"token": bob.result(SERVER + 60000)}, options={"max_age": 7300})

# What is stored is not what was asked for. Whether the answers are in step is asked before the failure is told.
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
         [{**send(*read), **replies(record(US, bob.field, OWNER, bad))}, in_step], error=("data", "JSON"))
case("get of a key of another type", "get", bob.args,
     [{**send(*read), **replies(Error("WRONGTYPE Operation against a key"))}],
     error=("server", "WRONGTYPE"))
case("get that is answered with a number", "get", bob.args, [{**send(*read), **replies(5)}],
     error=("connection", "HGET"))
case("get whose HPEXPIRETIME is answered with text", "get", expiry,
     [{**both, **replies(bob.record, b"x")}], error=("connection", "HPEXPIRETIME"))
case("get whose HPEXPIRETIME is answered for two fields", "get", expiry,
     [{**both, **replies(bob.record, [1, 2])}], error=("connection", "HPEXPIRETIME"))
for name, bad in (("text", b"x"), ("one number", [b"1"]), ("other texts", [b"1", b"x"]), ("nothing", None)):
    case(f"get whose TIME is answered with {name}", "get", bob.args,
         [{**timed, **replies(bob.record, bad)}], error=("connection", "TIME"), known="lacks")

# Lost connections, servers that say "not now".
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
     [{**all_three, **lost(True)}, sleep(1, 10), {**all_three, **lost(True)}, sleep(10, 40),
      {**all_three, **lost(True)}, sleep(40, 120), {**all_three, **replies(bob.record, Error("LOADING"), TIME)},
      sleep(1, 20), {**send("read", bob.end()), **lost(True)}, sleep(1, 10),
      {**send("read", bob.end()), **replies([-1])}], {"token": bob.result()})
for word in ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"):
    case(f"get from a server that says {word}", "get", bob.args,
         [{**send(*read), **replies(Error(f"{word} not now"))}, sleep(1, 20), again],
         {"token": bob.result()})
case("get from a server that cannot serve this takes another connection", "get", bob.args,
     [{**send(*read), "leave": True,
       **replies(Error("READONLY You can't write against a read only replica."))},
      sleep(1, 20), {**send(*read), **replies(bob.record)}], {"token": bob.result()})
case("only what got no answer is sent again", "get", expiry,
     [{**both, **replies(Error("LOADING"), [SERVER + 77])}, sleep(1, 20), again],
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
aliases = {**send("read", [b"GET", unknown.alias], [b"GET", custom.alias]), **replies(None, custom.locator + NONCE)}
case("get_many keeps order and asks only for what can exist", "get_many", many,
     [aliases, {**send("read", bob.get(), custom.get()), **replies(bob.record, custom.record)}],
     {"tokens": [bob.result(), None, None, custom.result()]})
amy = Stored(owner=b"amy")
pair = {**many, "tokens": [text(bob.token), text(amy.token)]}
case("get_many under max_age and beyond it", "get_many", pair,
     [{**send("read", bob.get(), amy.get(), [b"TIME"]), **replies(bob.record, None, TIME)}],
     {"tokens": [bob.result(), None]}, options={"max_age": 7201})
case("get_many beyond max_age", "get_many", {**many, "tokens": [text(bob.token)]},
     [{**send("read", bob.get(), [b"TIME"]), **replies(bob.record, TIME)}],
     {"tokens": [None]}, options={"max_age": 7200})
case("get_many from a server that nothing is known of", "get_many", pair,
     [{**send("read", bob.get(), amy.get(), bob.end(), [b"TIME"]),
       **replies(bob.stamped(SERVER), amy.stamped(SERVER + 1), NO_COMMAND, TIME)}],
     {"tokens": [None, amy.result()]}, known=None)
case("get_many with a stamp from before an upgrade asks for the time", "get_many", pair,
     [{**send("read", bob.get(), amy.get()), **replies(bob.stamped(SERVER), amy.record)},
      {**time_alone, **replies(TIME)}], {"tokens": [None, amy.result()]})
case("get_many of nothing", "get_many", {**many, "tokens": []}, [], {"tokens": []})
case("get_many of impossible tokens", "get_many", {**many, "tokens": ["", ""]}, [],
     {"tokens": [None, None]})
case("get_many of one token twice", "get_many", {**many, "tokens": [text(bob.token)] * 2},
     [{**send("read", bob.get(), bob.get()), **replies(bob.record, bob.record)}],
     {"tokens": [bob.result(), bob.result()]})
case("get_many with one that is no record", "get_many", pair,
     [{**send("read", bob.get(), amy.get()), **replies(bob.record, b"x")}, in_step],
     error=("data", "not a tokenstore record"))
case("get_many whose answers are exchanged", "get_many", pair,
     [{**send("read", bob.get(), amy.get()), **replies(amy.record, bob.record)}],
     error=("connection", "another request"))

# ---- create --------------------------------------------------------------------------------------

new = {"app": APP, "type": TYPE, "owner": OWNER}
digest, check = {"var": "digest"}, {"var": "check"}
head = join(created(US), check, b"1")


def create(tail, ttl=b"0", cap=(), owner=bob, first=True):
    """The command that creates a generated token; the first time its digest is not known."""
    echo = {"capture": "check", "size": 4} if first else check
    field = {"capture": "digest", "size": 22} if first else digest
    words = (owner.key, join(echo, b"1"), field, ttl, tail)
    return eval_(script("create", *words, *cap))


def created_token(expires_ms=0, **more):
    return {"app": "app", "type": "type", "owner": "bob", "id": digest, "created_us": US,
            "token": join(b"1", bob.locator, {"capture": "secret", "size": 47}),
            "expires_ms": expires_ms, "data": {}, **more}  # fmt: skip


case("create", "create", new,
     [{**send("idempotent", create(b'"bob"{}')), **replies(head)}],
     {"token": created_token()})
case("create with data and duration", "create", {**new, "duration": 60, "data": {"b": [], "a": {"x": 1.0}}},
     [{**send("idempotent", create(b'"bob"{"b":[],"a":{"x":1.0}}', ttl=b"60000")),
       **replies(head)}],
     {"token": created_token(US // 1000 + 60000, data={"b": [], "a": {"x": 1.0}})})
case("create under max_age and max_per_owner", "create", {**new, "duration": 60},
     [{**send("idempotent", create(b'"bob"{}', ttl=b"10000", cap=(b"3", b"0", b"oldest", b"10000"))), **replies(head)}],
     {"token": created_token(US // 1000 + 10000)}, options={"max_age": 10, "max_per_owner": 3})
case("create without duration under max_age", "create", new,
     [{**send("idempotent", create(b'"bob"{}', ttl=b"10000")), **replies(head)}],
     {"token": created_token(US // 1000 + 10000)}, options={"max_age": 10})
raw = base64.urlsafe_b64decode(bob.locator)
for encoding, begin, chars in (("hex", b"2" + raw.hex().encode(), 38), ("base64", b"1" + base64.b64encode(raw), 26),
                               ("base64url", b"1" + bob.locator, 26)):  # fmt: skip
    token = join(begin, {"capture": "secret", "size": chars})
    case(f"create with 16 bytes of {encoding}", "create", new,
         [{**send("idempotent", create(b'"bob"{}')), **replies(head)}],
         {"token": created_token(token=token)}, options={"token_size": 16, "token_encoding": encoding})
retried = send("idempotent", create(b'"bob"{}', first=False))
case("create is sent again, the same, after a lost connection", "create", new,
     [{**send("idempotent", create(b'"bob"{}')), **lost(True)}, sleep(1, 10),
      {**retried, **replies(head)}], {"token": created_token()})
case("create whose script is unknown to the server", "create", new,
     [{**send("idempotent", create(b'"bob"{}')), **replies(Error("NOSCRIPT"))},
      {**send("idempotent", by_text(create(b'"bob"{}', first=False)[1:])), **replies(head)}],
     {"token": created_token()})
case("create whose script stays unknown to the server", "create", new,
     [{**send("idempotent", create(b'"bob"{}')), **replies(Error("NOSCRIPT"))},
      {**send("idempotent", by_text(create(b'"bob"{}', first=False)[1:])), **replies(Error("NOSCRIPT again"))}],
     error=("server", "NOSCRIPT"))
case("create on a server without memory", "create", new,
     [{**send("idempotent", create(b'"bob"{}')), **replies(Error("OOM command not allowed"))}],
     error=("server", "OOM"))
case("create whose answer is another's", "create", new,
     [{**send("idempotent", create(b'"bob"{}')), **replies(created(US) + b"****1")}],
     error=("outcome_unknown", "another request"))


# A custom token: its alias is claimed, its record made, its alias confirmed.
plain = Stored(CUSTOM)
with_custom = {**new, "custom_token": CUSTOM}


def change_alias(stored, before, after, ttl):
    return eval_(script("alias_claim", stored.alias, stored.echo, before, after, ttl))


def alias(*change):
    return send("once", change_alias(*change))


def create_custom(stored, ttl=b"0"):
    tail = keys.quoted(stored.owner_name) + stored.data_text
    return eval_(script("create", stored.key, stored.echo, stored.field, ttl, tail, b"0", b"1"))


for how in ("idle", "refuse"):
    case(f"create at max_per_owner, {how}", "create", new,
         [{**send("idempotent", create(b'"bob"{}', cap=(b"3", b"0", how.encode(), b"0"))), **replies(head)}],
         {"token": created_token()}, options={"max_per_owner": 3, "when_full": how})
capped = send("idempotent", create(b'"bob"{}', cap=(b"3", b"0", b"refuse", b"0")))
case("create that is refused", "create", new, [{**capped, **replies(join(b"!", check, b"1"))}],
     error=("limit", r"the owner has as many live tokens as max_per_owner allows (3)"),
     options={"max_per_owner": 3, "when_full": "refuse"})
case("create that is refused as another's", "create", new, [{**capped, **replies(b"!****1")}],
     error=("outcome_unknown", "another request"), options={"max_per_owner": 3, "when_full": "refuse"})
case("the constructor refuses when_full without max_per_owner", "create", new,
     refused=("configuration", "when_full needs max_per_owner"), options={"when_full": "idle"})

nonce = {"capture": "nonce", "size": 6}
claim_text = join(plain.locator, {"var": "nonce"}, b"?")
final_text = join(plain.locator, {"var": "nonce"})
claim = alias(plain, b"", join(plain.locator, nonce, b"?"), b"60000")
confirm = alias(plain, claim_text, final_text, b"0")
claimed, confirmed = {**claim, **replies([plain.echo, 1])}, {**confirm, **replies([plain.echo, 1])}
drop_claim = change_alias(plain, claim_text, b"", b"0")
dropped = {**send("once", drop_claim), **replies([plain.echo, 1])}
made = send("once", create_custom(plain))
case("create of a custom token", "create", with_custom,
     [claimed, {**made, **replies(plain.head)}, confirmed], {"token": plain.result()})
case("create of a custom token with a duration", "create", {**with_custom, "duration": 60},
     [claimed, {**send("once", create_custom(plain, b"60000")), **replies(plain.head)},
      {**alias(plain, claim_text, final_text, b"120000"), **replies([plain.echo, 1])}],
     {"token": plain.result(US // 1000 + 60000)})
case("create of a custom token in use", "create", with_custom,
     [claimed, {**made, **replies(plain.echo)}, dropped], error=("data", "in use"))
case("create of a custom token on a server without memory", "create", with_custom,
     [claimed, {**made, **replies(Error("OOM no memory"))}, dropped], error=("server", "OOM"))
case("create of a custom token whose claim is answered with less than it should be", "create", with_custom,
     [{**claim, **replies([plain.echo])}], error=("outcome_unknown", "another request"))
case("create of a custom token that another is creating", "create", with_custom,
     [{**claim, **replies([plain.echo, amy.locator + NONCE + b"?"])}], error=("data", "in use"))
amys = eval_(script("exists", keys.owner_key(APP, TYPE, amy.locator), plain.echo, plain.field))
reclaim = alias(plain, amy.locator + NONCE, claim_text, b"60000")
case("create of a custom token that another owner has", "create", with_custom,
     [{**claim, **replies([plain.echo, amy.locator + NONCE])},
      {**send("once", amys), **replies([plain.echo, 1])}], error=("data", "in use"))
case("create of a custom token that another owner had", "create", with_custom,
     [{**claim, **replies([plain.echo, amy.locator + NONCE])}, {**send("once", amys), **replies([plain.echo, 0])},
      {**reclaim, **replies([plain.echo, 1])}, {**made, **replies(plain.head)}, confirmed],
     {"token": plain.result()})
case("create of a custom token that another owner had, and a third one is creating", "create", with_custom,
     [{**claim, **replies([plain.echo, amy.locator + NONCE])}, {**send("once", amys), **replies([plain.echo, 0])},
      {**reclaim, **replies([plain.echo, amy.locator + NONCE + b"?"])}], error=("data", "in use"))
case("create of a custom token that is too slow for its claim", "create", with_custom,
     [claimed, {**made, **replies(plain.head)}, {**confirm, **replies([plain.echo, amy.locator + NONCE + b"?"])},
      {**send("once", plain.delete(), drop_claim), **replies([plain.echo, 1], [plain.echo, b""])}],
     error=("data", "in use"))
case("create of a custom token whose answer is lost", "create", with_custom,
     [claimed, {**made, **lost(True, "reset by peer")}], error=("outcome_unknown", "reset by peer"))
again = Stored(CUSTOM)  # a lost connection forgets what was known of the server
again.echo = plain.echo[:-1] + b"2"
case("create of a custom token that was not sent is tried again", "create", with_custom,
     [claimed, {**made, **lost(False)}, sleep(1, 10), {**made, **replies(plain.head)},
      {**alias(again, claim_text, final_text, b"0"), **replies([again.echo, 1])}], {"token": plain.result()})
case("create of a custom token whose answer is another's", "create", with_custom,
     [claimed, {**made, **replies(other.head)}], error=("outcome_unknown", "another request"))
capped = eval_(script("create", plain.key, plain.echo, plain.field, b"0", b'"bob"{}', b"3", b"1", b"refuse", b"0"))
case("create of a custom token that is refused gives the name back", "create", with_custom,
     [claimed, {**send("once", capped), **replies(b"!" + plain.echo)}, dropped],
     error=("limit", "max_per_owner"), options={"max_per_owner": 3, "when_full": "refuse"})
case("create of a custom token whose deadline passes", "create", with_custom,
     [claimed, {**made, "deadline": {"sent": True}}], error=("outcome_unknown", "may or may not"))
case("create of a custom token whose deadline passes before it is sent", "create", with_custom,
     [{**claim, "deadline": {"sent": False}}], error=("timeout", "timeout"))
case("create of a custom token that was generated for this owner needs no alias", "create",
     {**new, "custom_token": bob.token},
     [{**send("once", create_custom(Stored(bob.token))), **replies(bob.head)}],
     {"token": bob.result(data={})})
case("create of a custom token that was generated for another owner", "create",
     {**new, "custom_token": amy.token}, refused=("data", "another owner"))
case("create refuses an empty owner", "create", {**new, "owner": ""}, refused=("data", "owner"))
case("create refuses data over max_data_size", "create", {**new, "data": {"a": "123"}},
     refused=("data", "max_data_size"), options={"max_data_size": 10})
case("create takes data of max_data_size", "create", {**new, "data": {"a": "12"}},
     [{**send("idempotent", create(b'"bob"{"a":"12"}')), **replies(head)}],
     {"token": created_token(data={"a": "12"})}, options={"max_data_size": 10})
case("the constructor refuses a short pepper", "create", new, refused=("configuration", "pepper"),
     options={"pepper": "short"})
case("the constructor refuses braces in the prefix", "create", new,
     refused=("configuration", "prefix"), options={"prefix": "a{b"})

# ---- create_many ---------------------------------------------------------------------------------

two = {"tokens": [{k: text(v) for k, v in new.items()},
                  {k: text(v) for k, v in with_custom.items()}]}  # fmt: skip
both_made = send("once", create(b'"bob"{}'), create_custom(plain))
case("create_many", "create_many", two,
     [claimed, {**both_made, **replies(head, plain.head)}, confirmed],
     {"tokens": [created_token(), plain.result()]})
undo = eval_(script("delete", bob.key, join(check, b"1"), digest, b"0"))
echo = join(check, b"1")
case("create_many that fails deletes what it made", "create_many", two,
     [claimed, {**both_made, **replies(head, plain.echo)},
      {**send("once", undo, drop_claim), **replies([echo, 1], [plain.echo, 1])}], error=("data", "in use"))
two_custom = {"tokens": [{**two["tokens"][1], "custom_token": name} for name in (text(CUSTOM), "another")]}
another = Stored(b"another")
another_nonce = {"capture": "another nonce", "size": 6}
case("create_many that fails frees the custom tokens that it claimed", "create_many", two_custom,
     [{**send("once", change_alias(plain, b"", join(plain.locator, nonce, b"?"), b"60000"),
              change_alias(another, b"", join(another.locator, another_nonce, b"?"), b"60000")),
       **replies([plain.echo, 1], [another.echo, amy.locator + NONCE + b"?"])}, dropped], error=("data", "in use"))
case("create_many that fails and cannot undo keeps the first error", "create_many", two,
     [claimed, {**both_made, **replies(head, Error("OOM no memory"))},
      {**send("once", undo, drop_claim), **lost(True)}], error=("server", "OOM"))
case("create_many of nothing", "create_many", {"tokens": []}, [], {"tokens": []})

# ---- refresh -------------------------------------------------------------------------------------

hour = {**bob.args, "duration": 3600}
case("refresh", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.echo, NOW + 3600000])}],
     {"bool": True})
case("refresh of an unknown token", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.echo, 0])}], {"bool": False})
case("refresh passes max_age on", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000, 7200000)), **replies([bob.echo, NOW])}],
     {"bool": True}, options={"max_age": 7200})
case("refresh of what is no record", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.echo, -2])}],
     error=("data", "not a tokenstore record"))
case("refresh is sent again after a lost connection", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **lost(True)}, sleep(1, 10),
      {**send("idempotent", bob.refresh(3600000)), **replies([bob.echo, NOW + 3600000])}],
     {"bool": True})
case("refresh of an empty token asks nobody", "refresh", {**hour, "token": ""}, [], {"bool": False})

# ---- update --------------------------------------------------------------------------------------

patch = {**bob.args, "data": {"role": "root", "gone": None, 'q"\\': [1, {}]}}
after = Stored(data={"name": "n123", "role": "root", 'q"\\': [1, {}]})
words = bob.update(b'"role"', b'"root"', b'"gone"', b"", b'"q\\"\\\\"', b"[1,{}]")
case("update sends texts, and nothing for null", "update", patch,
     [{**send("once", words), **replies([bob.echo, after.record])}], {"token": after.result()})
case("update whose answer is beyond what is read", "update", patch,
     [{**send("once", words), **deep}], error=("limit", "the command was executed"))
case("update of an unknown token", "update", patch,
     [{**send("once", words), **replies([bob.echo, 0])}], {"token": None})
case("update that would be too large", "update", patch,
     [{**send("once", words), **replies([bob.echo, -1])}], error=("data", "max_data_size"))
case("update with nothing", "update", {**bob.args, "data": {}},
     [{**send("once", bob.update()), **replies([bob.echo, bob.record])}], {"token": bob.result()})
case("update keeps to max_data_size", "update", {**bob.args, "data": {"a": 1}},
     [{**send("once", bob.update(b'"a"', b"1", most=100)), **replies([bob.echo, bob.record])}],
     {"token": bob.result()}, options={"max_data_size": 100})
case("update whose answer is lost", "update", patch, [{**send("once", words), **lost(True)}],
     error=("outcome_unknown", "may or may not"))
case("update whose answer is another's", "update", patch,
     [{**send("once", words), **replies([other.echo, other.record])}],
     error=("outcome_unknown", "another request"))
case("update whose record is another's", "update", patch,
     [{**send("once", words), **replies([bob.echo, other.record])}],
     error=("outcome_unknown", "another request"))

set_role = {**bob.args, "data": {"role": "root"}}
ROLE = (b'"role"', b'"root"')
rooted = Stored(data={"name": "n123", "role": "root"})
case("update with unset and keep_null", "update",
     {**bob.args, "data": {"role": None}, "unset": ["name", 'q"'], "keep_null": True},
     [{**send("once", bob.update(b'"role"', b"null", b'"name"', b"", b'"q\\""', b"")),
       **replies([bob.echo, Stored(data={"role": None}).record])}],
     {"token": bob.result(data={"role": None})})
case("update of all data", "update", {**bob.args, "data": {"n": None}, "replace": True},
     [{**send("once", bob.update_more(replace=b'{"n":null}')),
       **replies([bob.echo, Stored(data={"n": None}).record])}], {"token": bob.result(data={"n": None})})
case("update with refresh gives the end", "update", {**set_role, "refresh": 3600},
     [{**send("once", bob.update_more(*ROLE, refresh=3600000)),
       **replies([bob.echo, rooted.record, SERVER + 3600000])}],
     {"token": rooted.result(SERVER + 3600000)})
case("update with refresh of a token without expiry", "update", {**set_role, "refresh": 3600},
     [{**send("once", bob.update_more(*ROLE, refresh=3600000)), **replies([bob.echo, rooted.record, 0])}],
     {"token": rooted.result()})
case("update with refresh of a custom token lets its alias live as long", "update",
     {**custom.args, "data": {"e": None}, "refresh": 60},
     [{**send("once", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("once", custom.update_more(b'"e"', b"", refresh=60000), custom.lengthen(60000)),
       **replies([custom.echo, custom.record, SERVER + 60000], 5)}],
     {"token": custom.result(SERVER + 60000)})
by_idle = {**set_role, "refresh": True}
words = bob.update_more(*ROLE, refresh=-1)
case("update by the token's own idle time", "update", by_idle,
     [{**send("once", words), **replies([bob.echo, rooted.idle(60000), SERVER + 60000])}],
     {"token": rooted.result(SERVER + 60000)})
case("update by its own idle time of a token without", "update", by_idle,
     [{**send("once", words), **replies([bob.echo, rooted.record, END])}], {"token": rooted.result(END)})
case("update with refresh false", "update", {**set_role, "refresh": False},
     [{**send("once", bob.update(*ROLE)), **replies([bob.echo, rooted.record])}], {"token": rooted.result()})

# Only the record says how long the alias is to live. Whatever becomes of that, the token is updated.
by_idle = {**custom.args, "data": {"e": None}, "refresh": True}
words = custom.update_more(b'"e"', b"", refresh=-1)
found = {**send("once", [b"GET", custom.alias]), **replies(custom.locator + NONCE)}
updated = {**send("once", words), **replies([custom.echo, custom.idle(60000), SERVER + 60000])}
lengthened = send("once", custom.lengthen(60000))
done = {"token": custom.result(SERVER + 60000)}
case("update of a custom token by its own idle time", "update", by_idle,
     [found, updated, {**lengthened, **replies(5)}], done)
case("update of a custom token by its own idle time, which it has not", "update", by_idle,
     [found, {**send("once", words), **replies([custom.echo, custom.record, END])}],
     {"token": custom.result(END)})
case("update by its own idle time of a custom token that is gone", "update", by_idle,
     [found, {**send("once", words), **replies([custom.echo, 0])}], {"token": None})
case("update by its own idle time whose alias's answer is lost", "update", by_idle,
     [found, updated, {**lengthened, **lost(True)}], done)
case("update by its own idle time whose alias cannot be extended", "update", by_idle,
     [found, updated, {**lengthened, **replies(Error("OOM cannot"))}], done)
case("update by its own idle time whose deadline passes meanwhile", "update", by_idle,
     [found, updated, {**lengthened, "deadline": {"sent": True}}], done)
case("update by its own idle time whose answer is lost", "update", by_idle,
     [found, {**send("once", words), **lost(True)}], error=("outcome_unknown", "may or may not"))

UNSET = {"$unset": True}
expecting = {**set_role, "expect": {"role": "admin", "gone": UNSET}}
words = bob.update_more(*ROLE, expect=(b'"role"', b'"admin"', b'"gone"', b""))
case("update with expect", "update", expecting,
     [{**send("once", words), **replies([bob.echo, rooted.record])}], {"token": rooted.result()})
for name, number in (("role", 1), ("gone", 2)):
    case(f"update with an unexpected value of {name}", "update", expecting,
         [{**send("once", words), **replies([bob.echo, -3, number])}],
         error=("conflict", f'the field "{name}" is not as expected: nothing was changed'))
long_name = "ü" * 100
case("update with an unexpected value of a long name", "update", {**set_role, "expect": {long_name: 1}},
     [{**send("once", bob.update_more(*ROLE, expect=(f'"{long_name}"'.encode(), b"1"))),
       **replies([bob.echo, -3, 1])}], error=("conflict", f'"{long_name[:49]} is not'))
case("update that expects nothing", "update", {**set_role, "expect": {}},
     [{**send("once", bob.update_more(*ROLE)), **replies([bob.echo, rooted.record])}],
     {"token": rooted.result()})
case("update with expect of an unknown token", "update", expecting,
     [{**send("once", words), **replies([bob.echo, 0])}], {"token": None})
case("update with expect whose answer is lost", "update", expecting, [{**send("once", words), **lost(True)}],
     error=("outcome_unknown", "may or may not"))
case("update that was not sent is tried again", "update", expecting,
     [{**send("once", words), **lost(False)}, sleep(1, 10),
      {**send("once", words), **replies([bob.echo, rooted.record])}], {"token": rooted.result()})
case("update refuses a field that is set and deleted", "update", {**set_role, "unset": ["x", "role"]},
     refused=("data", 'unset and data both have the field "role"'))
case("update refuses replace and unset", "update", {**set_role, "unset": ["x"], "replace": True},
     refused=("data", "replace and unset"))
case("update takes replace and nothing to unset", "update", {**set_role, "unset": [], "replace": True},
     [{**send("once", bob.update_more(replace=b'{"role":"root"}')), **replies([bob.echo, rooted.record])}],
     {"token": rooted.result()})
case("update refuses a refresh out of range", "update", {**set_role, "refresh": 0.5}, refused=("data", "refresh"))

# ---- get_by_id, update_by_id, update_all ---------------------------------------------------------------

by_id = {"app": APP, "type": TYPE, "owner": OWNER, "id": bob.field}
secretless = {"token": None}
named = ById(data={"name": "n123", "role": "admin"})
successor = Stored(data={"name": "n123", "role": "admin"}, random=b"B" * 43)
asked = send("read", named.script("read", b"0"))
case("get_by_id", "get_by_id", by_id, [{**asked, **replies([bob.echo, bob.record, END, bob.field])}],
     {"token": bob.result(END, **secretless)})
case("get_by_id by a sid", "get_by_id", by_id,
     [{**asked, **replies([bob.echo, successor.record, 0, successor.field])}],
     {"token": successor.result(**secretless)})
case("get_by_id under max_age", "get_by_id", by_id,
     [{**send("read", named.script("read", b"90000")), **replies([bob.echo, 0])}], {"token": None},
     options={"max_age": 90})
case("get_by_id of what is no record", "get_by_id", by_id, [{**asked, **replies([bob.echo, -2])}],
     error=("data", "not a tokenstore record"))
case("get_by_id of another's record", "get_by_id", by_id,
     [{**asked, **replies([bob.echo, other.record, 0, bob.field])}], error=("connection", "another request"))
case("get_by_id with an id that is none asks nobody", "get_by_id", {**by_id, "id": b"x"}, [], {"token": None})
case("get_by_id refuses an empty owner", "get_by_id", {**by_id, "owner": ""}, refused=("data", "owner"))
change = {**by_id, "data": {"role": "root"}}
case("update_by_id", "update_by_id", change,
     [{**send("once", named.update(*ROLE)), **replies([bob.echo, rooted.record])}],
     {"token": rooted.result(**secretless)})
case("update_by_id, not found", "update_by_id", change,
     [{**send("once", named.update(*ROLE)), **replies([bob.echo, 0])}], {"token": None})
perhaps = eval_(script("alias_extend", keys.alias_key(APP, TYPE, bob.field), b"3660000"))
case("update_by_id with all that update takes", "update_by_id",
     {**change, "unset": ["a"], "keep_null": True, "expect": {"b": UNSET}, "refresh": 3600},
     [{**send("once", named.update_more(*ROLE, b'"a"', b"", refresh=3600000, expect=(b'"b"', b"")), perhaps),
       **replies([bob.echo, rooted.record, SERVER], -2)}],
     {"token": rooted.result(SERVER, **secretless)})
case("update_by_id by the token's own idle time", "update_by_id", {**change, "refresh": True},
     [{**send("once", named.update_more(*ROLE, refresh=-1)), **replies([bob.echo, rooted.idle(3600000), SERVER, bob.field])},
      {**send("once", perhaps), **replies(-2)}],
     {"token": rooted.result(SERVER, **secretless)})
case("update_by_id, not as expected", "update_by_id", {**change, "expect": {"role": "x"}},
     [{**send("once", named.update_more(*ROLE, expect=(b'"role"', b'"x"'))), **replies([bob.echo, -3, 1])}],
     error=("conflict", 'the field "role"'))
case("update_by_id with an id that is none asks nobody", "update_by_id", {**change, "id": b""}, [], {"token": None})
case("update_by_id refuses a field that is set and deleted", "update_by_id", {**change, "unset": ["role"]},
     refused=("data", "unset and data"))

everywhere = {"app": APP, "type": TYPE, "owner": OWNER, "data": {"role": "root", "x": None}}
its_echo = bob.locator[:4] + b"1"
words = eval_(script("update_all", bob.key, its_echo, b"0", b"65536", *ROLE, b'"x"', b""))
case("update_all", "update_all", everywhere,
     [{**send("once", words), **replies([its_echo, 3, 0, b""])}], {"count": 3})
case("update_all of nothing", "update_all", everywhere,
     [{**send("once", words), **replies([its_echo, 0, 0, b""])}], {"count": 0})
case("update_all that skips what is unreadable", "update_all", everywhere,
     [{**send("once", words), **replies([its_echo, 3, 1, bob.field])}], {"count": 3})
case("update_all that skips another program's field", "update_all", everywhere,
     [{**send("once", words), **replies([its_echo, 3, 1, b"x" * 5000])}], {"count": 3})
case("update_all of what is unreadable alone", "update_all", everywhere,
     [{**send("once", words), **replies([its_echo, 0, 2, bob.field])}],
     error=("data", f"the token {bob.field.decode()} is stored in an unreadable form: nothing was changed"))
case("update_all that would be too large", "update_all", everywhere,
     [{**send("once", words), **replies([its_echo, -1, bob.field])}], error=("data", "max_data_size"))
case("update_all under max_age", "update_all", {**everywhere, "data": {"role": "root"}},
     [{**send("once", eval_(script("update_all", bob.key, its_echo, b"7200000", b"65536", *ROLE))),
       **replies([its_echo, 0, 0, b""])}], {"count": 0}, options={"max_age": 7200})
case("update_all whose answer is lost", "update_all", everywhere, [{**send("once", words), **lost(True)}],
     error=("outcome_unknown", "may or may not"))
case("update_all of another owner", "update_all", everywhere,
     [{**send("once", words), **replies([b"****1", 3, 0, b""])}], error=("outcome_unknown", "another request"))
case("update_all refuses an empty owner", "update_all", {**everywhere, "owner": ""}, refused=("data", "owner"))

# ---- delete ------------------------------------------------------------------------------------------

case("delete", "delete", bob.args, [{**send("once", bob.delete()), **replies([bob.echo, 1])}],
     {"bool": True})
case("delete of an unknown token", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.echo, 0])}], {"bool": False})
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
      {**send("once", by_text(bob.delete()[1:])), **replies([bob.echo, 1])}], {"bool": True})
case("delete that is answered with a status", "delete", bob.args,
     [{**send("once", bob.delete()), **replies(Status("OK"))}],
     error=("outcome_unknown", "another request"))

case("delete of a custom token", "delete", custom.args,
     [{**send("once", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("once", custom.delete(), custom.drop(custom.echo)),
       **replies([custom.echo, 1], [custom.echo, 1])}], {"bool": True})
case("delete of an unknown custom token", "delete", custom.args,
     [{**send("once", [b"GET", custom.alias]), **replies(None)}], {"bool": False})

# ---- take --------------------------------------------------------------------------------------------

taking = bob.script("take", b"0")
case("take", "take", bob.args, [{**send("once", taking), **replies([bob.echo, bob.record, NOW + 5])}],
     {"token": bob.result(NOW + 5)})
case("take of a token without expiry, under max_age", "take", bob.args,
     [{**send("once", bob.script("take", b"90000")), **replies([bob.echo, bob.record, 0])}],
     {"token": bob.result()}, options={"max_age": 90})
case("take of an unknown token", "take", bob.args,
     [{**send("once", taking), **replies([bob.echo, 0])}], {"token": None})
case("take of an empty token asks nobody", "take", {**bob.args, "token": ""}, [], {"token": None})
case("take whose answer is lost", "take", bob.args, [{**send("once", taking), **lost(True)}],
     error=("outcome_unknown", "may or may not"))
case("take whose deadline passes", "take", bob.args,
     [{**send("once", taking), "deadline": {"sent": True}}], error=("outcome_unknown", "may or may not"))
case("take whose answer is beyond what is read", "take", bob.args, [{**send("once", taking), **deep}],
     error=("limit", "the command was executed"))
case("take whose answer is another's", "take", bob.args,
     [{**send("once", taking), **replies([other.echo, other.record, 0])}],
     error=("outcome_unknown", "another request"))
case("take of what is no record", "take", bob.args,
     [{**send("once", taking), **replies([bob.echo, -2])}], error=("data", "not a tokenstore record"))
case("take of a custom token", "take", custom.args,
     [{**send("once", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("once", custom.script("take", b"0"), custom.drop(custom.echo)),
       **replies([custom.echo, custom.record, 0], [custom.echo, 1])}], {"token": custom.result()})
case("take of an unknown custom token", "take", custom.args,
     [{**send("once", [b"GET", custom.alias]), **replies(None)}], {"token": None})

# ---- delete_by_id, delete_all --------------------------------------------------------------------------

ids = {**new, "id": bob.field}
case("delete_by_id", "delete_by_id", ids,
     [{**send("once", named.delete()), **replies([bob.echo, 1])}], {"bool": True})
case("delete_by_id, not found", "delete_by_id", ids,
     [{**send("once", named.delete()), **replies([bob.echo, 0])}], {"bool": False})
for name, bad in (("empty", b""), ("one too short", bob.field[1:]), ("one too long", bob.field + b"A"),
                  ("of other characters", b"*" * 22)):  # fmt: skip
    case(f"delete_by_id with an id {name} asks nobody", "delete_by_id", {**new, "id": bad}, [],
         {"bool": False})

owner_echo = bob.locator[:4] + b"1"
of_owner = [bob.key, owner_echo]
all_of = eval_(script("delete_all", *of_owner, b"0"))
case("delete_all", "delete_all", new,
     [{**send("once", all_of), **replies([owner_echo, 3])}], {"count": 3})
case("delete_all of nothing", "delete_all", new,
     [{**send("once", all_of), **replies([owner_echo, 0])}], {"count": 0})
case("delete_all whose answer is lost", "delete_all", new, [{**send("once", all_of), **lost(True)}],
     error=("outcome_unknown", "may or may not"))


def all_but(*fields, max_age=b"0"):
    return eval_(script("delete_all", *of_owner, max_age, *fields))


case("delete_all but a token", "delete_all", {**new, "keep": bob.token},
     [{**send("once", all_but(bob.field, max_age=b"90000")), **replies([owner_echo, 2])}], {"count": 2},
     options={"max_age": 90})
case("delete_all but a custom token", "delete_all", {**new, "keep": CUSTOM},
     [{**send("once", all_but(custom.field)), **replies([owner_echo, 2])}], {"count": 2})
case("delete_all but an id", "delete_all", {**new, "keep": bob.field},
     [{**send("once", all_but(keys.field(APP, TYPE, bob.field), b"=" + bob.field)), **replies([owner_echo, 2])}],
     {"count": 2})
for name, keep in (("empty", ""), ("1025 bytes long", "x" * 1025)):
    case(f"delete_all but a token {name} spares none", "delete_all", {**new, "keep": keep},
         [{**send("once", all_of), **replies([owner_echo, 2])}], {"count": 2})
case("delete_all but a token, whose answer is lost", "delete_all", {**new, "keep": bob.token},
     [{**send("once", all_but(bob.field)), **lost(True)}], error=("outcome_unknown", "may or may not"))
case("delete_all refuses an empty owner", "delete_all", {**new, "owner": ""}, refused=("data", "owner"))

# ---- list ----------------------------------------------------------------------------------------

def listing(max_age=b"0", limit=b"0", after=b""):
    return send("read", eval_(script("list", *of_owner, max_age, limit, after)))


newer = Stored(random=b"B" * 43, us=US + 1)
asked = listing()
case("list, newest first, without the secrets", "list", new,
     [{**asked, **replies([owner_echo, bob.field, bob.record, 0, newer.field, newer.record,
                           NOW + 5, custom.field, custom.record, NOW + 60000])}],
     {"tokens": [newer.result(NOW + 5, token=None)]
      + sorted((bob.result(token=None), custom.result(NOW + 60000, token=None)), key=lambda t: t["id"])})
case("list passes max_age on", "list", new,
     [{**listing(b"7200000"), **replies([owner_echo])}], {"tokens": []},
     options={"max_age": 7200})
case("list of a page", "list", {**new, "limit": 2},
     [{**listing(limit=b"2"), **replies([owner_echo, bob.field, bob.record, 0])}],
     {"tokens": [bob.result(token=None)]})
case("list of a later page", "list", {**new, "limit": 1000000, "after": custom.field},
     [{**listing(limit=b"1000000", after=custom.field), **replies([owner_echo])}], {"tokens": []})
case("list behind a token that has ended", "list", {**new, "after": bob.field},
     [{**listing(after=bob.field), **replies([owner_echo, 0])}],
     error=("data", "after: no live token"))
case("list whose answer is beyond what is read", "list", new, [{**asked, **deep}],
     error=("limit", "pass limit and after to list"))
for bad in (0, -1, 1000001):
    case(f"list refuses the limit {bad}", "list", {**new, "limit": bad}, refused=("data", "limit"))
for name, bad in (("empty", b""), ("of other characters", b"*" * 22)):
    case(f"list refuses an id {name}", "list", {**new, "after": bad}, refused=("data", "after"))
case("list of nothing", "list", new, [{**asked, **replies([owner_echo])}], {"tokens": []})
case("list is read again after a lost connection", "list", new,
     [{**asked, **lost(True)}, sleep(1, 10), {**asked, **replies([owner_echo])}],
     {"tokens": []})
case("list with a record that is not its member's", "list", new,
     [{**asked, **replies([owner_echo, bob.field, newer.record, 0])}],
     error=("connection", "another request"))
case("list with a member that is none", "list", new,
     [{**asked, **replies([owner_echo, b"x", bob.record, 0])}],
     error=("data", "not a tokenstore record"))
case("list of another owner", "list", new, [{**asked, **replies([b"****1"])}],
     error=("connection", "another request"))

# ---- count -------------------------------------------------------------------------------------------

counting = send("read", eval_(script("count", *of_owner, b"0")))
case("count", "count", new, [{**counting, **replies([owner_echo, 3])}], {"count": 3})
case("count is read again after a lost connection", "count", new,
     [{**counting, **lost(True)}, sleep(1, 10), {**counting, **replies([owner_echo, 0])}],
     {"count": 0})
case("count of another owner", "count", new, [{**counting, **replies([b"****1", 3])}],
     error=("connection", "another request"))

# ---- rotate --------------------------------------------------------------------------------------


def rotate(stored, ms=0, max_age=0, first=True):
    echo = {"capture": "check", "size": 4} if first else check
    field = {"capture": "digest", "size": 22} if first else digest
    return eval_(script("rotate", stored.key, join(echo, b"1"), stored.field, field, b"%d" % ms,
                        b"%d" % max_age))  # fmt: skip


def rotated(stored):
    """The record with the new check."""
    return join(stored.record[:9], check, stored.record[9 + 4:])


def rotated_token(stored, expires_ms=0):
    token = join(b"1", stored.locator, {"capture": "secret", "size": 47})
    return stored.result(expires_ms, token=token, id=digest)


case("rotate", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([echo, rotated(bob), NOW + 5])}],
     {"token": rotated_token(bob, NOW + 5)})
case("rotate of a custom token", "rotate", custom.args,
     [{**send("idempotent", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("idempotent", rotate(custom)), **replies([echo, rotated(custom), NOW + 5])},
      {**send("idempotent", custom.drop(echo)), **replies([echo, 1])}],
     {"token": rotated_token(custom, NOW + 5)})
case("rotate of a custom token whose alias cannot be removed", "rotate", custom.args,
     [{**send("idempotent", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("idempotent", rotate(custom)), **replies([echo, rotated(custom), NOW + 5])},
      {**send("idempotent", custom.drop(echo)), **replies(Error("NOPERM no permissions"))}],
     {"token": rotated_token(custom, NOW + 5)})
case("rotate of an unknown custom token", "rotate", custom.args,
     [{**send("idempotent", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("idempotent", rotate(custom)), **replies([echo, 0])}], {"token": None})
case("rotate with a duration, under max_age", "rotate", {**bob.args, "duration": 60},
     [{**send("idempotent", rotate(bob, 60000, 90000)), **replies([echo, rotated(bob), NOW + 60000])}],
     {"token": rotated_token(bob, NOW + 60000)}, options={"max_age": 90})
case("rotate of an unknown token", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([echo, 0])}], {"token": None})
case("rotate is sent again, to the same new token, after a lost connection", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **lost(True)}, sleep(1, 10),
      {**send("idempotent", rotate(bob, first=False)), **replies([echo, rotated(bob), 0])}],
     {"token": rotated_token(bob)})
case("rotate whose answer holds the old record", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([echo, bob.record, 0])}],
     error=("outcome_unknown", "another request"))
case("rotate of what is no record", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([echo, -2])}],
     error=("data", "not a tokenstore record"))

# ---- rotate with a grace, an owner, data ---------------------------------------------------------------

SALT = b"salt-salt-salt-salt-22"
SECOND = b"Salt-Salt-Salt-Salt-22"


def following(stored, salt=SALT):
    """What `stored` was rotated to."""
    token = keys.successor(stored.token, salt, stored.locator)
    one = Stored(token, stored.owner_name, stored.data)
    one.family = getattr(stored, "family", stored.field)
    one.record = record(US, one.field, one.owner_name, one.data_text, pieces=b"f" + one.family)
    return one


def forward_to(stored, one, salt=SALT, end=0):
    return keys.left(US, stored.field, one.family, end) + keys.forward(salt, one.field)


def tombstone_of(stored, end=0, owner=b'"bob"'):
    return keys.left(US, stored.field, getattr(stored, "family", stored.field), end) + owner


def more(grace=0, forward=b"", window=0, owner=b"", *pairs):
    """What rotate takes beyond the usual."""
    left = [b"%d" % grace, forward, b"%d" % window]
    return left + [owner, b"0", b"oldest", b"65536", *pairs] if owner or pairs else left


def succeeded(one, presented, expires_ms=0):
    return one.result(expires_ms, token=text(presented.token), sid=text(one.family), superseded=True)


next_ = following(bob)
third = following(next_, SECOND)
on = forward_to(bob, next_)
salted = join(b">AAg", {"capture": "salt", "size": 22}, digest)
moved = {"token": rotated_token(bob, NOW + 5)}
case("rotate with a grace", "rotate", {**bob.args, "grace": 10},
     [{**send("idempotent", [*rotate(bob), *more(10000, salted)]), **replies([echo, rotated(bob), NOW + 5])}],
     moved)
case("rotate with data", "rotate", {**bob.args, "data": {"a": 1, "b": None}},
     [{**send("idempotent", [*rotate(bob), *more(0, b"", 0, b"", b'"a"', b"1", b'"b"', b"")]),
       **replies([echo, rotated(bob), NOW + 5])}], moved)
case("rotate with its own owner", "rotate", {**bob.args, "owner": "bob"},
     [{**send("idempotent", [*rotate(bob), *more(owner=b'"bob"')]), **replies([echo, rotated(bob), NOW + 5])}],
     moved)
for code, wrong in ((-1, ("data", "larger than max_data_size")), (-3, ("limit", "max_per_owner")),
                    (-4, ("data", "the token has another owner: nothing was changed"))):  # fmt: skip
    case(f"rotate that is answered {code}", "rotate", {**bob.args, "owner": "bob"},
         [{**send("idempotent", [*rotate(bob), *more(owner=b'"bob"')]), **replies([echo, code])}], error=wrong)
case("rotate of what was rotated gives the same token", "rotate", {**bob.args, "grace": 10},
     [{**send("idempotent", [*rotate(bob), *more(10000, salted)]), **replies([echo, -5, on])},
      {**send("idempotent", [*next_.script("rotate", next_.field, b"0", b"0"), *more(10000)]),
       **replies([next_.echo, next_.record, NOW + 5])}],
     {"token": next_.result(NOW + 5, sid=text(bob.field))})
late = [*next_.script("rotate", next_.field, b"0", b"0"), *more(0, b"", 0, b"", b'"a"', b"1")]
for name, then in (
    ("sets the data", {**replies([next_.echo, next_.record, 0])}),
    ("and whose answer is lost is not sent again: another change may have come between", lost(True)),
):
    case(f"rotate with data of what was rotated {name}", "rotate", {**bob.args, "data": {"a": 1}},
         [{**send("idempotent", [*rotate(bob), *more(0, b"", 0, b"", b'"a"', b"1")]), **replies([echo, -5, on])},
          {**send("once", late), **then}],
         **({"result": {"token": next_.result(sid=text(bob.field))}} if "replies" in then
            else {"error": ("outcome_unknown", "may or may not")}))
case("rotate of what was rotated twice gives the last token", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([echo, -5, on])},
      {**send("idempotent", next_.script("rotate", next_.field, b"0", b"0")),
       **replies([next_.echo, -5, forward_to(next_, third, SECOND)])},
      {**send("idempotent", third.script("rotate", third.field, b"0", b"0")),
       **replies([third.echo, third.record, NOW + 5])}],
     {"token": third.result(NOW + 5, sid=text(bob.field))})
case("rotate of what was rotated and is gone", "rotate", bob.args,
     [{**send("idempotent", rotate(bob)), **replies([echo, -5, on])},
      {**send("idempotent", next_.script("rotate", next_.field, b"0", b"0")), **replies([next_.echo, 0])}],
     {"token": None})
case("rotate of a custom token with a grace lets its alias live as long", "rotate", {**custom.args, "grace": 10},
     [{**send("idempotent", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("idempotent", [*rotate(custom), *more(10000, salted)], custom.lengthen(10000)),
       **replies([echo, rotated(custom), NOW + 5], 5)}],
     {"token": rotated_token(custom, NOW + 5)})
case("rotate of a custom token that was rotated leaves its alias alone", "rotate", custom.args,
     [{**send("idempotent", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("idempotent", rotate(custom)),
       **replies([echo, -5, forward_to(custom, following(custom))])},
      {**send("idempotent", following(custom).script("rotate", following(custom).field, b"0", b"0")),
       **replies([following(custom).echo, following(custom).record, 0])}],
     {"token": following(custom).result(sid=text(custom.field))})
case("rotate of a custom token that is refused leaves its alias alone", "rotate",
     {**custom.args, "data": {"a": 1}},
     [{**send("idempotent", [b"GET", custom.alias]), **replies(custom.locator + NONCE)},
      {**send("idempotent", [*rotate(custom), *more(0, b"", 0, b"", b'"a"', b"1")]),
       **replies([echo, -1])}], error=("data", "max_data_size"))
for name, wrong in (("grace", 0.5), ("data", {"a": float("inf")})):
    if name == "grace":
        case("rotate refuses a grace out of range", "rotate", {**bob.args, name: wrong}, refused=("data", "grace"))
case("rotate refuses an empty owner", "rotate", {**bob.args, "owner": ""}, refused=("data", "owner"))

# A token of nobody becomes bob's. Its own locator is a random one. Nothing leads to the new token, whatever the grace.
free = Stored(owner=b"nobody", data=bob.data)
binding = {**free.args, "owner": "bob", "grace": 10}


def two(first=True):
    echo = {"capture": "check", "size": 4} if first else check
    field = {"capture": "digest", "size": 22} if first else digest
    return eval_([{"sha": "rotate"}, b"2", free.key, bob.key, join(echo, b"1"), free.field, field, b"0", b"0",
                  *more(10000, owner=b'"bob"')])  # fmt: skip


case("rotate that binds", "rotate", binding,
     [{**send("idempotent", two()), **replies([echo, rotated(bob), NOW + 5])}], moved)
case("rotate that binds is sent again", "rotate", binding,
     [{**send("idempotent", two()), **lost(True)}, sleep(1, 10),
      {**send("idempotent", two(first=False)), **replies([echo, rotated(bob), NOW + 5])}], moved)
case("rotate that binds what is gone", "rotate", binding,
     [{**send("idempotent", two()), **replies([echo, 0])}], {"token": None})
second = following(free)
case("rotate that binds what was rotated", "rotate", {**binding, "owner": "nobody"},
     [{**send("idempotent", [*rotate(free), *more(10000, salted, owner=b'"nobody"')]),
       **replies([echo, -5, forward_to(free, second)])},
      {**send("idempotent", [*second.script("rotate", second.field, b"0", b"0"), *more(10000, owner=b'"nobody"')]),
       **replies([second.echo, second.record, 0])}], {"token": second.result(sid=text(free.field))})

CROSS = Error("CROSSSLOT Keys in request don't hash to the same slot")
crossed = {**send("idempotent", two()), **replies(CROSS)}
read_free = send("idempotent", free.script("read", b"0"))
reading = {**read_free, **replies([free.echo, free.record, END - 5, free.field, END])}  # a max_age, and its own end
known_echo = join(check, b"1")


def adopt(record=free.record, its_echo=known_echo):
    return send("idempotent", eval_(script("adopt", bob.key, its_echo, free.field, digest, record, b"%d" % END, b"0",
                                           b"0", b'"bob"', b"0", b"oldest", b"65536")))  # fmt: skip


def end(record=free.record):
    return send("idempotent", free.script("delete", b"0", record))


undoing = send("idempotent", eval_(script("delete", bob.key, known_echo, digest, b"0")))
adopted = {**adopt(), **replies([echo, rotated(bob), END])}
undone = {**undoing, **replies([echo, 1])}
bound_now = {"token": rotated_token(bob, END)}
case("rotate that binds across servers", "rotate", binding,
     [crossed, reading, adopted, {**end(), **replies([free.echo, 1])}], bound_now)
unsure = join(check, b"2")  # a lost connection forgets what was known
case("rotate that binds across servers, two answers lost", "rotate", binding,
     [crossed, {**read_free, **lost(True)}, sleep(1, 10), reading, {**adopt(its_echo=unsure), **lost(True)},
      sleep(1, 10), {**adopt(its_echo=unsure), **replies([echo, rotated(bob), END])},
      {**end(), **replies([free.echo, 1])}], bound_now)
case("rotate that binds across servers what is gone", "rotate", binding,
     [crossed, {**reading, **replies([free.echo, 0])}], {"token": None})
case("rotate that binds across servers what has changed meanwhile", "rotate", binding,
     [crossed, reading, adopted, {**end(), **replies([free.echo, -3])}, undone,
      {**read_free, **replies([free.echo, bob.record, END, free.field])},
      {**adopt(bob.record), **replies([echo, rotated(bob), END])},
      {**end(bob.record), **replies([free.echo, 1])}], bound_now)
for code, left in ((-5, forward_to(free, second)), (-6, tombstone_of(free))):
    case(f"rotate that binds across servers what is rotated meanwhile: {code}", "rotate", binding,
         [crossed, reading, adopted, {**end(), **replies([free.echo, code, left])}, undone,
          {**read_free, **replies([free.echo, 0])}], {"token": None})
case("rotate that binds across servers what ends meanwhile", "rotate", binding,
     [crossed, reading, adopted, {**end(), **replies([free.echo, 0])}, undone], {"token": None})
case("rotate that binds across servers, the last answer lost: it may have been a logout", "rotate", binding,
     [crossed, reading, adopted, {**end(), **lost(True)}, sleep(1, 10), {**end(), **replies([free.echo, 0])},
      {**send("idempotent", eval_(script("delete", bob.key, join(check, b"2"), digest, b"0"))),
       **replies([join(check, b"2"), 1])}], {"token": None})
case("rotate that binds across servers and is refused by the second", "rotate", binding,
     [crossed, reading, adopted, {**end(), **replies(Error("NOPERM no permissions"))}, undone],
     error=("server", "NOPERM"))
for code, wrong in ((-1, ("data", "max_data_size")), (-3, ("limit", "max_per_owner")), (-4, ("data", "another owner"))):
    case(f"rotate that binds across servers and is answered {code}", "rotate", binding,
         [crossed, reading, {**adopt(), **replies([echo, code])}], error=wrong)
case("rotate that binds across servers what changes all the time", "rotate", binding,
     [crossed, *[reading, adopted, {**end(), **replies([free.echo, -3])}, undone] * 8], error=("conflict", "try again"))

# ---- tokens that were rotated ---------------------------------------------------------------------------

fine = Stored(random=b"C" * 43, data={"fine": 1})
case("get of what was rotated", "get", bob.args,
     [{**send(*read), **replies(on)}, {**send("read", next_.get()), **replies(next_.record)}],
     {"token": succeeded(next_, bob)})
case("get of what was rotated twice", "get", bob.args,
     [{**send(*read), **replies(on)},
      {**send("read", next_.get()), **replies(forward_to(next_, third, SECOND))},
      {**send("read", third.get()), **replies(third.record)}], {"token": succeeded(third, bob)})
case("get of what was rotated and is gone", "get", bob.args,
     [{**send(*read), **replies(on)}, {**send("read", next_.get()), **replies(None)}], {"token": None})
case("get of another token's forward", "get", bob.args, [{**send(*read), **replies(forward_to(next_, third))}],
     error=("connection", "another request"))
for name, end, steps, found in (
    ("that lasts", SERVER + 1, [{**send("read", next_.get(), [b"TIME"]), **replies(next_.record, TIME)}],
     succeeded(next_, bob)),
    ("that has ended", SERVER, [], None),
):
    case(f"get of a forward {name}, from a server that cannot end fields", "get", bob.args,
         [{**send("read", bob.get(), [b"TIME"]), **replies(forward_to(bob, next_, end=end), TIME)}, *steps],
         {"token": found}, known="lacks")
case("get of a forward from before an upgrade asks for the time", "get", bob.args,
     [{**send(*read), **replies(forward_to(bob, next_, end=SERVER + 1))},
      {**send("read", bob.get(), bob.end(), [b"TIME"]), **replies(forward_to(bob, next_, end=SERVER + 1), [-1], TIME)},
      {**send("read", next_.get()), **replies(next_.record)}], {"token": succeeded(next_, bob)})
for name, broken in (("cut off", on[:-1]), ("of too few bytes", on.replace(b">AAg", b">AAA")),
                     ("of no encoding", on.replace(b">AAg", b">DAg")), ("too long", on + b"A")):  # fmt: skip
    case(f"get of a forward {name}", "get", bob.args, [{**send(*read), **replies(broken)}],
         error=("data", "not a tokenstore record"))
case("get_many with what was rotated", "get_many", {"app": APP, "type": TYPE, "tokens": [text(bob.token), text(fine.token)]},
     [{**send("read", bob.get(), fine.get()), **replies(on, fine.record)},
      {**send("read", next_.get()), **replies(next_.record)}],
     {"tokens": [succeeded(next_, bob), fine.result()]})
case("update of what was rotated", "update", set_role | {"token": bob.token},
     [{**send("once", bob.update(*ROLE)), **replies([bob.echo, -5, on])},
      {**send("once", next_.update(*ROLE)), **replies([next_.echo, next_.record, -1, next_.field])}],
     {"token": succeeded(next_, bob)})
case("refresh of what was rotated", "refresh", hour,
     [{**send("idempotent", bob.refresh(3600000)), **replies([bob.echo, -5, on])},
      {**send("idempotent", next_.refresh(3600000)), **replies([next_.echo, SERVER])}], {"bool": True})
case("delete of what was rotated", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.echo, -5, on])},
      {**send("once", next_.delete()), **replies([next_.echo, 1])}], {"bool": True})
case("take of what was rotated", "take", bob.args,
     [{**send("once", taking), **replies([bob.echo, -5, on])},
      {**send("once", next_.script("take", b"0")), **replies([next_.echo, next_.record, 0])}],
     {"token": succeeded(next_, bob)})
case("delete of a tombstone in a store that ignores it", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.echo, -6, tombstone_of(bob)])}], {"bool": False})
case("delete that is answered with a forward that is none", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.echo, -5, b"x"])}], error=("data", "not a tokenstore record"))
case("delete_by_id of what was rotated", "delete_by_id", ids,
     [{**send("once", named.delete()), **replies([bob.echo, -5, on])},
      {**send("once", eval_(script("delete", bob.key, next_.echo, b"=" + next_.field, b"0"))),
       **replies([next_.echo, 1])}], {"bool": True})
case("delete_by_id of a tombstone", "delete_by_id", ids,
     [{**send("once", named.delete()), **replies([bob.echo, -6, tombstone_of(bob)])}], {"bool": False},
     options={"reuse": "revoke"})

revoking = {"options": {"reuse": "revoke"}}
reused = {"error": ("reused_token", "rotated before"), "reused": {"sid": text(bob.field), "owner": "bob"}, **revoking}
tomb = bob.field[:21] + b"~"
look = send("read", [b"HMGET", bob.key, bob.field, tomb])
ending = eval_(script("end_family", bob.key, bob.echo, bob.field))
ended = {**send("idempotent", ending), **replies([bob.echo, 1])}
case("rotate in a store that revokes", "rotate", bob.args,
     [{**send("idempotent", [*rotate(bob), *more(window=86400000)]), **replies([echo, rotated(bob), NOW + 5])}],
     moved, **revoking)
case("get in a store that revokes", "get", bob.args, [{**look, **replies([bob.record, None])}],
     {"token": bob.result()}, **revoking)
case("get in a store that revokes, within the grace", "get", bob.args,
     [{**look, **replies([on, tombstone_of(bob)])},
      {**send("read", [b"HMGET", bob.key, next_.field, next_.field[:21] + b"~"]), **replies([next_.record, None])}],
     {"token": succeeded(next_, bob)}, **revoking)
case("get of nothing in a store that revokes", "get", bob.args, [{**look, **replies([None, None])}], {"token": None},
     **revoking)
case("get of a reused token", "get", bob.args, [{**look, **replies([None, tombstone_of(bob)])}, ended], **reused)
case("get of a reused token of nobody", "get", bob.args,
     [{**look, **replies([None, tombstone_of(bob, owner=b"")])}, ended],
     error=("reused_token", "rotated before"), reused={"sid": text(bob.field), "owner": ""}, **revoking)
case("get of a reused token, from a server that cannot end fields", "get", bob.args,
     [{**send("read", [b"HMGET", bob.key, bob.field, tomb], [b"TIME"]),
       **replies([forward_to(bob, next_, end=SERVER), tombstone_of(bob, end=SERVER + 1)], TIME)},
      {**send("idempotent", eval_(script("end_family", bob.key, bob.echo[:4] + b"0", bob.field))),
       **replies([bob.echo[:4] + b"0", 1])}],
     known="lacks", **reused)
case("get of a reused token after its window, from a server that cannot end fields", "get", bob.args,
     [{**send("read", [b"HMGET", bob.key, bob.field, tomb], [b"TIME"]),
       **replies([None, tombstone_of(bob, end=SERVER)], TIME)}], {"token": None}, known="lacks", **revoking)
case("delete of a reused token", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.echo, -6, tombstone_of(bob)])}, ended], **reused)
case("update of a reused token", "update", set_role,
     [{**send("once", bob.update(*ROLE)), **replies([bob.echo, -6, tombstone_of(bob)])}, ended], **reused)
case("rotate of a reused token", "rotate", bob.args,
     [{**send("idempotent", [*rotate(bob), *more(window=86400000)]), **replies([echo, -6, tombstone_of(bob)])},
      ended], **reused)
case("the end of a family is tried again", "delete", bob.args,
     [{**send("once", bob.delete()), **replies([bob.echo, -6, tombstone_of(bob)])},
      {**send("idempotent", ending), **lost(True)}, sleep(1, 10), ended], **reused)
case("get_many with a reused token", "get_many",
     {"app": APP, "type": TYPE, "tokens": [text(bob.token), text(fine.token)]},
     [{**send("read", [b"HMGET", bob.key, bob.field, tomb],
              [b"HMGET", fine.key, fine.field, fine.field[:21] + b"~"]),
       **replies([None, tombstone_of(bob)], [fine.record, None])}, ended],
     {"tokens": [None, fine.result()]}, **revoking)
case("get that slides what is rotated meanwhile", "get", sliding,
     [{**send("read", bob.get(), bob.end(), [b"TIME"]), **replies(bob.record, [SERVER + 5], TIME)},
      {**send("read", bob.touch(3600000)), **replies([bob.echo, -5, on])},
      {**send("read", next_.get(), next_.end(), [b"TIME"]), **replies(next_.record, [SERVER + 5], TIME)},
      {**send("read", next_.touch(3600000)), **replies([next_.echo, SERVER + 3600000])}],
     {"token": succeeded(next_, bob, expires_ms=SERVER + 3600000)})
case("get that is answered with too few texts", "get", bob.args, [{**look, **replies([None])}],
     error=("connection", "HMGET"), **revoking)
case("the constructor refuses reuse_window alone", "get", bob.args,
     refused=("configuration", "reuse_window needs reuse='revoke'"), options={"reuse_window": 60})

# ---- several peppers -----------------------------------------------------------------------------------

NEW, OLD = b"the new pepper 1", b"the old pepper 0"
both_peppers = {"pepper": [text(NEW), text(OLD)]}
by_new, by_old = (Stored(bob.token, data=bob.data, pepper=pepper) for pepper in (NEW, OLD))
mine_new, mine_old = (Stored(CUSTOM, data=custom.data, pepper=pepper) for pepper in (NEW, OLD))


def peppered(name, call, args, *rest, **more):
    case(f"{call} {name}", call, args, *rest, options=both_peppers, **more)


each = send("read", by_new.get(), by_old.get())
for name, found in (("new", by_new), ("old", by_old)):
    records = [one.record if one is found else None for one in (by_new, by_old)]
    peppered(f"of a token by the {name} pepper", "get", bob.args, [{**each, **replies(*records)}],
             {"token": found.result()})
    ends = [[END] if one is found else [-2] for one in (by_new, by_old)]
    peppered(f"with expiry of a token by the {name} pepper", "get", expiry,
             [{**send("read", by_new.get(), by_old.get(), by_new.end(), by_old.end()), **replies(*records, *ends)}],
             {"token": found.result(END)})
    peppered(f"with refresh of a token by the {name} pepper", "get", sliding,
             [{**send("read", by_new.get(), by_old.get(), by_new.end(), by_old.end(), [b"TIME"]),
               **replies(*records, [SERVER + 5], [SERVER + 5], TIME)},
              {**send("read", found.touch(3600000)), **replies([found.echo, SERVER + 3600000])}],
             {"token": found.result(SERVER + 3600000)})
    peppered(f"of a stamp by the {name} pepper", "get", bob.args,
             [{**send("read", by_new.get(), by_old.get(), [b"TIME"]),
               **replies(*(one.stamped(SERVER + 1) if one is found else None for one in (by_new, by_old)), TIME)}],
             {"token": found.result()}, known="lacks")
    which = [int(one is found) for one in (by_new, by_old)]
    asking = [[b"HEXISTS", one.key, one.field] for one in (by_new, by_old)]
    peppered(f"of a token by the {name} pepper", "refresh", hour,
             [{**send("idempotent", *asking), **replies(*which)},
              {**send("idempotent", found.refresh(3600000)), **replies([found.echo, NOW + 3600000])}], {"bool": True})
    peppered(f"of a token by the {name} pepper", "update", {**bob.args, "data": {}},
             [{**send("once", *asking), **replies(*which)},
              {**send("once", found.update()), **replies([found.echo, found.record])}], {"token": found.result()})
    peppered(f"of a token by the {name} pepper", "delete", bob.args,
             [{**send("once", *asking), **replies(*which)},
              {**send("once", found.delete()), **replies([found.echo, 1])}], {"bool": True})
    peppered(f"of a token by the {name} pepper", "take", bob.args,
             [{**send("once", *asking), **replies(*which)},
              {**send("once", found.script("take", b"0")), **replies([found.echo, found.record, 0])}],
             {"token": found.result()})
    peppered(f"of a token by the {name} pepper", "rotate", bob.args,
             [{**send("idempotent", *asking), **replies(*which)},
              {**send("idempotent", rotate(found)), **replies([echo, rotated(found), NOW + 5])}],
             {"token": rotated_token(found, NOW + 5)})
    mine = mine_new if found is by_new else mine_old
    other_mine = mine_old if found is by_new else mine_new
    alias_of = {id(one): one.locator + NONCE if one is mine else None for one in (mine_new, mine_old)}
    aliases = replies(*(alias_of[id(one)] for one in (mine_new, mine_old)))
    peppered(f"of a custom token by the {name} pepper", "get", custom.args,
             [{**send("read", [b"GET", mine_new.alias], [b"GET", mine_old.alias]), **aliases},
              {**send("read", mine.get()), **replies(mine.record)}], {"token": mine.result()})
    peppered(f"of a custom token by the {name} pepper", "take", custom.args,
             [{**send("once", [b"GET", mine_new.alias], [b"GET", mine_old.alias]), **aliases},
              {**send("once", mine.script("take", b"0"), mine.drop(mine.echo)),
               **replies([mine.echo, mine.record, 0], [mine.echo, 1])}], {"token": mine.result()})
fine_new, fine_old = (Stored(fine.token, data=fine.data, pepper=pepper) for pepper in (NEW, OLD))
case("get_many with several peppers and a reused token", "get_many",
     {"app": APP, "type": TYPE, "tokens": [text(bob.token), text(fine.token)]},
     [{**send("read", *([b"HMGET", one.key, one.field, one.field[:21] + b"~"]
                        for one in (by_new, by_old, fine_new, fine_old))),
       **replies([None, None], [None, tombstone_of(by_old)], [None, None], [fine_old.stamped(SERVER + 1), None])},
      {**send("read", [b"TIME"]), **replies(TIME)},
      {**send("idempotent", eval_(script("end_family", by_old.key, by_old.echo, by_old.field))),
       **replies([by_old.echo, 1])}],
     {"tokens": [None, fine_old.result()]}, options={**both_peppers, "reuse": "revoke"})
peppered("of a token by neither", "get", bob.args, [{**each, **replies(None, None)}], {"token": None})
peppered("of a token by neither", "delete", bob.args,
         [{**send("once", *asking), **replies(0, 0)},
          {**send("once", by_new.delete()), **replies([by_new.echo, 0])}], {"bool": False})
peppered("whose first answer is lost", "delete", bob.args, [{**send("once", *asking), **lost(True)}],
         error=("outcome_unknown", "may or may not"))
peppered("whose first answer is none", "refresh", hour, [{**send("idempotent", *asking), **replies(1, b"1")}],
         error=("connection", "unexpected answer to HEXISTS"))
peppered("of an empty token by several peppers asks nobody", "take", {**bob.args, "token": ""}, [], {"token": None})
amys = Stored(owner=b"amy", pepper=OLD)
amys_new = Stored(owner=b"amy", pepper=NEW)
peppered("in the order asked", "get_many",
         {"app": "app", "type": "type", "tokens": [text(amys.token), "", text(bob.token), text(newer.token)]},
         [{**send("read", amys_new.get(), amys.get(), by_new.get(), by_old.get(),
                  *(Stored(newer.token, pepper=pepper).get() for pepper in (NEW, OLD))),
           **replies(None, amys.record, by_new.record, None, None, None)}],
         {"tokens": [amys.result(), None, by_new.result(), None]})
peppered("but a token, by either pepper", "delete_all", {**new, "keep": bob.token},
         [{**send("once", all_but(by_new.field, by_old.field)), **replies([owner_echo, 2])}], {"count": 2})
mine_empty, older_empty = (Stored(CUSTOM, pepper=pepper) for pepper in (NEW, OLD))
sound = send("once", eval_(script("exists", older_empty.key, older_empty.echo, older_empty.field)))
seek = send("once", [b"GET", older_empty.alias])
new_nonce = {"capture": "nonce", "size": 6}
new_claim_text = join(mine_empty.locator, {"var": "nonce"}, b"?")
making = [
    {**alias(mine_empty, b"", join(mine_empty.locator, new_nonce, b"?"), b"60000"), **replies([mine_empty.echo, 1])},
    {**send("once", create_custom(mine_empty)), **replies(mine_empty.head)},
    {**alias(mine_empty, new_claim_text, join(mine_empty.locator, {"var": "nonce"}), b"0"),
     **replies([mine_empty.echo, 1])},
]
peppered("of a custom token that is new by each pepper", "create", with_custom, [{**seek, **replies(None)}, *making],
         {"token": mine_empty.result()})
peppered("of a custom token whose alias by the old pepper leads nowhere", "create", with_custom,
         [{**seek, **replies(older_empty.locator + NONCE)}, {**sound, **replies([older_empty.echo, 0])}, *making],
         {"token": mine_empty.result()})
peppered("of a custom token that lives by the old pepper", "create", with_custom,
         [{**seek, **replies(older_empty.locator + NONCE)}, {**sound, **replies([older_empty.echo, 1])}],
         error=("data", "in use"))
peppered("of a custom token whose older alias is none", "create", with_custom,
         [{**seek, **replies(b"*" * 22)}], error=("data", "not a tokenstore record"))
generated_new, generated_old = (Stored(bob.token, pepper=pepper) for pepper in (NEW, OLD))
peppered("of a custom token that was generated for this owner, by each pepper", "create", {**new, "custom_token": bob.token},
         [{**send("once", eval_(script("exists", generated_old.key, generated_old.echo, generated_old.field))),
           **replies([generated_old.echo, 0])},
          {**send("once", create_custom(generated_new)), **replies(generated_new.head)}],
         {"token": generated_new.result()})
for bad in ([], ["short"], [text(NEW), "short"], [text(NEW)] * 9):
    case(f"the constructor refuses the peppers {len(bad)} {bad[-1:]}", "create", new, options={"pepper": bad},
         refused=("configuration", "pepper must be 16 to 64 bytes, or a list of 1 to 8 such"))

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

assert created(US) in bob.record
operation_notation.write("operations.json", "make_operations.py", cases)
