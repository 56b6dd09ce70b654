"""``egotwin data card``: describes a folder of clips on one self-contained HTML page."""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from egotwin_model.errors import EgoTwinError
from egotwin_model.io.files import write_text
from egotwin_model.io.images import encode_image
from training.datasets.clips.dataset import ClipSet
from training.datasets.clips.facts import (
    IDENTITIES,
    Leak,
    SplitFacts,
    find_splits,
    leaks,
    measure,
    seen_texts,
)

WORDS, ACTIONS = 30, 24
SHEET_CLIPS, SHEET_COLUMNS, QUALITY = 4, 8, 75

TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Data card: {{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .6rem 0 1.4rem } td, th { padding: .2rem .8rem .2rem 0; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } th { border-bottom: 1px solid #999 }
img { max-width: 100% } figure { margin: .5rem 0 } figure img { width: 100% } figcaption { font-size: .9em }
h2 { margin-top: 2.2rem } .bad { color: #b00020 } .good { color: #1b6e3c }
code { background: #f3f3f3; padding: 0 .2rem } details { margin: .4rem 0 }
</style></head><body>
<h1>Data card: {{ title }}</h1>
<table><tr><th></th>{% for f in facts %}<th class="n">{{ f.name }}</th>{% endfor %}</tr>
{% for row in counts %}<tr><td>{{ row.label }}</td>
{% for value in row.per_split %}<td class="n">{{ value }}</td>{% endfor %}</tr>{% endfor %}</table>
<h2>Shared values</h2>
{% if facts|length < 2 %}<p>Only one split.</p>
{% elif leaks %}<table><tr><th>splits</th><th>share</th><th class="n">how many</th><th>for instance</th></tr>
{% for leak in leaks %}<tr class="bad"><td>{{ leak.splits|join(" and ") }}</td><td>{{ leak.what }}</td>
<td class="n">{{ leak.count }}</td><td>{{ leak.examples|join(", ") }}</td></tr>{% endfor %}</table>
{% else %}<p class="good">Splits share no {{ compared|join(", ") }} or motions.</p>{% endif %}
{% for name, share in seen.items() %}<p>{{ "%.1f" % (100 * share) }} % of the clips of {{ name }} have a text
that also occurs in train.</p>{% endfor %}
<h2>Frames</h2>
{% for f in facts %}{% if sheets[f.name] %}<p>{{ f.name }}</p>{% for text, strip in sheets[f.name] %}
<figure><img alt="frames of a clip" src="{{ strip }}"><figcaption>{{ text }}</figcaption></figure>
{% endfor %}{% endif %}{% endfor %}
<h2>Actions</h2><img alt="clips by action" src="{{ figures.actions }}">
<h2>Words</h2><img alt="most frequent words" src="{{ figures.words }}">
<p>{% for f in facts %}{{ f.name }}: {{ f.texts|length }} different texts, {{ f.words|length }} different words.
{% endfor %}</p>
<h2>Speeds</h2><img alt="distributions of speed" src="{{ figures.speeds }}">
<table><tr><th>split</th><th>what</th><th class="n">median</th><th class="n">95 %</th><th class="n">most</th></tr>
{% for row in speeds %}<tr><td>{{ row[0] }}</td><td>{{ row[1] }}</td>
{% for value in row[2:] %}<td class="n">{{ value }}</td>{% endfor %}</tr>{% endfor %}</table>
<h2>Hands in view</h2>
{% for f in facts %}{% if f.hands %}
<details{% if loop.first %} open{% endif %}><summary>{{ f.name }}, share of frames</summary>
<table><tr><th>action</th><th class="n">left</th><th class="n">right</th><th class="n">any</th></tr>
{% for action, share in f.hands.items() %}<tr><td>{{ action }}</td>
{% for value in share %}<td class="n">{{ "%.1f" % (100 * value) }} %</td>{% endfor %}</tr>{% endfor %}</table></details>
{% else %}<p>{{ f.name }}: not labelled.</p>{% endif %}{% endfor %}
<h2>Left out</h2>
{% for f in facts %}{% if f.skipped %}<p>{{ f.name }}</p><table>
{% for reason, count in f.skipped.items() %}<tr><td>{{ reason }}</td><td class="n">{{ count }}</td></tr>
{% endfor %}</table>
{% if f.left_out %}<details><summary>{{ f.left_out|length }} whole sequences</summary><ul>
{% for name, why in f.left_out.items() %}<li>{{ name }}: {{ why }}</li>{% endfor %}</ul></details>{% endif %}
{% else %}<p>{{ f.name }}: nothing.</p>{% endif %}{% endfor %}
<h2>Settings</h2>
{% for f in facts %}<details><summary>{{ f.name }}</summary>
<pre>{{ f.settings|tojson(indent=1) }}</pre></details>{% endfor %}
</body></html>
"""


def card(folder: Path, frames: bool = True) -> tuple[str, list[Leak]]:
    """The HTML page of a folder of clips, and the values that its splits share.

    Raises:
        RecordingError: no clips there, or shards that are damaged.
    """
    splits = find_splits(folder)
    facts = {name: measure(clips) for name, clips in splits.items()}
    shared = leaks(facts)
    everyone = list(facts.values())
    page = Environment(autoescape=True).from_string(TEMPLATE)
    html = page.render(
        title=folder.resolve().name,
        facts=everyone,
        counts=_counts(everyone),
        leaks=shared,
        compared=[what for key, what in IDENTITIES.items() if all(key in f.identities for f in everyone)],
        seen=seen_texts(facts),
        sheets={name: _sheet(clips) if frames else [] for name, clips in splits.items()},
        figures={"actions": _actions(everyone), "words": _words(everyone), "speeds": _speeds(everyone)},
        speeds=[
            (f.name, what, *(f"{np.quantile(values, q):.2f}" for q in (0.5, 0.95, 1.0)))
            for f in everyone
            for what, values in f.speeds.items()
        ],
    )
    return html, shared


def _counts(facts: list[SplitFacts]) -> list[dict[str, Any]]:
    rows: dict[str, Callable[[SplitFacts], Any]] = {
        "clips": lambda f: f.clips,
        "hours": lambda f: f"{f.hours:.2f}",
        "frames": lambda f: " × ".join(map(str, f.frame_shape[:3])),
        "shards": lambda f: f.shards,
        "megabytes": lambda f: f"{f.megabytes:.1f}",
        "actions": lambda f: len(f.actions),
    }
    if any(f.ambiguous for f in facts):
        rows["ambiguous texts"] = lambda f: f"{100 * sum(f.ambiguous.values()) / f.clips:.1f} %"
    for key, what in IDENTITIES.items():
        if any(key in f.identities for f in facts):
            rows[what] = lambda f, key=key: len(f.identities.get(key, ()))  # type: ignore[misc]
    return [{"label": label, "per_split": [value(f) for f in facts]} for label, value in rows.items()]


def _shares(counts: Mapping[str, int], names: list[str]) -> list[float]:
    total = sum(counts.values()) or 1
    return [100 * counts.get(name, 0) / total for name in names]


def _bars(facts: list[SplitFacts], counts: list[Mapping[str, int]], most: int, what: str) -> str:
    """A bar chart of the `most` frequent names, in percent, with a bar for each split."""
    together: dict[str, float] = {}
    for one in counts:
        for name, share in zip(one, _shares(one, list(one)), strict=True):
            together[name] = together.get(name, 0.0) + share
    names = sorted(together, key=lambda name: (-together[name], name))[:most]
    figure = Figure(figsize=(10, 0.8 + 0.24 * max(1, len(names))))
    axes = figure.subplots()
    height = 0.8 / max(1, len(counts))
    for row, (split, one) in enumerate(zip(facts, counts, strict=True)):
        axes.barh(np.arange(len(names)) + row * height, _shares(one, names), height, label=split.name)
    axes.set_yticks(np.arange(len(names)) + 0.4 - height / 2, names)
    axes.invert_yaxis()
    axes.set_xlabel(f"% of {what}")
    axes.legend()
    return _drawn(figure)


def _actions(facts: list[SplitFacts]) -> str:
    return _bars(facts, [f.actions for f in facts], ACTIONS, "clips")


def _words(facts: list[SplitFacts]) -> str:
    return _bars(facts, [f.words for f in facts], WORDS, "words")


def _speeds(facts: list[SplitFacts]) -> str:
    figure = Figure(figsize=(10, 5.5))
    names = list(dict.fromkeys(what for f in facts for what in f.speeds))
    for axes, what in zip(np.ravel(figure.subplots(2, 2)), names, strict=False):
        top = max(float(np.quantile(f.speeds[what], 0.995)) for f in facts if what in f.speeds)
        for f in facts:
            if what in f.speeds:
                axes.hist(f.speeds[what], 40, range=(0.0, max(top, 1e-6)), density=True, histtype="step", label=f.name)
        axes.set_title(what)
        axes.set_xlabel("degrees/s" if "turning" in what else "m/s")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.legend(loc="upper right")
    return _drawn(figure)


def _sheet(clips: ClipSet) -> list[tuple[str, str]]:
    """The texts of a few clips spread over the split, and a row of frames of each as a data URL."""
    if len(clips) == 0:
        return []
    rows = []
    for clip in np.unique(np.linspace(0, len(clips) - 1, SHEET_CLIPS).astype(int)).tolist():
        frames = clips.tensor("frames", clip)
        strip = np.hstack(frames[np.linspace(0, len(frames) - 1, SHEET_COLUMNS).astype(int)])
        webp = encode_image(strip, ".webp", QUALITY)
        rows.append((str(clips.records[clip]["text"]), _as_url(webp, "webp")))
    return rows


def _drawn(figure: Figure) -> str:
    """A figure as a data URL; the same figure gives the same bytes."""
    figure.set_layout_engine("tight")
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "card"}):
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    short = re.sub(r"(\d\.\d\d)\d+", r"\1", out.getvalue())  # hundredths of a point, half the size
    return _as_url(short.encode(), "svg+xml")


def _as_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def main(argv: list[str] | None = None) -> int:
    """Runs the command; 0 done, 1 splits share values that they must not, 2 bad input."""
    options = argparse.ArgumentParser(
        prog="egotwin data card", description="Describes a folder of clips on one HTML page, and checks its splits."
    )
    options.add_argument("folder", type=Path, help="folder with train/, val/, test/, or one split")
    options.add_argument("--out", type=Path, help="the page (default: card.html in the folder)")
    options.add_argument("--no-frames", action="store_true", help="leave out the frames")
    given = options.parse_args(argv)
    try:
        html, shared = card(given.folder, not given.no_frames)
    except EgoTwinError as error:
        print(f"egotwin data card: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    out = given.out or given.folder / "card.html"
    write_text(out, html)
    print(f"{out}: {len(html) / 1e6:.1f} MB")
    for leak in shared:
        both = " and ".join(leak.splits)
        print(f"{both} share {leak.count} {leak.what}: {', '.join(leak.examples)}", file=sys.stderr)
    return 1 if shared else 0


if __name__ == "__main__":
    sys.exit(main())
