"""Names that would be markup, or that would confuse whoever reads them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from tokenstore.console._markup import text

PIECES = [
    *"<>&\"'`=/\\ \t\n\r\x0b\x00\x1b\x7f\x85\xa0",
    *("<b>", "</bdi>", "</td>", "<!--", "-->", "<![CDATA[", "]]>", "&lt;", "&#60;", "&#x3c", "&amp", "&Tab;", "javascript:"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" autofocus onfocus="x', "' onclick='x", "</title>"),
    *("</textarea>", "<svg/onload=x>", "<style>*{}", "</html>", "<plaintext>", "<template>", "{{7*7}}", "%3Cb%3E", "?a=b&c=d#e"),
    *("\u202e", "\u2066", "\u200f", "\u200d", "\u2028", "\ufeff", "\ufffe", "\U000e0041", "\udcff", "\udc80", "a\u0301" * 9),
    *("שלום", "مرحبا", "日本", "🧑\u200d🚀", "ﬀ", "ＡＢ", "bob", "@example.com"),
]


def names(count: int) -> Iterator[str]:
    random.seed("names of the console")
    for _ in range(count):
        yield "".join(random.choices(PIECES, k=random.randint(1, 12)))


def visible(given: str) -> str:
    """As the page says it: text() is for HTML, and this reads it."""
    return LexborHTMLParser(f"<p>{text(given)}</p>").css_first("p").text()
