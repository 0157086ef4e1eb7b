"""``{commands}``: the command line's parser, command by command; as scripts/man-page has it."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from tokenstore._cli.parser import commands_of, make_parser

_PATH = str(Path(__file__).resolve().parents[2] / "scripts/man-page")
man_page = module_from_spec(spec_from_loader("man_page", SourceFileLoader("man_page", _PATH)))
man_page.__loader__.exec_module(man_page)


def definitions(pairs):
    found = nodes.definition_list()
    for name, text in pairs:
        body = nodes.definition("", nodes.paragraph("", text))
        found += nodes.definition_list_item("", nodes.term("", "", nodes.literal(name, name)), body)
    return found


class Commands(SphinxDirective):
    def run(self):
        self.env.note_dependency(_PATH)
        found = []
        for name, command in commands_of(make_parser("tokenstore")).items():
            section = nodes.section("", nodes.title("", name), ids=[nodes.make_id(f"command-{name}")])
            self.state.document.note_explicit_target(section, section)
            section += nodes.paragraph("", command.description)
            usage = command.format_usage().strip().removeprefix("usage: ").replace("\n       ", "\n")
            section += nodes.literal_block(usage, usage, language="text")
            section += definitions(man_page.items_of(command))
            found.append(section)
        for title, pairs in (("Exit status", man_page.STATUS), ("Environment", man_page.ENVIRONMENT)):
            section = nodes.section("", nodes.title("", title), definitions(pairs), ids=[nodes.make_id(title)])
            self.state.document.note_explicit_target(section, section)
            found.append(section)
        return found


def setup(app):
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
