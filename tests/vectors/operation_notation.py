"""What make_operations.py and make_node_operations.py write with: the notation of README.md, RESP, cases."""

import json
from pathlib import Path

# Of what random parts are captured as.
SIZES = {"digest": 22, "check": 4, "nonce": 6, "said": 22, "token": 47, "id": 36, "key": 24, "hash": 32}


def text(value):
    """Bytes in the notation of README.md; what is not bytes is taken for notation already."""
    if not isinstance(value, bytes):
        return value
    try:
        shown = value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex(" ")}
    return {"hex": value.hex(" ")} if "\0" in shown else shown


def join(*parts):
    """Neighbours that are bytes become one; one part alone stands alone."""
    joined = []
    for part in parts:
        if isinstance(part, dict) and "join" in part:
            inner = [p.encode() if isinstance(p, str) else p for p in part["join"]]
        else:
            inner = [part]
        for p in inner:
            if joined and isinstance(p, bytes) and isinstance(joined[-1], bytes):
                joined[-1] += p
            elif p != b"":
                joined.append(p)
    return text(joined[0]) if len(joined) == 1 else {"join": [text(p) for p in joined]}


def size_of(part):
    if isinstance(part, bytes):
        return len(part)
    if "join" in part:
        return sum(size_of(p.encode() if isinstance(p, str) else p) for p in part["join"])
    return part.get("first") or SIZES[part["var"]]


class Error(str):
    pass


class Status(str):
    pass


def resp(value):
    """A reply; parts that are variables may stand in it."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, Error):
        return b"-%s\r\n" % value.encode()
    if isinstance(value, Status):
        return b"+%s\r\n" % value.encode()
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list):
        return join(b"*%d\r\n" % len(value), *(resp(v) for v in value))
    if isinstance(value, str):
        value = value.encode()
    return join(b"$%d\r\n" % size_of(value), value, b"\r\n")


def replies(*values):
    return {"replies": join(*(resp(v) for v in values))}


def send(safety, *commands, **more):
    words = [[text(w) for w in command] for command in commands]
    return {"send": words, "safety": safety, **more}


def script(name, *words, keys=1):
    return [{"sha": name}, str(keys).encode(), *words]


def by_text(command):
    return ["EVAL", {"script": command[0]["sha"]}, *command[1:]]


def eval_(command):
    return ["EVALSHA", *command]


def lost(sent, why=None, status="connection", final=False):
    event = {"sent": sent, "final": final}
    if why:
        event.update(status=status, why=why)
    return {"lost": event}


def sleep(low, high, **answer):
    return {"sleep": [low, high], **(answer or {"awake": True})}


def case(name, call, args, steps=(), result=None, error=None, refused=None, **more):
    one = {"name": name, "call": call, "args": {k: text(v) for k, v in args.items()}}
    one.update(more)
    if refused is not None:
        one["refused"] = {"status": refused[0], "message": refused[1]}
    else:
        one["steps"] = list(steps)
        if error is not None:
            one["error"] = {"status": error[0], "message": error[1]}
        else:
            one["result"] = result
    assert (refused is not None) + (error is not None) + (result is not None) == 1, name
    return one


def write(name, maker, cases):
    """Writes the file beside this one."""
    names = [one["name"] for one in cases]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    lines = ",\n".join("    " + json.dumps(one, ensure_ascii=False) for one in cases)
    about = f"Operations with scripted replies. Made by {maker}; see README.md."
    out = Path(__file__).with_name(name)
    out.write_text(f'{{\n  "about": "{about}",\n  "cases": [\n{lines}\n  ]\n}}\n', encoding="utf-8")
    print(f"{name}: {len(cases)} cases")
