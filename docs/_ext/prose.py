"""Comments of Lua and C as paragraphs, and descriptions of what they document."""

import re

from docutils import nodes
from sphinx import addnodes

# `code`, or a name that stands for itself.
_WORDS = re.compile(r"`([^`]+)`|\b((?:tks|TKS)_\w+|tokenstore\.[\w.]*\w)(\(\))?|\bdocs(/[\w/-]+)\.md")


def inline(text, objtype):
    """Nodes of one paragraph; the names in it are links where they are known."""
    found, at = [], 0
    for match in _WORDS.finditer(text):
        found.append(nodes.Text(text[at : match.start()]))
        at = match.end()
        if match[4]:
            found.append(addnodes.pending_xref("", nodes.literal("", match[0]), refdomain="std", reftype="doc", reftarget=match[4], refexplicit=True, refwarn=True))
            continue
        word = match[1] or match[0]
        literal = nodes.literal(word, word)
        target = word.removesuffix("()")
        if re.fullmatch(r"[\w.:]+", target):
            literal = addnodes.pending_xref(
                "", literal, refdomain="std", reftype=objtype, reftarget=target, refexplicit=True, refwarn=False
            )
        found.append(literal)
    found.append(nodes.Text(text[at:]))
    return [node for node in found if node.astext()]


def paragraphs(text, objtype):
    """Paragraphs of a comment, divided by empty lines; "- " begins an item."""
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        items = re.split(r"(?m)^\s*- ", part)
        if lead := items[0].strip():
            yield nodes.paragraph("", "", *inline(" ".join(lead.split()), objtype))
        if items[1:]:
            yield nodes.bullet_list(
                "",
                *(
                    nodes.list_item("", nodes.paragraph("", "", *inline(" ".join(item.split()), objtype)))
                    for item in items[1:]
                ),
            )


def fields(rows, objtype):
    """A list of (name, type, text)."""
    found = nodes.definition_list()
    for name, kind, text in rows:
        term = nodes.term("", "", nodes.strong("", name) if name else nodes.Text(""))
        if kind:
            term += [nodes.Text(" "), nodes.literal(kind, kind)]
        body = nodes.definition("", nodes.paragraph("", "", *inline(text, objtype)))
        found += nodes.definition_list_item("", term, body)
    return found


def note(env, objtype, name, where):
    """Makes `where` the place of a name: for links, the search and the inventory. The first place of a name counts."""
    domain = env.domains["std"]
    if (objtype, name) in domain.objects:
        return
    label = f"{objtype}-{re.sub(r'[^0-9A-Za-z_]', '-', name)}"
    where["ids"].append(label)
    domain.note_object(objtype, name, label)
