"""Blocks of code in different languages, one right below the other, are tabs.

So the pages need no markup for them. A block of Python behind the comment ``asyncio`` has a tab of that name.
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx_inline_tabs._impl import TabContainer

LABELS = {"python": "Python", "lua": "Lua"}


def marker(node):
    """What the comment says that marks the block below it; an empty text for any other node."""
    text = node.astext().strip(" <>!-\n") if isinstance(node, (nodes.comment, nodes.raw)) else ""
    return text if text in ("asyncio", "not run") else ""


def label(node, mark):
    name = LABELS.get(node.get("language")) if isinstance(node, nodes.literal_block) else None
    return mark if name and mark == "asyncio" else name


def groups(parent):
    """Lists of (label, block, marker above it or None) of neighbours with different labels."""
    group, above = [], None
    for node in parent.children:
        if marker(node):
            above = node
            continue
        name = label(node, marker(above) if above else "")
        if group and (not name or name in [other for other, _, _ in group]):
            yield group
            group = []
        if name:
            group.append((name, node, above))
        above = None
    yield group


class CodeTabs(SphinxTransform):
    default_priority = 500

    def apply(self):
        for parent in list(self.document.findall(nodes.section)):
            for group in [group for group in groups(parent) if len(group) > 1]:
                for number, (name, block, above) in enumerate(group):
                    if above:
                        parent.remove(above)
                    tab = TabContainer("", type="tab", new_set=not number)
                    tab += nodes.label("", name)
                    parent.replace(block, tab)
                    tab += nodes.container("", block, is_div=True, classes=["tab-content"])


def setup(app):
    app.add_transform(CodeTabs)
    return {"parallel_read_safe": True}
