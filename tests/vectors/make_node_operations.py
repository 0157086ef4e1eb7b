"""Writes node_operations.json: `python3 tests/vectors/make_node_operations.py`.

Tokenstore's operations with scripted replies. The stored format is implemented independently from
docs/tokenstore.md.
"""

import json

import operation_notation
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
)

ID = b"01234567-89ab-4def-8123-456789abcdef"
OTHER_ID = b"fedcba98-7654-4321-8fed-cba987654321"
KEY = b"kkkkkkkkkkkkkkkkkkkkkkkk"
FOREIGN = (
    "received a reply to another request",
    "so this one may or may not have happened",
)

cases = []


# The name of an operation's first argument.
SUBJECTS = {
    "add": "owner_id", "list": "owner_id",
    "get": "id", "set": "id", "delete": "id",
    "get_key": "key", "delete_key": "key",
    "get_hash": "hash", "take_hash": "hash", "del_hash": "hash",
}  # fmt: skip


def case(name, call, subject=None, *, steps=(), **more):
    args = {} if subject is None else {SUBJECTS[call]: subject}
    args.update(more.pop("args", {}))
    if call == "set":
        args.setdefault("attrs", "{}")
    cases.append(operation_notation.case(name, f"node.{call}", args, steps, **more))


def record(attrs=b"{}", key=KEY, id=ID, owner=b'"bob"'):
    return join(
        b'{"owner_id":', owner, b',"attrs":', attrs, b',"key":"', key, b'","id":"', id, b'"}'
    )


def token(attrs=b"{}", key=KEY, id=ID, owner=b'"bob"'):
    """A token as in results."""
    return join(
        b"owner_id=", owner, b";attrs=", attrs, b';key="', key, b'";id="', id, b'";'
    )


# ---- add -----------------------------------------------------------------------------------------


def key_of(key=KEY, base=b"token:"):
    return join(base, b"key:", key)


def id_of(id=ID, base=b"token:"):
    return join(base, b"id:", id)


def add(attrs=b"{}", ms=b"0", base=b"token:", owner=b"bob", key=None, key_size=24):
    captured_key = key or {"capture": "key", "size": key_size}
    captured_id = {"capture": "id", "size": 36}
    same_key = key or {"var": "key"}
    id = {"var": "id"}
    quoted = json.dumps(owner.decode(), ensure_ascii=False).encode()
    words = [key_of(captured_key, base), id_of(captured_id, base), join(base, b"tokens:", owner), id,
             same_key, record(attrs, same_key, id, quoted), ms, base]  # fmt: skip
    return script("node_add", *words, keys=3)


def added(attrs=b"{}", key=None, owner=b'"bob"'):
    return {"json": token(attrs, key or {"var": "key"}, {"var": "id"}, owner)}


def again(command):
    """The same command again, with captured variables."""
    known = json.loads(
        json.dumps(command, default=lambda b: {"bytes": b.hex()}).replace('"capture"', '"var"')
    )

    def back(word):
        if isinstance(word, dict) and "bytes" in word:
            return bytes.fromhex(word["bytes"])
        if isinstance(word, dict) and "join" in word:
            return {"join": [back(w) for w in word["join"]]}
        if isinstance(word, dict) and "var" in word:
            return {"var": word["var"]}
        return word

    return [back(word) for word in known]


def answer(*values, subject=ID):
    return replies([subject, *values])


ADDED = answer(1, subject={"var": "id"})

case("add is one script", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **ADDED}], result=added())  # fmt: skip
case("add with everything", "add", b"b:*\xc3\xa9",
     args={"attrs": '{"a":[],"n":9007199254740991}', "key": "x" * 24, "duration": 1.5},
     steps=[{**send("idempotent", eval_(add(b'{"a":[],"n":9007199254740991}', b"1500",
                                            owner=b"b:*\xc3\xa9", key=b"x" * 24))), **ADDED}],
     result=added(b'{"a":[],"n":9007199254740991}', b"x" * 24, b'"b:*\xc3\xa9"'))  # fmt: skip
case("add with prefix and size", "add", b"bob", options={"prefix": "p{x}*", "size": 40},
     steps=[{**send("idempotent", eval_(add(base=b"p{x}*:", key_size=40))), **ADDED}],
     result=added())  # fmt: skip
case("add of a key in use", "add", b"bob", args={"key": "x" * 24},
     steps=[{**send("idempotent", eval_(add(key=b"x" * 24))),
             **answer(0, subject={"var": "id"})}],
     error=("data", "key is already in use"))  # fmt: skip
case("add whose answer is another's", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **answer(1)}],
     error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
case("add with an answer that is none", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **replies(b"1")}],
     error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
case("add with half an answer", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **answer(subject={"var": "id"})}],
     error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
case("add where the script is unknown", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **replies(Error("NOSCRIPT No matching script."))},
            {**send("idempotent", by_text(again(add()))), **ADDED}], result=added())  # fmt: skip
case("add whose answer is lost is sent again", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **lost(True)}, sleep(3, 7),
            {**send("idempotent", eval_(again(add()))), **ADDED}], result=added())  # fmt: skip
ADVICE = 'use a prefix with a hash tag, such as "{token}"'
case("add on a cluster", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())),
             **replies(Error("CROSSSLOT Keys in request don't hash to the same slot"))}],
     error=("server", ADVICE))  # fmt: skip
case("another error of the server has no such advice", "get_key", KEY,
     steps=[{**send("read", [b"GET", key_of()]), **replies(Error("ERR MOVED elsewhere"))}],
     error=("server", "the server answered: ERR MOVED elsewhere"))  # fmt: skip
for what, call, subject, args, message in [
    ("an empty owner", "add", "", {}, "owner_id is empty"),
    ("a long owner", "add", {"repeat": ["x", 1025]}, {}, "owner_id is longer than 1024 bytes"),
    ("a NUL in the owner", "add", {"hex": "61 00"}, {}, "owner_id contains a NUL"),
    ("an owner that is not UTF-8", "add", {"hex": "ff"}, {}, "owner_id"),
    ("a short key", "add", "o", {"key": "x" * 23}, "key must be 24 characters"),
    ("an empty key", "add", "o", {"key": ""}, "key is empty"),
    ("a key that is not UTF-8", "add", "o", {"key": {"repeat": [{"hex": "ff"}, 24]}}, "key"),
    ("a duration of half a second", "add", "o", {"duration": 0.5}, "duration must be"),
    ("a long duration", "add", "o", {"duration": 315360001}, "duration must be"),
    ("attrs that are no object", "add", "o", {"attrs": "[]"}, "attrs is not an object"),
    ("attrs that are no JSON", "add", "o", {"attrs": "{"}, "not valid JSON"),
    ("long attrs", "set", "i", {"attrs": {"join": ['{"a":"', {"repeat": ["x", 65536]}, '"}']}},
     "over the limit of 65536"),
    ("attrs that are no object", "set", "i", {"attrs": "1"}, "attrs is not an object"),
    ("an empty owner", "list", "", {}, "owner_id is empty"),
    ("no ttl", "make_hash", None, {"value": "v"}, "ttl must be"),
    ("a long value", "make_hash", None, {"value": {"repeat": ["x", 65537]}, "ttl": 5},
     "over the limit of 65536"),
]:  # fmt: skip
    case(f"{call} refuses {what}", call, subject, args=args, refused=("data", message))
for option, value in [("size", 7), ("size", 257), ("hash_size", 7), ("hash_size", 65),
                      ("prefix", {"hex": "61 00"}), ("prefix", {"repeat": ["x", 129]})]:  # fmt: skip
    case(f"no store with {option} {json.dumps(value)}", "reset", options={option: value},
         refused=("configuration", option))  # fmt: skip
case("a key is as long as JavaScript says", "add", b"bob", args={"key": "\U0001f600é€" * 6},
     steps=[{**send("idempotent", eval_(add(key=("\U0001f600é€" * 6).encode()))), **ADDED}],
     result=added(key=("\U0001f600é€" * 6).encode()))  # fmt: skip

# ---- get, get_key --------------------------------------------------------------------------------

GET = send("read", eval_(script("node_get", id_of(), ID, b"token:")), route="token:id:" + ID.decode())
GET_KEY = send("read", [b"GET", key_of()], route="token:key:" + KEY.decode())
ATTRS = b'{"a":[{}],"n":1.5}'


def got(text=None, key=KEY, id=ID):
    return answer(key, text or record(ATTRS), subject=id)


case("get is one script", "get", ID, steps=[{**GET, **got()}], result={"json": token(ATTRS)})
case("get of an unknown id", "get", ID, steps=[{**GET, **answer()}], result={"json": None})
case("get keeps what others stored", "get", ID,
     steps=[{**GET, **got(record(b'null,"more":[1]', owner=b"42"))}],
     result={"json": join(b'owner_id=42;attrs=null;more=[1];key="', KEY, b'";id="', ID, b'";')})  # fmt: skip
deep = b'{"x":' * 31 + b"{}" + b"}" * 31
case("get of attrs 32 deep", "get", ID, steps=[{**GET, **got(record(deep))}],
     result={"json": token(deep)})  # fmt: skip
case("get of attrs 512 deep", "get", ID, steps=[{**GET, **got(record(b"[" * 512 + b"]" * 512))}],
     error=("data", "nested deeper than 512"))  # fmt: skip
case("get of a record with a member twice: the last counts", "get", ID,
     steps=[{**GET, **got(record(b'{"a":1},"attrs":' + ATTRS))}], result={"json": token(ATTRS)})  # fmt: skip
case("get where the key belongs to another id by now", "get", ID,
     steps=[{**GET, **got(record(id=OTHER_ID))}], result={"json": None})  # fmt: skip
case("get of a record that names another key", "get", ID,
     steps=[{**GET, **got(record(key=b"other"))}], error=("data", "it belongs to another key"))  # fmt: skip
case("get whose answer is another's", "get", ID, steps=[{**GET, **got(id=OTHER_ID)}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("get whose answer is a text", "get", ID, steps=[{**GET, **replies(b"x")}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("get whose answer is lost is sent again", "get", ID,
     steps=[{**GET, **lost(True)}, sleep(3, 7), {**GET, **got()}],
     result={"json": token(ATTRS)})  # fmt: skip
unreadable = f"the token {ID.decode()} is stored in an unreadable form"
for what, text in [
    ("nothing", b""),
    ("no JSON", b"text"),
    ("a list", b"[]"),
    ("no key", b'{"id":"' + ID + b'"}'),
    ("a key that is no text", b'{"key":5,"id":"' + ID + b'"}'),
    ("no id", b'{"key":"' + KEY + b'"}'),
    ("an integer of too many digits", record(b'{"n":' + b"7" * 4301 + b"}")),
]:
    case(f"get of a record with {what}", "get", ID,
         steps=[{**GET, **answer(KEY, text)}], error=("data", unreadable))  # fmt: skip
case("a message names what is an id alone", "get", b"01234567-89AB-4def-8123-456789abcdef",
     steps=[{**send("read", eval_(script("node_get", id_of(b"01234567-89AB-4def-8123-456789abcdef"),
                                         b"01234567-89AB-4def-8123-456789abcdef", b"token:"))),
             **answer(KEY, b"x", subject=b"01234567-89AB-4def-8123-456789abcdef")}],
     error=("data", "the token is stored"))  # fmt: skip
case("get_key is one GET", "get_key", KEY, steps=[{**GET_KEY, **replies(record(ATTRS))}],
     result={"json": token(ATTRS)})  # fmt: skip
case("get_key of an unknown key", "get_key", KEY, steps=[{**GET_KEY, **replies(None)}],
     result={"json": None})  # fmt: skip
case("get_key of a record that names another key", "get_key", KEY,
     steps=[{**GET_KEY, **replies(record(key=b"other"))}],
     error=("data", "it belongs to another key"))  # fmt: skip
case("get_key of what is no token", "get_key", KEY, steps=[{**GET_KEY, **replies(b"[]")}],
     error=("data", "the token is stored in an unreadable form"))  # fmt: skip
case("get_key whose answer is a number", "get_key", KEY, steps=[{**GET_KEY, **replies(5)}],
     error=("connection", FOREIGN[0]))  # fmt: skip
for what, subject in [("empty", ""), ("too long", {"repeat": ["x", 1025]}), ("a NUL", {"hex": "00"}),
                      ("a colon", "key:x")]:  # fmt: skip
    for call, result in [("get", {"json": None}), ("set", {"bool": False}), ("delete", {"bool": False}),
                         ("get_hash", {"text": None}), ("take_hash", {"text": None}),
                         ("del_hash", {"bool": False})]:  # fmt: skip
        case(f"{call} of what cannot exist ({what}) asks nobody", call, subject, result=result)
    if what != "a colon":
        case(f"get_key of what cannot exist ({what}) asks nobody", "get_key", subject,
             result={"json": None})  # fmt: skip
        case(f"delete_key of what cannot exist ({what}) asks nobody", "delete_key", subject,
             result={"bool": False})  # fmt: skip

# ---- set, delete, delete_key ---------------------------------------------------------------------

SET = send("once", eval_(script("node_set", id_of(), ID, b"token:", ATTRS)))
DELETE = send("once", eval_(script("node_delete", id_of(), ID, b"token:")))
DELETE_KEY = send("once", eval_(script("node_delete_key", key_of(), KEY, b"token:")))
for call, subject, sent, args in [
    ("set", ID, SET, {"attrs": ATTRS}),
    ("delete", ID, DELETE, {}),
    ("delete_key", KEY, DELETE_KEY, {}),
]:
    for value in (0, 1):
        case(f"{call}: {bool(value)}", call, subject, args=args,
             steps=[{**sent, **answer(value, subject=subject)}],
             result={"bool": bool(value)})  # fmt: skip
    case(f"{call} of what is no token", call, subject, args=args,
         steps=[{**sent, **answer(-1, subject=subject)}],
         error=("data", "nothing was changed"))  # fmt: skip
    case(f"{call} whose answer is another's", call, subject, args=args,
         steps=[{**sent, **answer(1, subject=OTHER_ID)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
    case(f"{call} with half an answer", call, subject, args=args,
         steps=[{**sent, **answer(subject=subject)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
    case(f"{call} whose answer is lost is in doubt", call, subject, args=args,
         steps=[{**sent, **lost(True)}], error=("outcome_unknown", "may or may not"))  # fmt: skip

# ---- list ----------------------------------------------------------------------------------------



def ask_ids(owner=b"bob"):
    return send("read", eval_(script("node_ids", b"token:tokens:" + owner)))


def ids(*members, owner=b"bob"):
    return replies([b"token:tokens:" + owner, list(members)])


ASK_IDS = ask_ids()


def read(*ids, owner=b"bob", clean=b"1"):
    words = [join(b"token:tokens:", owner), owner, b"token:", clean, *ids]
    return eval_(script("node_list", *words))


def clean(*ids):
    return eval_(script("node_clean", b"token:tokens:bob", b"bob", b"token:", *ids))


BOTH = [KEY, record(ATTRS)]
case("list of nobody", "list", b"bob", steps=[{**ASK_IDS, **ids()}], result={"jsons": []})
case("list takes two round trips", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID, b"dead")},
            {**send("read", read(ID, b"dead")), **answer(BOTH, 0, subject=b"bob")}],
     result={"jsons": [token(ATTRS)]})  # fmt: skip
many = [b"%04d" % n for n in range(1001)]
case("list of many goes in several scripts, at once", "list", b"bob",
     steps=[{**ASK_IDS, **ids(*many)},
            {**send("read", read(*many[:500]), read(*many[500:1000]), read(*many[1000:])),
             **replies([b"bob", *[0] * 500], [b"bob", *[0] * 499, [KEY, record(id=b"0999")]],
                       [b"bob", [KEY, record(id=b"1000")]])}],
     result={"jsons": [token(id=b"0999"), token(id=b"1000")]})  # fmt: skip
case("list looks at half a token again, a little later", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID, b"half", b"given away")},
            {**send("read", read(ID, b"half", b"given away")),
             **answer(BOTH, -1, [KEY, record()], subject=b"bob")},
            sleep(100, 100),
            {**send("read", clean(b"half", b"given away")), **replies([b"bob"])}],
     result={"jsons": [token(ATTRS)]})  # fmt: skip
case("list that is out of time before it could clean", "list", b"bob",
     steps=[{**ASK_IDS, **ids(b"half")},
            {**send("read", read(b"half")), **answer(-1, subject=b"bob")},
            sleep(100, 100, deadline={"sent": False})],
     error=("timeout", ""))  # fmt: skip
case("list does not clean what may be another prefix's", "list", b"x:tokens:bob",
     steps=[{**ask_ids(b"x:tokens:bob"), **ids(b"half", owner=b"x:tokens:bob")},
            {**send("read", read(b"half", owner=b"x:tokens:bob", clean=b"0")),
             **answer(-1, subject=b"x:tokens:bob")}],
     result={"jsons": []})  # fmt: skip
case("list cleans what only looks like that", "list", b"mytokens:bob",
     steps=[{**ask_ids(b"mytokens:bob"), **ids(b"dead", owner=b"mytokens:bob")},
            {**send("read", read(b"dead", owner=b"mytokens:bob")),
             **answer(0, subject=b"mytokens:bob")}],
     result={"jsons": []})  # fmt: skip
case("list with a token that cannot be read names it", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID)},
            {**send("read", read(ID)), **answer([KEY, b"x"], subject=b"bob")}],
     error=("data", unreadable))  # fmt: skip
for what, values in [("another number", [5]), ("a text", [b"text"]), ("half a token", [[KEY]]),
                     ("too few items", [])]:  # fmt: skip
    case(f"list with an answer of {what}", "list", b"bob",
         steps=[{**ASK_IDS, **ids(ID)},
                {**send("read", read(ID)), **answer(*values, subject=b"bob")}],
         error=("connection", FOREIGN[0]))  # fmt: skip
case("list of another's answer", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID)},
            {**send("read", read(ID)), **answer(BOTH, subject=b"eve")}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("list with another's last answer", "list", b"bob",
     steps=[{**ASK_IDS, **ids(b"half")},
            {**send("read", read(b"half")), **answer(-1, subject=b"bob")}, sleep(100, 100),
            {**send("read", clean(b"half")), **replies([b"eve"])}],
     error=("connection", FOREIGN[0]))  # fmt: skip
for what, reply in [("a text", b"x"), ("another's", [b"token:tokens:eve", []]), ("none", [b"token:tokens:bob"]),
                    ("no list", [b"token:tokens:bob", b"x"]), ("numbers", [b"token:tokens:bob", [1]])]:  # fmt: skip
    case(f"list of members that are {what}", "list", b"bob", steps=[{**ASK_IDS, **replies(reply)}],
         error=("connection", FOREIGN[0]))  # fmt: skip

# ---- hashes --------------------------------------------------------------------------------------

HASH = b"0123456789abcdef0123456789abcdef"
HASH_KEY = b"token:hash:" + HASH


def make(value, ms, size=32, base=b"token:"):
    return [b"SET", join(base, b"hash:", {"capture": "hash", "size": size}), value, b"PX", ms]


case("make_hash is one SET", "make_hash", args={"value": "v", "ttl": 3600},
     steps=[{**send("idempotent", make(b"v", b"3600000")), **replies(Status("OK"))}],
     result={"text": {"var": "hash"}})  # fmt: skip
case("make_hash of any bytes", "make_hash", args={"value": {"hex": "00 ff 0d 0a"}, "ttl": 1},
     options={"hash_size": 8, "prefix": "p"},
     steps=[{**send("idempotent", make(b"\0\xff\r\n", b"1000", 16, b"p:")), **replies(Status("OK"))}],
     result={"text": {"var": "hash"}})  # fmt: skip
case("make_hash whose answer is another's", "make_hash", args={"value": "v", "ttl": 1},
     steps=[{**send("idempotent", make(b"v", b"1000")), **replies(1)}],
     error=("outcome_unknown", FOREIGN[1]))  # fmt: skip


ECHO = [b"ECHO", HASH]
GET_HASH = send("read", ECHO, [b"GET", HASH_KEY], route=HASH_KEY.decode())
TAKE_HASH = send("once", eval_(script("node_take_hash", HASH_KEY, HASH)))
DEL_HASH = TAKE_HASH


def taken(*values):
    return replies([HASH, *values])


def got(value=None):
    return replies(HASH, value)


for call, sent, gives, doubt in [
    ("get_hash", GET_HASH, got, ("connection", FOREIGN[0])),
    ("take_hash", TAKE_HASH, taken, ("outcome_unknown", FOREIGN[1])),
]:
    for value in (b"value", b"", b"\0\xff"):
        case(f"{call} gives {value}", call, HASH, steps=[{**sent, **gives(value)}],
             result={"text": operation_notation.text(value)})  # fmt: skip
    case(f"{call} of an unknown one", call, HASH, steps=[{**sent, **gives()}],
         result={"text": None})  # fmt: skip
    case(f"{call} whose answer is a number", call, HASH, steps=[{**sent, **gives(1)}],
         error=doubt)  # fmt: skip
for what, reply in [("another's", [KEY, b"v"]), ("a text", b"value")]:
    case(f"take_hash whose answer is {what}", "take_hash", HASH, steps=[{**TAKE_HASH, **replies(reply)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
for what, echo in [("another's", KEY), ("a number", 1), ("none", None), ("a status", Status(HASH.decode()))]:
    case(f"get_hash whose echo is {what}", "get_hash", HASH, steps=[{**GET_HASH, **replies(echo, b"v")}],
         error=("connection", FOREIGN[0]))  # fmt: skip
    case(f"del_hash whose echo is {what}", "del_hash", HASH, steps=[{**DEL_HASH, **replies([echo, b"v"])}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
case("take_hash whose answer is lost is in doubt", "take_hash", HASH, steps=[{**TAKE_HASH, **lost(True)}],
     error=("outcome_unknown", "may or may not"))  # fmt: skip
case("del_hash: true", "del_hash", HASH, steps=[{**DEL_HASH, **taken(b"v")}], result={"bool": True})
case("del_hash: false", "del_hash", HASH, steps=[{**DEL_HASH, **taken()}], result={"bool": False})
case("del_hash whose answer is a text", "del_hash", HASH, steps=[{**DEL_HASH, **replies(b"1")}],
     error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
case("del_hash whose answer is lost is in doubt", "del_hash", HASH, steps=[{**DEL_HASH, **lost(True)}],
     error=("outcome_unknown", "may or may not"))  # fmt: skip
WRONG = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
case("get_hash of another program's list", "get_hash", HASH, steps=[{**GET_HASH, **got(WRONG)}], result={"text": None})
case("get_key of another program's list", "get_key", KEY, steps=[{**GET_KEY, **replies(WRONG)}], result={"json": None})
case("get_hash whose echo is refused", "get_hash", HASH, steps=[{**GET_HASH, **replies(WRONG, b"v")}],
     error=("server", "WRONGTYPE"))  # fmt: skip
case("get_hash on a cluster", "get_hash", HASH,
     steps=[{**GET_HASH, **replies(HASH, Error("MOVED 1 127.0.0.1:7000"))}],
     error=("server", ADVICE))  # fmt: skip

# ---- reset ---------------------------------------------------------------------------------------


def scan(cursor, pattern=b"token:*"):
    return [b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"500"]


def remove(*names, base=b"token:"):
    return eval_(script("node_reset", *names, base, keys=len(names)))


IDS = [b"token:id:%d" % n for n in range(3)]
case("reset of nothing", "reset", steps=[{**send("idempotent", scan(b"0")), **replies([b"0", []])}],
     result={"count": 0})  # fmt: skip
case("reset removes while it scans on", "reset",
     steps=[{**send("idempotent", scan(b"0")),
             **replies([b"17", [IDS[0], b"token:other", b"tokenx:id:1", b"token:hash:x"]])},
            {**send("idempotent", remove(IDS[0], b"token:hash:x"), scan(b"17")),
             **replies([b"token:", 1], [b"4", []])},
            {**send("idempotent", scan(b"4")), **replies([b"0", [b"token:key:a", b"token:tokens:b"]])},
            {**send("idempotent", remove(b"token:key:a", b"token:tokens:b")),
             **replies([b"token:", 2])}],
     result={"count": 3})  # fmt: skip
case("reset comes back to what wants another go", "reset",
     steps=[{**send("idempotent", scan(b"0")), **replies([b"0", [b"token:tokens:b"]])},
            {**send("idempotent", remove(b"token:tokens:b")),
             **replies([b"token:", 500, b"token:tokens:b"])},
            {**send("idempotent", remove(b"token:tokens:b")), **replies([b"token:", 7])}],
     result={"count": 507})  # fmt: skip
case("reset scans on when nothing is left over", "reset",
     steps=[{**send("idempotent", scan(b"0")), **replies([b"17", [b"token:tokens:b"]])},
            {**send("idempotent", remove(b"token:tokens:b"), scan(b"17")),
             **replies([b"token:", 1000, b"token:tokens:b"], [b"99", [IDS[0]]])},
            {**send("idempotent", remove(IDS[0], b"token:tokens:b")),
             **replies([b"token:", 1000, b"token:tokens:b"])},
            {**send("idempotent", remove(b"token:tokens:b")), **replies([b"token:", 1])},
            {**send("idempotent", scan(b"99")), **replies([b"0", []])}],
     result={"count": 2001})  # fmt: skip
case("reset takes the prefix literally", "reset", options={"prefix": "a*[b]?\\^-"},
     steps=[{**send("idempotent", scan(b"0", rb"a\*\[b\]\?\\^-:*")),
             **replies([b"0", [rb"a*[b]?\^-:id:x", rb"aa[b]?\^-:id:x"]])},
            {**send("idempotent", remove(rb"a*[b]?\^-:id:x", base=rb"a*[b]?\^-:")),
             **replies([rb"a*[b]?\^-:", 1])}],
     result={"count": 1})  # fmt: skip
case("reset whose answer is lost goes on", "reset",
     steps=[{**send("idempotent", scan(b"0")), **replies([b"0", [IDS[0]]])},
            {**send("idempotent", remove(IDS[0])), **lost(True)}, sleep(3, 7),
            {**send("idempotent", remove(IDS[0])), **replies([b"token:", 0])}],
     result={"count": 0})  # fmt: skip
for what, reply in [("a text", b"x"), ("one item", [b"0"]), ("a number", [0, []]), ("no cursor", [b"", []]),
                    ("a long cursor", [b"123456789012345678901", []]), ("no list", [b"0", b""]),
                    ("numbers as names", [b"0", [1]])]:  # fmt: skip
    case(f"reset with a scan of {what}", "reset",
         steps=[{**send("idempotent", scan(b"0")), **replies(reply)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
for what, reply in [("another's", [b"x", 1]), ("none", [b"token:"]), ("a text", [b"token:", b"1"]),
                    ("a number as a name", [b"token:", 1, 1])]:  # fmt: skip
    case(f"reset with an answer that is {what}", "reset",
         steps=[{**send("idempotent", scan(b"0")), **replies([b"0", [IDS[0]]])},
                {**send("idempotent", remove(IDS[0])), **replies(reply)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip

operation_notation.write("node_operations.json", "make_node_operations.py", cases)
