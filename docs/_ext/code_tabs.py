"""Blocks of code in different languages, one right below the other, are tabs.

So the pages need no markup for them. A block of Python behind the comment ``asyncio`` has a tab of that name.
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx_inline_tabs._impl import TabContainer

LABELS = {"python": "Python", "lua": "Lua"}


def label(block, before):
    name = LABELS.get(block.get("language"))
    return "asyncio" if name == "Python" and before == "asyncio" else name


def groups(parent):
    """Lists of (label, block, comment before it or None) of neighbours with different labels."""
    group, comment = [], None
    for node in [*parent.children, None]:
        if isinstance(node, (nodes.comment, nodes.raw)) and node.astext().strip(" <>!-") in ("asyncio", "not run"):
            comment = node
            continue
        name = label(node, comment.astext().strip(" <>!-") if comment else "") if isinstance(node, nodes.literal_block) else None
        if group and (not name or name in [other for other, _, _ in group]):
            yield group
            group = []
        if name:
            group.append((name, node, comment))
        comment = None


class CodeTabs(SphinxTransform):
    default_priority = 500

    def apply(self):
        for parent in list(self.document.findall(nodes.section)):
            for group in [group for group in groups(parent) if len(group) > 1]:
                for number, (name, block, comment) in enumerate(group):
                    if comment:
                        parent.remove(comment)
                    tab = TabContainer("", type="tab", new_set=not number)
                    tab += nodes.label("", name)
                    parent.replace(block, tab)
                    tab += nodes.container("", block, is_div=True, classes=["tab-content"])


def setup(app):
    app.add_transform(CodeTabs)
    return {"parallel_read_safe": True}
