"""Line charts as SVG, for pages that need nothing but themselves. Colours are CSS variables of the page, so that they follow its theme.

Drawn here rather than by a library: four kinds of marks are all that is needed, and a benchmark machine need not install matplotlib for them.
"""
import html
import math

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 68, 20, 34, 46
# Told apart without colour, too.
DASHES = ("", "7 4", "2 4", "10 3 2 3")

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --faint: #5b6570; --grid: #e3e7eb; --s0: #0072b2; --s1: #d55e00; --s2: #00875f; --s3: #a3387f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e8ecf0; --faint: #9aa5b1; --grid: #2c333b; --s0: #56b4e9; --s1: #f0a04b; --s2: #3ccf9e; --s3: #e08bc4; }
}
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .faint { fill: var(--faint); }
svg .title { font-weight: 600; font-size: 14px; }
svg .grid { stroke: var(--grid); stroke-width: 1; }
svg .axis { stroke: var(--faint); stroke-width: 1; }
svg .mark { stroke: var(--faint); stroke-width: 1.2; stroke-dasharray: 4 4; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
"""


class Chart:
    """Lines over a common x axis. Points are pairs; a y of None leaves a gap."""

    def __init__(self, title, x_label, y_label, log_y=False, width=860, height=320, x_range=None):
        self.title, self.x_label, self.y_label, self.log_y = title, x_label, y_label, log_y
        self.width, self.height, self.x_range = width, height, x_range
        self.lines, self.levels, self.moments = [], [], []

    def line(self, name, points, dots=True):
        self.lines.append((name, [(x, None if y is None or (self.log_y and y <= 0) else y) for x, y in points], dots))
        return self

    def level(self, name, y):
        """A horizontal mark, such as a target."""
        self.levels.append((name, y))
        return self

    def moment(self, name, x):
        """A vertical mark, such as a change of load."""
        self.moments.append((name, x))
        return self

    def svg(self):
        xs = [x for _, points, _ in self.lines for x, _ in points] + [x for _, x in self.moments]
        ys = [y for _, points, _ in self.lines for _, y in points if y is not None] + [y for _, y in self.levels]
        if not xs or not ys:
            return f'<p class="faint">{html.escape(self.title)}: nothing was measured.</p>'
        self.x_low, self.x_high = self.x_range or (min(0.0, min(xs)), max(xs) or 1.0)
        if self.log_y:
            self.y_ticks = logarithmic_ticks(min(ys), max(ys))
        else:
            self.y_ticks = ticks(min(0.0, min(ys)), max(ys) * 1.05 or 1.0)
        self.y_low, self.y_high = self.y_ticks[0], self.y_ticks[-1]
        parts = [f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{html.escape(self.title)}">',
                 f'<text class="title" x="{MARGIN_LEFT}" y="16">{html.escape(self.title)}</text>', *self._axes(), *self._marks()]
        for number, (_, points, dots) in enumerate(self.lines):
            parts += self._line(number, points, dots)
        return "\n".join([*parts, *self._legend(), "</svg>"])

    def _x(self, value):
        return MARGIN_LEFT + (value - self.x_low) / (self.x_high - self.x_low or 1) * (self.width - MARGIN_LEFT - MARGIN_RIGHT)

    def _y(self, value):
        low, high, at = (math.log10(part) for part in (self.y_low, self.y_high, value)) if self.log_y else (self.y_low, self.y_high, value)
        bottom = self.height - MARGIN_BOTTOM
        return bottom - (at - low) / (high - low or 1) * (bottom - MARGIN_TOP)

    def _axes(self):
        left, right, bottom = MARGIN_LEFT, self.width - MARGIN_RIGHT, self.height - MARGIN_BOTTOM
        for value in self.y_ticks:
            y = self._y(value)
            yield f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="faint" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
        for value in ticks(self.x_low, self.x_high, 8):
            if value <= self.x_high * (1 + 1e-9):
                yield f'<line class="axis" x1="{self._x(value):.1f}" x2="{self._x(value):.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
                yield f'<text class="faint" x="{self._x(value):.1f}" y="{bottom + 18}" text-anchor="middle">{number(value)}</text>'
        yield f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        yield f'<text class="faint" x="{(left + right) / 2}" y="{self.height - 8}" text-anchor="middle">{html.escape(self.x_label)}</text>'
        middle = (MARGIN_TOP + bottom) / 2
        yield f'<text class="faint" x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{html.escape(self.y_label)}</text>'

    def _marks(self):
        left, right, bottom = MARGIN_LEFT, self.width - MARGIN_RIGHT, self.height - MARGIN_BOTTOM
        highest = max((value for _, value in self.levels), default=0)
        for name, value in self.levels:
            y = self._y(value)
            # Above the highest, below the others, so that names of levels side by side do not meet.
            yield f'<line class="mark" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="faint" x="{right - 4}" y="{y - 4 if value == highest else y + 14:.1f}" text-anchor="end">{html.escape(name)}</text>'
        for name, value in self.moments:
            x = self._x(value)
            yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN_TOP}" y2="{bottom}"/>'
            yield f'<text class="faint" x="{x - 5:.1f}" y="{MARGIN_TOP + 12}" text-anchor="end">{html.escape(name)}</text>'

    def _line(self, place, points, dots):
        color, dash = f"var(--s{place % 4})", DASHES[place % 4]
        path, down = [], False
        for x, y in points:
            if y is None:
                down = False
                continue
            path.append(f"{'L' if down else 'M'}{self._x(x):.1f} {self._y(y):.1f}")
            down = True
        yield f'<path class="line" d="{" ".join(path)}" style="stroke:{color}" stroke-dasharray="{dash}"/>'
        name = html.escape(self.lines[place][0])
        for x, y in points:
            if dots and y is not None:
                yield (f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="3.2" style="fill:{color}">'
                       f"<title>{name}: {number(y)} at {number(x)}</title></circle>")

    def _legend(self):
        right = self.width - MARGIN_RIGHT
        for place in reversed(range(len(self.lines))):
            name = self.lines[place][0]
            start = right - 36 - 6.6 * len(name)
            yield (f'<line class="line" x1="{start:.0f}" x2="{start + 24:.0f}" y1="12" y2="12" style="stroke:var(--s{place % 4})" '
                   f'stroke-dasharray="{DASHES[place % 4]}"/><text x="{start + 30:.0f}" y="16">{html.escape(name)}</text>')
            right = start - 12


def ticks(low, high, most=6):
    """Round numbers from at most `low` to at least `high`."""
    step = 10 ** math.floor(math.log10((high - low) / most or 1))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (step * factor) <= most)
    return [step * place for place in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def logarithmic_ticks(low, high):
    """1, 2 and 5 times powers of ten, from at most `low` to at least `high`, or powers alone over more than three decades."""
    factors = (1, 2, 5) if math.log10(high / low) <= 3 else (1,)
    values = [factor * 10.0 ** power for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2) for factor in factors]
    first = max(place for place, value in enumerate(values) if value <= low)
    last = max(first + 1, min(place for place, value in enumerate(values) if value >= high))
    return values[first:last + 1]


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
