"""Everything that is told of one evaluation, and the page that tells it: one file, no scripts."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from vidcam.figures.features_map import FeatureMap, class_look
from vidcam.pictures.inputs import readable
from vidcam.training.evaluate import Answers
from vidcam.training.metrics import Metrics, record
from vidcam.training.unknown import Said
from vidcam.training.worst import Looked, Pair, Wrong
from vidcam.types import Pixels

JPEG_QUALITY = 82
# The page holds so many rows of classes; per_class.csv has them all.
MOST_ROWS = 500
MAP_PX = 760
# Nothing from outside, and no script: whatever a class or a file is called.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC",
  "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", sans-serif;
  color: #1f2430; background: #fff; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.4rem; }
p.note, figcaption small { color: #667085; }
dl { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; }
dt { color: #667085; font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .7rem; text-align: right;
  border-bottom: 1px solid #d5dbe3; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 6rem;
  overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } .wide img { max-width: max(100%, 760px); }
.cards { display: grid; gap: 1.4rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); }
figure { margin: 0; } figure .row { display: flex; gap: 4px; }
figure .row div { flex: 1; min-width: 0; background: #f4f4f4; line-height: 0; }
figure .row small { display: block; padding: .5rem; color: #667085; line-height: 1.3; }
figcaption { overflow-wrap: anywhere; margin-top: .3rem; }
svg { max-width: 100%; height: auto; } svg .wrong { stroke: #1f2430; stroke-width: 1.6; }
svg.map { border: 1px solid #d5dbe3; box-sizing: border-box; } .key { white-space: nowrap; }
"""
SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z", "M-4-4H4V4H-4Z", "M0-5L5 4H-5Z", "M0-5L5 0L0 5L-5 0Z",
    "M0 5L5-4H-5Z",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One evaluation, whole: what was measured of which pictures, and what stands out.

    `left_out` counts pictures by folder that the model has no class for; `looked` holds the small
    pictures by path; `head` says what was evaluated, by name.
    """

    head: Mapping[str, str]
    names: tuple[str, ...]
    answers: Answers
    metrics: Metrics
    left_out: Mapping[str, int]
    said: Said | None
    unread: tuple[str, ...]
    wrong: tuple[Wrong, ...] = ()
    pairs: tuple[Pair, ...] = ()
    looked: Mapping[str, Looked] | None = None
    layout: FeatureMap | None = None

    def as_record(self) -> dict[str, Any]:
        """What metrics.json holds."""
        return {
            **record(self.metrics),
            "unknown": None if self.said is None else asdict(self.said),
            "left_out": sum(self.left_out.values()),
            "left_out_classes": dict(self.left_out),
            "unread": len(self.unread),
            **self.head,
        }


def page(evaluated: Evaluated, figures: Mapping[str, bytes]) -> str:
    """The report as HTML that needs nothing else; `figures` are PNG files by heading."""
    model, folder = (escape(evaluated.head[key]) for key in ("model", "folder"))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{model} on {folder}</title><style>{STYLE}</style></head><body>",
        f"<h1>{model} on {folder}</h1>",
        f'<p class="note">{escape(", ".join(f"{k}: {v}" for k, v in evaluated.head.items()))}</p>',
        _totals(evaluated),
        _unknown(evaluated.said),
        _classes(evaluated.metrics),
    ]
    for heading, data in figures.items():
        image = _image("image/png", data, heading)
        parts.append(f'<h2>{escape(heading)}</h2><div class="wide">{image}</div>')
    parts += [_map(evaluated), _worst(evaluated), _pairs(evaluated), _passed(evaluated)]
    return "\n".join(parts) + "\n</body></html>\n"


def _totals(evaluated: Evaluated) -> str:
    metrics, macro = evaluated.metrics, evaluated.metrics.macro
    numbers = {
        "top-1": percent(metrics.top1),
        "top-5": percent(metrics.top5),
        "pictures": str(metrics.n),
        "classes": str(len(metrics.classes)),
        "mean F1": percent(macro["f1"]),
        "mean AP": percent(macro["ap"]),
        "mean AUC": percent(macro["auc"]),
        "calibration error": percent(metrics.calibration.ece),
    }
    cells = (f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in numbers.items())
    return f"<dl>{''.join(cells)}</dl>"


def _unknown(said: Said | None) -> str:
    if said is None:
        return ""
    text = (
        f"At temperature {said.temperature:.2f}, {percent(said.kept)} of the right answers stay "
        f"known, and unknown is said of {percent(said.of_known)} of the pictures of known classes"
    )
    if said.strange:
        strange = f"{percent(said.of_strange)} of the {said.strange} pictures of classes it lacks"
        text += f" and of {strange}"
    return f"<h2>Unknown</h2><p>{escape(text)}.</p>"


def class_rows(metrics: Metrics) -> list[list[str]]:
    """The table of the classes: name, n, and the rest in percent; the least F1 first."""
    ranked = sorted(metrics.classes, key=lambda one: one.f1)
    return [
        [one.label, str(one.n), *(percent(value) for value in (
            one.precision, one.recall, one.f1, one.accuracy, one.ap, one.auc))]
        for one in ranked
    ]  # fmt: skip


CLASS_HEAD = ("class", "n", "precision", "recall", "F1", "accuracy", "AP", "AUC")


def _classes(metrics: Metrics) -> str:
    rows = class_rows(metrics)
    more = f"<p>… and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in CLASS_HEAD)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    note = '<p class="note">The least F1 first.</p>'
    return (
        f'<h2>Classes</h2>{note}<div class="wide"><table><tr>{head}</tr>{body}</table></div>{more}'
    )


def _map(evaluated: Evaluated) -> str:
    """The feature map as SVG; each point says its picture under the pointer."""
    layout, answers = evaluated.layout, evaluated.answers
    if layout is None:
        return ""
    present = list(np.unique(answers.labels))
    top = answers.logits.argmax(1)
    points = []
    for row, (x, y) in zip(layout.rows, layout.places, strict=True):
        label = int(answers.labels[row])
        color, shape = class_look(present.index(label), len(present))
        name = evaluated.names[label]
        is_wrong = int(top[row]) != label
        told = f"{name} → {evaluated.names[int(top[row])]}" if is_wrong else name
        title = f"{told}\n{readable(answers.paths[row])}"
        points.append(
            f'<path d="{SHAPES[shape]}" fill="{color}"{" class=wrong" if is_wrong else ""} '
            f'transform="translate({MAP_PX * x:.1f} {MAP_PX * (1 - y):.1f})">'
            f"<title>{escape(title)}</title></path>"
        )
    legend = []
    for number, label in enumerate(present):
        color, shape = class_look(number, len(present))
        mark = f'<svg width="14" height="14" viewBox="-7 -7 14 14"><path d="{SHAPES[shape]}" '
        name = escape(evaluated.names[label])
        legend.append(f'<span class="key">{mark}fill="{color}"/></svg> {name}</span>')
    return (
        "<h2>Features before the last layer, by t-SNE</h2>"
        f'<p class="note">{len(layout.rows)} of {len(answers)} pictures; a dark ring: answered '
        "wrongly; the pointer on a point shows its class and file.</p>"
        f'<svg class="map" role="img" width="{MAP_PX}" height="{MAP_PX}" '
        f'viewBox="0 0 {MAP_PX} {MAP_PX}">{"".join(points)}</svg><p>{" &ensp; ".join(legend)}</p>'
    )  # fmt: skip


def _worst(evaluated: Evaluated) -> str:
    if not evaluated.wrong:
        return "<h2>Worst pictures</h2><p>No picture was answered wrongly.</p>"
    cards = "".join(_card(evaluated, one) for one in evaluated.wrong)
    return (
        "<h2>Worst pictures</h2>"
        '<p class="note">Those with the least score of their own class: the picture, the Grad-CAM '
        f'of the answer, and that of the class.</p><div class="cards">{cards}</div>'
    )


def _pairs(evaluated: Evaluated) -> str:
    parts = []
    for pair in evaluated.pairs:
        true, answer = (escape(evaluated.names[place]) for place in (pair.true, pair.answer))
        cards = "".join(_card(evaluated, one) for one in pair.examples)
        parts.append(f"<h3>{true} → {answer}: {pair.count}</h3>")
        parts.append(f'<div class="cards">{cards}</div>')
    return f"<h2>Most often confused</h2>{''.join(parts)}" if parts else ""


def _card(evaluated: Evaluated, wrong: Wrong) -> str:
    looked = (evaluated.looked or {}).get(wrong.path)
    if looked is None:
        return ""
    true, answer = evaluated.names[wrong.true], evaluated.names[wrong.answer]
    cells = []
    for rgb, what in ((looked.picture, "picture"), (looked.answer, answer), (looked.true, true)):
        lacks = "<small>too little evidence</small>" * looked.is_explained
        image = lacks if rgb is None else _image("image/jpeg", jpeg(rgb), what)
        cells.append(f"<div>{image}</div>")
    text = f"{true}: {percent(wrong.true_score)}, answered {answer}: {percent(wrong.score)}"
    file = escape(readable(wrong.path))
    return (
        f'<figure><div class="row">{"".join(cells)}</div>'
        f"<figcaption>{escape(text)}<br><small>{file}</small></figcaption></figure>"
    )


def _passed(evaluated: Evaluated) -> str:
    parts = []
    if evaluated.left_out:
        total = sum(evaluated.left_out.values())
        told = ", ".join(f"{name} ({count})" for name, count in evaluated.left_out.items())
        parts.append(f"<p>{total} pictures of classes that the model lacks: {escape(told)}</p>")
    if evaluated.unread:
        lines = "".join(f"<li>{escape(reason)}</li>" for reason in evaluated.unread[:MOST_ROWS])
        parts.append(f"<p>{len(evaluated.unread)} could not be read:</p><ul>{lines}</ul>")
    return f"<h2>Left out</h2>{''.join(parts)}" if parts else ""


def looked_at(
    wrong: Sequence[Wrong], pairs: Sequence[Pair], look: Callable[[Wrong], Looked | None]
) -> dict[str, Looked]:
    """The small pictures of all that are shown, each made once, by path."""
    shown = [*wrong, *(one for pair in pairs for one in pair.examples)]
    found = {one.path: look(one) for one in dict.fromkeys(shown)}
    return {path: looked for path, looked in found.items() if looked is not None}


def percent(share: float | None) -> str:
    """A share for people: "93.4%"; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}%"


def jpeg(rgb: Pixels) -> bytes:
    """A picture (H, W, 3) uint8 as a JPEG file."""
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def _image(kind: str, data: bytes, alt: str) -> str:
    text = base64.b64encode(data).decode("ascii")
    return f'<img src="data:{kind};base64,{text}" alt="{escape(alt)}">'
