"""An image `x.svg` beside an `x-dark.svg` shows that one on dark pages. Repository browsers show the light one."""

from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform


class ThemedImages(SphinxTransform):
    default_priority = 210

    def apply(self):
        here = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            dark = image["uri"].replace(".svg", "-dark.svg")
            if dark != image["uri"] and (here / dark).is_file():
                other = image.deepcopy()
                other["uri"] = dark
                image["classes"].append("only-light")
                other["classes"].append("only-dark")
                image.parent.insert(image.parent.index(image) + 1, other)


def setup(app):
    app.add_transform(ThemedImages)
    return {"parallel_read_safe": True}
