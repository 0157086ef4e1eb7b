"""Aliases, as deleteAll of delete_all: one line where the name itself is described, instead of a second description."""

import inspect


def owner_of(name, obj):
    """The class or module in which an object is described."""
    module = inspect.getmodule(obj)
    found = module
    for part in name.removeprefix(f"{module.__name__}.").split(".")[:-1] if module else ():
        found = getattr(found, part, None)
    return found


def others(owner, name, obj):
    """Further public names of a function of a class."""
    members = vars(owner).items() if inspect.isclass(owner) else ()
    return [other for other, value in members if value is obj and other != name and not other.startswith("_")]


def add_line(app, what, name, obj, options, lines):
    if what in ("method", "function") and inspect.isfunction(obj):
        found = others(owner_of(name, obj), name.rpartition(".")[2], obj)
        if found:
            lines += ["", "Also " + ", ".join(f"``{other}``" for other in found) + ".", ""]


def skip(app, what, name, obj, skipped, options):
    return True if inspect.isfunction(obj) and obj.__name__ != name else None


def setup(app):
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", add_line)
    return {"parallel_read_safe": True}
