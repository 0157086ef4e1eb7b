"""Writes node_operations.json: `python3 tests/vectors/make_node_operations.py`.

Tokenstore's operations with scripted replies. The stored format is implemented independently from
docs/reference/tokenstore.md.
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
             same_key, record(attrs, same_key, id, quoted), ms]  # fmt: skip
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

MAY_BE_DEAD = answer(1, b"one", b"two", subject={"var": "id"})
DROP = send("idempotent", eval_(script("node_clean", b"token:tokens:bob", id_of(b"one"), id_of(b"two"),
                                       {"var": "id"}, b"token:", b"one", b"two", keys=3)))  # fmt: skip
for what, then in [("", replies([{"var": "id"}])), (", which fails", replies(Error("ERR broken"))),
                   (", which is lost", lost(True)), (", which waits", replies(Error("TRYAGAIN")))]:  # fmt: skip
    case(f"add that looks for dead ids{what}", "add", b"bob",
         steps=[{**send("idempotent", eval_(add())), **MAY_BE_DEAD}, {**DROP, **then}], result=added())  # fmt: skip
case("add that looks for dead ids, another's answer", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **MAY_BE_DEAD}, {**DROP, **replies([b"eve"])}],
     result=added())  # fmt: skip
case("add with dead ids that are numbers", "add", b"bob",
     steps=[{**send("idempotent", eval_(add())), **answer(1, 5, subject={"var": "id"})}],
     error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
ADVICE = 'use a redis+cluster:// URL'
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

def ask_id(id=ID):
    return send("read", [b"ECHO", id], [b"GET", id_of(id)], route="token:id:" + id.decode())


GET = ask_id()
GET_KEY = send("read", [b"GET", key_of()], route="token:key:" + KEY.decode())
ATTRS = b'{"a":[{}],"n":1.5}'


def got(key=KEY, id=ID):
    return replies(id, key)


def found(text=None):
    """The steps of get where the id is known."""
    return [{**GET, **got()}, {**GET_KEY, **replies(text or record(ATTRS))}]


case("get is two plain reads", "get", ID, steps=found(), result={"json": token(ATTRS)})
case("get of an unknown id", "get", ID, steps=[{**GET, **got(None)}], result={"json": None})
case("get of an id that leads to no name", "get", ID, steps=[{**GET, **got(b"")}], result={"json": None})
case("get of an id without a record", "get", ID, steps=[{**GET, **got()}, {**GET_KEY, **replies(None)}],
     result={"json": None})  # fmt: skip
case("get keeps what others stored", "get", ID, steps=found(record(b'null,"more":[1]', owner=b"42")),
     result={"json": join(b'owner_id=42;attrs=null;more=[1];key="', KEY, b'";id="', ID, b'";')})  # fmt: skip
deep = b'{"x":' * 31 + b"{}" + b"}" * 31
case("get of attrs 32 deep", "get", ID, steps=found(record(deep)),
     result={"json": token(deep)})  # fmt: skip
case("get of attrs 512 deep", "get", ID, steps=found(record(b"[" * 512 + b"]" * 512)),
     error=("data", "nested deeper than 512"))  # fmt: skip
case("get of a record with a member twice: the last counts", "get", ID,
     steps=found(record(b'{"a":1},"attrs":' + ATTRS)), result={"json": token(ATTRS)})  # fmt: skip
case("get where the key belongs to another id by now", "get", ID,
     steps=found(record(id=OTHER_ID)), result={"json": None})  # fmt: skip
case("get of a record that names another key", "get", ID,
     steps=found(record(key=b"other")), error=("data", "it belongs to another key"))  # fmt: skip
case("get whose answer is another's", "get", ID, steps=[{**GET, **got(id=OTHER_ID)}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("get whose answer is a number", "get", ID, steps=[{**GET, **got(5)}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("get whose record is a number", "get", ID, steps=[{**GET, **got()}, {**GET_KEY, **replies(5)}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("get whose answer is lost is sent again", "get", ID,
     steps=[{**GET, **lost(True)}, sleep(3, 7), *found()],
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
         steps=[{**GET, **got()}, {**GET_KEY, **replies(text)}], error=("data", unreadable))  # fmt: skip
UPPER_ID = b"01234567-89AB-4def-8123-456789abcdef"
case("a message names what is an id alone", "get", UPPER_ID,
     steps=[{**ask_id(UPPER_ID), **got(id=UPPER_ID)}, {**GET_KEY, **replies(b"x")}],
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

WANTED = -2


def change(safety, name, *keys, more):
    return send(safety, eval_(script(name, *keys, *more, keys=len(keys))))


SET_OF = b"token:tokens:bob"
# of each: the safety of the first command, what it is about, the words behind the keys, what else it wants
CHANGES = {
    "set": ("read", "node_set", ID, [id_of()], [ID, b"token:", ATTRS], [[key_of()]]),
    "delete": ("read", "node_delete", ID, [id_of()], [ID, b"token:"], [[key_of()], [SET_OF]]),
    "delete_key": ("once", "node_delete_key", KEY, [key_of()], [KEY, b"token:"], [[id_of(), SET_OF]]),
}
for call, (safety, name, subject, keys, words, wants) in CHANGES.items():
    args = {"attrs": ATTRS} if call == "set" else {}
    asked = []
    for want in wants:
        asked.append({**change(safety, name, *keys, more=words), **answer(WANTED, *want, subject=subject)})
        keys, safety = [*keys, *want], "once"
    sent = change("once", name, *keys, more=words)
    first = {k: v for k, v in asked[0].items() if k != "replies"}
    for value in (0, 1):
        case(f"{call}: {bool(value)}", call, subject, args=args,
             steps=[*asked, {**sent, **answer(value, subject=subject)}],
             result={"bool": bool(value)})  # fmt: skip
    case(f"{call} of what is unknown", call, subject, args=args,
         steps=[{**first, **answer(0, subject=subject)}], result={"bool": False})  # fmt: skip
    case(f"{call} of what is no token", call, subject, args=args,
         steps=[*asked, {**sent, **answer(-1, subject=subject)}],
         error=("data", "nothing was changed"))  # fmt: skip
    case(f"{call} whose answer is another's", call, subject, args=args,
         steps=[*asked, {**sent, **answer(1, subject=OTHER_ID)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
    case(f"{call} with half an answer", call, subject, args=args,
         steps=[*asked, {**sent, **answer(subject=subject)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
    for what, more in [("nothing", []), ("a number", [1])]:
        case(f"{call} that wants {what}", call, subject, args=args,
             steps=[*asked, {**sent, **answer(WANTED, *more, subject=subject)}],
             error=("data", "nothing was changed") if not more else ("outcome_unknown", FOREIGN[1]))  # fmt: skip
    case(f"{call} that wants another's", call, subject, args=args,
         steps=[*asked, {**sent, **answer(WANTED, b"x", subject=OTHER_ID)}],
         error=("outcome_unknown", FOREIGN[1]))  # fmt: skip
    case(f"{call} whose answer is lost is in doubt", call, subject, args=args,
         steps=[*asked, {**sent, **lost(True)}], error=("outcome_unknown", "may or may not"))  # fmt: skip
    if asked[0]["safety"] == "read":
        case(f"{call} whose first answer is lost asks again", call, subject, args=args,
             steps=[{**first, **lost(True)}, sleep(3, 7), *asked, {**sent, **answer(1, subject=subject)}],
             result={"bool": True})  # fmt: skip
    # Always another key: nobody waits for ever, and the message says why.
    keys, changing = list(keys), []
    for n in range(12):
        name_n = b"token:key:%d" % n
        step = {**change("once", name, *keys, more=words), **answer(WANTED, name_n, subject=subject)}
        times = len(wants) + n + 1
        keys = [*keys, name_n]
        most = 1 << min(times - 4, 7) if times > 4 else 0
        changing += [step, sleep(1, most)] if most else [step]
    case(f"{call} of what changes all the time", call, subject, args=args,
         steps=[*asked, *changing[:-1], sleep(1, 128, deadline={"sent": False})],
         error=("timeout", "others changed the same keys all the time"))  # fmt: skip


# ---- list ----------------------------------------------------------------------------------------



def ask_ids(owner=b"bob"):
    return send("read", [b"ECHO", owner], [b"SMEMBERS", b"token:tokens:" + owner],
                route="token:tokens:" + owner.decode())  # fmt: skip


def ids(*members, owner=b"bob"):
    return replies(owner, list(members))


ASK_IDS = ask_ids()


def mget(kind, *names, owner=b"bob"):
    groups = [names[at : at + 500] for at in range(0, len(names), 500)]
    echo = [b"ECHO", kind + b":" + owner]
    return send("read", echo, *([b"MGET", *(b"token:%s:%s" % (kind, n) for n in g)] for g in groups))


def values(kind, *groups, owner=b"bob"):
    return replies(kind + b":" + owner, *(list(group) for group in groups))


def clean(*gone, keys=()):
    """`gone`: the ids; `keys`: those of them that have one."""
    words = [SET_OF, *(id_of(id) for id in gone), *(key_of(key) for key in keys)]
    return eval_(script("node_clean", *words, b"bob", b"token:", *gone, keys=len(words)))


def listed(owner=b"bob"):
    """The steps of a list of one token, but for the record."""
    return [{**ask_ids(owner), **ids(ID, owner=owner)},
            {**mget(b"id", ID, owner=owner), **values(b"id", [KEY], owner=owner)}]  # fmt: skip


RECORD = mget(b"key", KEY)
CLEANED = replies([b"bob"])
case("list of nobody", "list", b"bob", steps=[{**ASK_IDS, **ids()}], result={"jsons": []})
case("list takes three round trips", "list", b"bob",
     steps=[*listed(), {**RECORD, **values(b"key", [record(ATTRS)])}],
     result={"jsons": [token(ATTRS)]})  # fmt: skip
case("list drops dead ids at once", "list", b"bob",
     steps=[{**ASK_IDS, **ids(b"dead", ID)}, {**mget(b"id", b"dead", ID), **values(b"id", [None, KEY])},
            {**RECORD, **values(b"key", [record(ATTRS)])}, {**send("read", clean(b"dead")), **CLEANED}],
     result={"jsons": [token(ATTRS)]})  # fmt: skip
case("list of dead ids alone reads no record", "list", b"bob",
     steps=[{**ASK_IDS, **ids(b"dead")}, {**mget(b"id", b"dead"), **values(b"id", [None])},
            {**send("read", clean(b"dead")), **CLEANED}],
     result={"jsons": []})  # fmt: skip
many = [b"%04d" % n for n in range(1001)]
case("list of many goes in several commands, at once", "list", b"bob",
     steps=[{**ASK_IDS, **ids(*many)},
            {**mget(b"id", *many), **values(b"id", [None] * 500, [None] * 499 + [KEY], [b"other"])},
            {**mget(b"key", KEY, b"other"), **values(b"key", [record(id=b"0999"), record(key=b"other", id=b"1000")])},
            {**send("read", clean(*many[:500]), clean(*many[500:999])), **replies([b"bob"], [b"bob"])}],
     result={"jsons": [token(id=b"0999"), token(key=b"other", id=b"1000")]})  # fmt: skip
full = b"k%03d" % 0
case("list of exactly as many as one command takes", "list", b"bob",
     steps=[{**ASK_IDS, **ids(*many[:500])}, {**mget(b"id", *many[:500]), **values(b"id", [full] * 500)},
            {**mget(b"key", *[full] * 500), **values(b"key", [record(key=full, id=id) for id in many[:500]])}],
     result={"jsons": [token(key=full, id=id) for id in many[:500]]})  # fmt: skip
case("list looks at half a token again, a little later", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID, b"half", b"given away", b"dead")},
            {**mget(b"id", ID, b"half", b"given away", b"dead"), **values(b"id", [KEY, b"h", KEY, None])},
            {**mget(b"key", KEY, b"h", KEY), **values(b"key", [record(ATTRS), None, record()])},
            sleep(100, 100),
            {**send("read", clean(b"dead", b"half", b"given away", keys=[b"h", KEY])), **CLEANED}],
     result={"jsons": [token(ATTRS)]})  # fmt: skip
HALF = [{**ASK_IDS, **ids(b"half")}, {**mget(b"id", b"half"), **values(b"id", [KEY])}, {**RECORD, **values(b"key", [None])}]
case("list that is out of time before it could clean", "list", b"bob",
     steps=[*HALF, sleep(100, 100, deadline={"sent": False})],
     error=("timeout", ""))  # fmt: skip
case("list does not clean what may be another prefix's", "list", b"x:tokens:bob",
     steps=[*listed(b"x:tokens:bob"),
            {**mget(b"key", KEY, owner=b"x:tokens:bob"), **values(b"key", [None], owner=b"x:tokens:bob")}],
     result={"jsons": []})  # fmt: skip
MINE = b"mytokens:bob"
case("list cleans what only looks like that", "list", MINE,
     steps=[{**ask_ids(MINE), **ids(b"dead", owner=MINE)},
            {**mget(b"id", b"dead", owner=MINE), **values(b"id", [None], owner=MINE)},
            {**send("read", eval_(script("node_clean", b"token:tokens:" + MINE, b"token:id:dead", MINE, b"token:", b"dead",
                                         keys=2))), **replies([MINE])}],
     result={"jsons": []})  # fmt: skip
case("list with a token that cannot be read names it", "list", b"bob",
     steps=[*listed(), {**RECORD, **values(b"key", [b"x"])}],
     error=("data", unreadable))  # fmt: skip
for what, answers in [("a number", [[5]]), ("a text", [b"text"]), ("too few", [[]]), ("too many", [[None, None]]),
                      ("nothing", [None])]:  # fmt: skip
    case(f"list with ids that are {what}", "list", b"bob",
         steps=[{**ASK_IDS, **ids(ID)}, {**mget(b"id", ID), **replies(b"id:bob", *answers)}],
         error=("connection", FOREIGN[0]))  # fmt: skip
    case(f"list with records that are {what}", "list", b"bob",
         steps=[*listed(), {**RECORD, **replies(b"key:bob", *answers)}],
         error=("connection", FOREIGN[0]))  # fmt: skip
case("list of another's ids", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID)}, {**mget(b"id", ID), **values(b"id", [KEY], owner=b"eve")}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("list whose members come twice", "list", b"bob",
     steps=[{**ASK_IDS, **ids(ID)}, {**mget(b"id", ID), **ids(ID)}], error=("connection", FOREIGN[0]))  # fmt: skip
case("list whose keys come twice", "list", b"bob",
     steps=[*listed(), {**RECORD, **values(b"id", [KEY])}], error=("connection", FOREIGN[0]))  # fmt: skip
case("list of another's records", "list", b"bob",
     steps=[*listed(), {**RECORD, **values(b"key", [record(ATTRS)], owner=b"eve")}],
     error=("connection", FOREIGN[0]))  # fmt: skip
case("list with another's last answer", "list", b"bob",
     steps=[*HALF, sleep(100, 100), {**send("read", clean(b"half", keys=[KEY])), **replies([b"eve"])}],
     error=("connection", FOREIGN[0]))  # fmt: skip
for what, reply in [("a text", [b"bob", b"x"]), ("another's", [b"eve", []]), ("none", [b"bob", None]),
                    ("numbers", [b"bob", [1]])]:  # fmt: skip
    case(f"list of members that are {what}", "list", b"bob", steps=[{**ASK_IDS, **replies(*reply)}],
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
