"""Draws the figures of docs/explanation/benchmarks.json: one SVG for light pages and one for dark ones.

usage: plots.py FIGURES.json DIRECTORY
"""

import json
import sys
from html import escape
from pathlib import Path

# name, title, the line at 1, and the bars: (label, how the row begins, True: how many times as much of it per second)
PLOTS = (
    (
        "clients",
        "Times as many per second as the usual client or library",
        "the other",
        (
            ("get, blocking: redis-py", "get/s, Python, against redis-py"),
            ("get_many(1000): redis-py", "get_many(1000), tokens/s"),
            ("get, asyncio, 50 tasks: redis-py", "get/s, 50 tasks on asyncio, against redis-py"),
            ("get, asyncio, 200 tasks: redis-py", "get/s, 200 tasks on asyncio, against redis-py"),
            ("jwt.encode: PyJWT", "jwt.encode/s, HS256"),
            ("jwt.decode: PyJWT", "jwt.decode/s, HS256"),
        ),
    ),
    (
        "overhead",
        "Time of a get over TCP, where a bare GET from C is 1",
        "hiredis in C",
        (
            ("C", "get in C, TCP"),
            ("Python", "get, Python, TCP"),
            ("Lua 5.4", "get, lua5.4, TCP"),
            ("LuaJIT", "get, luajit, TCP"),
        ),
    ),
    (
        "scale",
        "Time among a million tokens, where it is 1 among a thousand",
        "among a thousand",
        (
            ("a plain command", "a plain "),
            ("get", "get, at 1,000,000"),
            ("refresh", "refresh, at 1,000,000"),
            ("update", "update, at 1,000,000"),
            ("delete", "delete, at 1,000,000"),
        ),
    ),
)

WIDTH, LABELS, RIGHT, TOP, STEP, BAR = 720, 250, 60, 52, 30, 18
THEMES = {
    "": {"back": "#ffffff", "text": "#1f2328", "soft": "#57606a", "bar": "#2f6f9f", "line": "#b42318"},
    "-dark": {"back": "#131416", "text": "#e6e8eb", "soft": "#9aa4af", "bar": "#5aa2d6", "line": "#ff8a75"},
}


def values(rows, bars):
    """(label, ratio) of each bar; a row that is missing ends the program."""
    for label, begins in bars:
        found = [row["ratio"] for row in rows if row["what"].startswith(begins)]
        if not found:
            raise SystemExit(f"plots: there is no row that begins with {begins!r}")
        yield label, found[0]


def draw(title, reference, bars, colours):
    """The SVG of one plot: horizontal bars, and a line at 1."""
    height = TOP + STEP * len(bars) + 28
    scale = (WIDTH - LABELS - RIGHT) / max(value for _, value in bars)
    line = LABELS + scale
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="14">',
        f"<title>{escape(title)}: {escape('; '.join(f'{name} {value:.2f}' for name, value in bars))}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="{colours["back"]}"/>',
        f'<text x="12" y="26" font-size="16" font-weight="600" fill="{colours["text"]}">{escape(title)}</text>',
    ]
    for number, (label, value) in enumerate(bars):
        y = TOP + STEP * number
        lines += [
            f'<text x="{LABELS - 10}" y="{y + 14}" text-anchor="end" fill="{colours["text"]}">{escape(label)}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{value * scale:.1f}" height="{BAR}" rx="2" fill="{colours["bar"]}"/>',
            f'<text x="{LABELS + value * scale + 8:.1f}" y="{y + 14}" fill="{colours["text"]}">'
            f"{value:.{2 if value < 10 else 1}f}</text>",
        ]
    bottom = TOP + STEP * len(bars)
    lines += [
        f'<path d="M{line:.1f} {TOP - 8}V{bottom}" stroke="{colours["line"]}" stroke-width="1.5" stroke-dasharray="4 3"/>',
        f'<text x="{line:.1f}" y="{bottom + 18}" text-anchor="{"end" if scale > 200 else "middle"}" font-size="12" '
        f'fill="{colours["soft"]}">1: {escape(reference)}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main():
    figures, directory = map(Path, sys.argv[1:])
    rows = json.loads(figures.read_text())["rows"]
    directory.mkdir(parents=True, exist_ok=True)
    for name, title, reference, bars in PLOTS:
        for suffix, colours in THEMES.items():
            svg = draw(title, reference, list(values(rows, bars)), colours)
            (directory / f"bench-{name}{suffix}.svg").write_text(svg)


if __name__ == "__main__":
    main()
