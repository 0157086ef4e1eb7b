"""``{c-header} tokens.h``: a public header of the C library, its comments as text and its declarations as code."""

import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import prose

HEADERS = Path(__file__).resolve().parents[2] / "core/include/tokenstore"

# What a reader of declarations does not look for.
_SKIPPED = re.compile(
    r"^(#(ifndef|ifdef|if|endif|else|include|undef)\b.*|TKS_(BEGIN|END)_DECLS|#define TOKENSTORE_\w+_H)$"
)


def names(code):
    """The names that a piece of a header declares, in order: functions, types, members of enums, macros."""
    code = re.sub(r"/\*.*?\*/", " ", code, flags=re.S)
    found = re.findall(r"^#define (\w+)", code, re.M)
    found += re.findall(r"^\s+X\((TKS_\w+)", code, re.M)
    code = re.sub(r"^#.*(\\\n.*)*$", "", code, flags=re.M)
    for body in re.findall(r"\benum \w*\s*\{(.*?)\}", code, re.S):
        found += re.findall(r"\b(TKS_\w+)\s*(?==|,|$)", body.strip())
    found += re.findall(r"\}\s*(tks_\w+);", code)
    found += re.findall(r"^typedef [^{;(]*\b(tks_\w+);", code, re.M)
    found += re.findall(r"^typedef [^{;]*\(\*(tks_\w+)\)", code, re.M)
    flat = re.sub(r"\{.*?\}", "", code, flags=re.S)
    found += re.findall(r"^(?!typedef|enum)[\w ]+?[ *](tks_\w+)\(", flat, re.M)
    found += re.findall(r"^extern const [\w ]+?(tks_\w+)[;\[]", flat, re.M)
    return list(dict.fromkeys(found))


def opening(text):
    """The first comment: the line that names the subject, and (label, text) for each of its parts."""
    comment = text[2 : text.index("*/")]
    lines = [re.sub(r"^ \* ?", "", line).rstrip() for line in comment.split("\n")]
    subject = lines[0].split(" - ", 1)[1]
    parts = []
    for line in lines[1:]:
        if match := re.match(r"([A-Z][\w ]+):\s+(.*)", line):
            parts.append((match[1], [match[2]]))
        elif parts and (line.startswith("           ") or not line):
            parts[-1][1].append(line[11:])
        elif line:
            parts.append(("", [line.strip()])) if not parts or parts[-1][0] else parts[-1][1].append(line.strip())
    return subject, parts


def runs(body):
    """The runs of lines without an empty one; empty lines between braces do not count."""
    without = re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[{}]", " ", match[0]), body, flags=re.S)
    depth, run = 0, []
    for line, bare in zip(body.split("\n"), without.split("\n")):
        if line.strip() or depth:
            run.append(line)
        elif run:
            yield "\n".join(run)
            run = []
        depth += bare.count("{") - bare.count("}")
    yield "\n".join(run)


def pieces(text):
    """(comment, code) of each run; a comment of its own has no code."""
    body = text[text.index("*/") + 2 :]
    body = "\n".join(line for line in body.split("\n") if not _SKIPPED.match(line))
    for run in runs(body):
        match = re.match(r"/\*\*? (.*?) ?\*/\n?", run, re.S)
        comment = re.sub(r"\n \* ?", "\n", match[1]) if match else ""
        code = run[match.end() :] if match else run
        if comment or code:
            yield comment, code


class Header(SphinxDirective):
    required_arguments = 1

    def run(self):
        path = HEADERS / self.arguments[0]
        self.env.note_dependency(str(path))
        text = path.read_text()
        subject, parts = opening(text)
        lead = subject[0].upper() + subject[1:]
        found = [nodes.paragraph("", "", *prose.inline(lead, "c"))]
        for label, lines in parts:
            found += self.part(label, "\n".join(lines))
        for comment, code in pieces(text):
            if match := re.fullmatch(r"-+ (.*?) -*", " ".join(comment.split()) + " "):
                found.append(nodes.rubric("", match[1]))
            elif code:
                found.append(self.declaration(comment, code))
            else:
                found += prose.paragraphs(comment, "c")
        return found

    def part(self, label, text):
        """A part of the opening; a drawing stays as it is."""
        for block in re.split(r"\n\s*\n", text):
            if re.search(r"──|─►", block):
                yield nodes.literal_block(block, block, language="text")
                continue
            made = list(prose.paragraphs(block, "c"))
            if label and made and isinstance(made[0], nodes.paragraph):
                made[0].insert(0, nodes.strong("", f"{label}: "))
            label = ""
            yield from made

    def declaration(self, comment, code):
        block = nodes.literal_block(code, code, language="c")
        where = nodes.container("", block, classes=["c-declaration"])
        for name in names(code):
            prose.note(self.env, "c", name, where)
        if comment:
            where += prose.paragraphs(comment, "c")
        return where


def setup(app):
    app.add_object_type("c", "c", objname="C name")
    app.add_directive("c-header", Header)
    return {"parallel_read_safe": True}
