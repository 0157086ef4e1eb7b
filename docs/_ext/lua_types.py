"""``{lua-types} sessions``: what bindings/lua/tokenstore/sessions.d.lua declares.

A class is described with its fields, a function with its parameters and results, an alias with its values.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

import prose

TYPES = Path(__file__).resolve().parents[2] / "bindings/lua/tokenstore"

# A failed call of every function returns these, which the page says once.
_FAILURE = re.compile(r"string\? message|tokenstore\.(jwt\.)?Code\? code")


@dataclass
class Item:
    """A declaration: its text, and (name, type, text) of its fields, parameters, results or values."""

    kind: str
    name: str = ""
    signature: str = ""
    doc: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    results: list = field(default_factory=list)


def type_and_text(rest):
    """A type, which may have blanks within brackets and after "|" and ":", and what follows it."""
    depth = 0
    for at, char in enumerate(rest):
        depth += (char in "([{<") - (char in ")]}" or (char == ">" and rest[at - 1 : at] != "-"))
        before, after = rest[:at].rstrip(), rest[at:].lstrip()
        if char == " " and not depth and not before.endswith(("|", ":")) and not after.startswith("|"):
            return rest[:at], after
    return rest, ""


class Reader:
    """Reads a file of types; `items` are what it declares, in its order."""

    def __init__(self, text):
        self.items, self.classes = [], {}
        self.doc, self.rows, self.results, self.opened = [], [], [], None
        for line in text.split("\n"):
            self.read(line)

    def read(self, line):
        if match := re.match(r"---@class ([\w.]+)(?:: *(.*))?", line):
            self.open(Item("class", match[1], match[2] or "", self.doc))
        elif match := re.match(r"---@alias ([\w.]+) ?(.*)", line):
            self.open(Item("alias", match[1], match[2], self.doc))
        elif match := re.match(r"---\| (.*)", line):
            value, _, text = match[1].partition("#")
            self.opened.rows.append(("", value.strip(), text.strip()))
        elif match := re.match(r"---@overload fun\((.*?)\):", line):
            self.opened.results.append(match[1])
        elif match := re.match(r"---@(field|param) (\S+) (.*)", line):
            row = (match[2], *type_and_text(match[3]))
            (self.opened.rows if match[1] == "field" and self.opened else self.rows).append(row)
        elif match := re.match(r"---@return (.*)", line):
            if not _FAILURE.fullmatch(match[1]):
                self.results.append(type_and_text(match[1]))
        elif match := re.match(r"---@type (.*)", line):
            self.results.append((match[1], ""))
        elif line.startswith("--- ") and (self.rows or (self.opened and self.opened.rows)):
            rows = self.rows or self.opened.rows
            name, kind, text = rows[-1]
            rows[-1] = (name, kind, f"{text} {line[3:].strip()}")
        elif line.startswith("---"):
            self.doc += [line[3:]] if not line.startswith("---@") else []
        else:
            self.code(line)

    def open(self, item):
        self.items.append(item)
        self.opened, self.doc = item, []

    def code(self, line):
        if match := re.match(r"local (\w+) = \{\}", line):
            if self.opened:
                self.classes[match[1]] = self.opened.name
        elif match := re.match(r"function (\w+)([.:])(\w+)\((.*?)\)", line):
            owner = self.classes.get(match[1], match[1])
            item = Item("function", f"{owner}.{match[3]}", f"{match[1]}{match[2]}{match[3]}({match[4]})")
            item.doc, item.rows, item.results = self.doc, self.rows, self.results
            self.items.append(item)
        elif match := re.match(r"(\w+)\.(\w+) = (\w+)\.(\w+)$", line):
            owner = self.classes.get(match[1], match[1])
            self.items.append(Item("other name", f"{owner}.{match[2]}", f"{match[3]}.{match[4]}"))
        elif match := re.match(r"(\w+)\.(\w+) = ", line):
            owner = self.classes.get(match[1], match[1])
            item = Item("value", f"{owner}.{match[2]}", f"{match[1]}.{match[2]}", self.doc)
            item.results = self.results
            if item.doc or item.results:  # else a class, which is described where it is declared
                self.items.append(item)
        self.doc, self.rows, self.results, self.opened = [], [], [], None


def read(module):
    return Reader((TYPES / f"{module}.d.lua").read_text()).items


class Types(SphinxDirective):
    required_arguments = 1

    def run(self):
        self.env.note_dependency(str(TYPES / f"{self.arguments[0]}.d.lua"))
        found, others = [], []
        for item in read(self.arguments[0]):
            if item.kind == "other name":
                others.append(item)
            else:
                found.append(self.describe(item))
        if others:
            found.append(self.other_names(others))
        return found

    def describe(self, item):
        called = {"function": item.signature, "value": item.signature}.get(item.kind, item.name)
        signature = addnodes.desc_signature(called, "", classes=["lua"])
        if item.kind in ("class", "alias"):
            signature += addnodes.desc_annotation("", f"{item.kind} ")
        name, bracket, arguments = called.partition("(")
        signature += addnodes.desc_name(name, name)
        if bracket:
            signature += nodes.Text(f"({arguments}")
        if item.kind == "class" and item.signature:
            signature += addnodes.desc_annotation("", f": {item.signature}")
        signature["_toc_name"] = name + ("()" if bracket else "")
        signature["_toc_parts"] = (name,)
        prose.note(self.env, "lua", item.name, signature)
        content = addnodes.desc_content("", *prose.paragraphs("\n".join(item.doc), "lua"))
        if item.kind == "class":
            for arguments in item.results:
                text = f"{item.name}({arguments})"
                content += nodes.literal_block(text, text, language="lua")
        if item.kind == "alias" and item.signature:
            content += nodes.paragraph("", "", nodes.literal(item.signature, item.signature))
        if item.rows:
            content += prose.fields(item.rows, "lua")
        if item.kind in ("function", "value") and item.results:
            content += self.results(item)
        return addnodes.desc("", signature, content, domain="lua", objtype=item.kind, classes=["lua", item.kind])

    def results(self, item):
        line = nodes.paragraph("", "", nodes.strong("", "Returns " if item.kind == "function" else "Type "))
        for number, (kind, text) in enumerate(item.results):
            line += [nodes.Text(", " if number else ""), nodes.literal(kind, kind)]
            line += nodes.Text(f" {text}" if text else "")
        return line

    def other_names(self, others):
        """Aliases, in one line."""
        line = nodes.paragraph("", "", nodes.Text("Other names: "))
        for number, item in enumerate(others):
            name = item.name.removeprefix("tokenstore.")
            literal = nodes.literal(name, name)
            prose.note(self.env, "lua", item.name, literal)
            line += [nodes.Text(", " if number else ""), literal, nodes.Text(" for "), nodes.literal("", item.signature)]
        return line


def setup(app):
    app.add_object_type("lua", "lua", objname="Lua name")
    app.add_directive("lua-types", Types)
    return {"parallel_read_safe": True}
