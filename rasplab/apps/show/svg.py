"""Building blocks of pictures as SVG text: colours, texts, lines, legends, the picture around them.

Colours for a light page stand in the elements; a style sheet in each picture changes them for a
dark one, by the classes rl-ground, rl-box, rl-ink, rl-soft, rl-heat and rl-line. Every picture has
its own ground, so that it reads on any page. Hover texts are <title> elements. Lengths are pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rasplab.base.text import escape

SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
LIGHT = {
    "ground": "#ffffff",
    "box": "#f5f7fa",
    "ink": "#1f2430",
    "soft": "#667085",
    "line": "#c6cdda",
    "heat": "#2458c5",
}
DARK = {
    "ground": "#171a21",
    "box": "#222733",
    "ink": "#e8ebf2",
    "soft": "#9aa4b8",
    "line": "#465066",
    "heat": "#7db0ff",
}
PORT_COLOURS = {"q": "#3b82f6", "k": "#e08a1e", "v": "#22a06b", "in": "#a06cd5"}
"""Middle tones: each has a contrast of 3 or more on both grounds."""

LANE_WIDTH, MARGIN = 6, 18
"""The width of a value's lane between boxes, and the room around a picture's content."""
BOLD = ' font-weight="600"'


def _style() -> str:
    """Dark colours: for the system's setting, and for JupyterLab's theme, which overrides it."""
    dark = [
        (name, f"{'stroke' if name == 'line' else 'fill'}:{colour}")
        for name, colour in DARK.items()
    ]
    page = ':root:not(:has([data-jp-theme-light="true"]))'
    media = "".join(f"{page} .rl-{name}{{{rule}}}" for name, rule in dark)
    lab = "".join(f'[data-jp-theme-light="false"] .rl-{name}{{{rule}}}' for name, rule in dark)
    hover = ".rl-edge:hover{stroke-width:4}"
    return f"<style>{hover}@media(prefers-color-scheme:dark){{{media}}}{lab}</style>"


def picture(w: float, h: float, parts: Iterable[str], label: str) -> str:
    """A whole picture on its own ground; `label` is its text for screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rl" role="img" '
        f'aria-label="{escape(label)}" '
        f'width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}" font-family="{SANS}">'
        f'{_style()}<rect class="rl-ground" width="{w:.0f}" height="{h:.0f}" rx="8" '
        f'fill="{LIGHT["ground"]}"/>'
        f"{''.join(parts)}</svg>"
    )


def text_at(
    x: float,
    y: float,
    text: str,
    tone: str = "ink",
    size: float = 11.0,
    anchor: str = "start",
    mono: bool = False,
    extra: str = "",
) -> str:
    """A text on one line.

    y       its base line
    tone    a name of LIGHT, and of the class rl-TONE
    anchor  which of its ends is at x: start, middle or end
    extra   further attributes, with a space before them
    """
    family = f' font-family="{MONO}"' if mono else ""
    return (
        f'<text class="rl-{tone}" x="{x:.1f}" y="{y:.1f}" fill="{LIGHT[tone]}" '
        f'font-size="{size:g}" '
        f'text-anchor="{anchor}"{family}{extra}>{escape(text, quote=False)}</text>'
    )


def legend_of(entries: Sequence[tuple[str, str]], x: float, y: float) -> tuple[list[str], float]:
    """Dots with words, (colour, words) each, from x on; and where they end."""
    parts = []
    for colour, words in entries:
        parts.append(f'<circle cx="{x:.1f}" cy="{y - 4:.0f}" r="4.5" fill="{colour}"/>')
        parts.append(text_at(x + 9, y, words, "soft", 11))
        # an estimate, as no font is measured here: a character
        # is some 0.55 of its size wide, 6 px at 11 px
        x += 28 + 6.0 * len(words)
    return parts, x


def curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    """The path of a line from `start` up to `end`, upright at both."""
    (x0, y0), (x1, y1) = start, end
    # a cubic Bezier curve whose control points lie straight above the start
    # and below the end; y grows downwards, so the end has the smaller one
    bend = (y0 - y1) * 0.5
    return f"M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 - bend:.1f} {x1:.1f} {y1 + bend:.1f} {x1:.1f} {y1:.1f}"


def path_of(path: str, colour: str, note: str, name: str, stroke: float, dash: str = "") -> str:
    """A path as an element: `name` is its class, `note` its hover text."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path class="{name}" d="{path}" fill="none" stroke="{colour}" '
        f'stroke-width="{stroke:.3g}"{dashed} '
        f'stroke-linecap="round"><title>{escape(note)}</title></path>'
    )


def heat_cell(x: float, y: float, cell: float, value: float, note: str) -> str:
    """A cell as strong as its value, in [0, 1]; one of nan is there, and not visible."""
    size = cell - 1.5
    place = f'x="{x:.1f}" y="{y:.1f}" width="{size:.1f}" height="{size:.1f}" rx="2"'
    ground = f'<rect class="rl-box" {place} fill="{LIGHT["box"]}"/>'
    if value >= 0.005:
        strength = f'fill="{LIGHT["heat"]}" fill-opacity="{min(1.0, value):.2f}"'
        ground += f'<rect class="rl-heat" {place} {strength}/>'
    # nan is not equal to itself
    hidden = "" if value == value else ' visibility="hidden"'
    return f"<g{hidden}>{f'<title>{escape(note)}</title>' if note else ''}{ground}</g>"
