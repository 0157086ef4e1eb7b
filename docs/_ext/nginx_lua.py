"""Colours for nginx's configuration with Lua inside."""

import re

from pygments.lexers import LuaLexer, NginxConfLexer

_BLOCK = re.compile(r"\w+_by_lua_block\s*\{")


def lua_parts(text):
    """(begin, end) of what is between the braces of each block of Lua."""
    at = 0
    while match := _BLOCK.search(text, at):
        at, depth = match.end(), 1
        begin = at
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        yield begin, at - 1


class NginxLuaLexer(NginxConfLexer):
    """nginx's lexer for a text whose Lua is blanked out, and Lua's for that."""

    def get_tokens_unprocessed(self, text, stack=("root",)):
        parts = list(lua_parts(text))
        blank = text
        for begin, end in parts:
            blank = blank[:begin] + " " * (end - begin) + blank[end:]
        tokens = [
            token
            for token in super().get_tokens_unprocessed(blank, stack)
            if not any(begin <= token[0] < end for begin, end in parts)
        ]
        for begin, end in parts:
            tokens += [(begin + at, kind, value) for at, kind, value in LuaLexer().get_tokens_unprocessed(text[begin:end])]
        yield from sorted(tokens, key=lambda token: token[0])


def setup(app):
    app.add_lexer("nginx", NginxLuaLexer)
    return {"parallel_read_safe": True}
