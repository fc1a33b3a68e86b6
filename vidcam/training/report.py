"""The page that tells an evaluation: one file, no scripts, words by language."""

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
from PIL import Image

from vidcam.figures.features_map import class_look
from vidcam.overlays.words import say
from vidcam.pictures.inputs import readable
from vidcam.training.evaluated import Evaluated
from vidcam.training.metrics import Metrics
from vidcam.training.unknown import Said
from vidcam.training.worst import Wrong
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
.figure { margin-top: 2.4rem; }
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


def page(evaluated: Evaluated, figures: Mapping[str, bytes]) -> str:
    """The report as HTML that needs nothing else; `figures` are PNG files by what they show."""
    subject, language = evaluated.subject, evaluated.subject.language
    title = escape(say("report", language, subject.model, subject.folder))
    settings = say(
        "report settings", language, subject.part, subject.fit, subject.size,
        f"{subject.temperature:.2f}", subject.vidcam,
    )  # fmt: skip
    caution = escape(subject.warned(language))
    parts = [
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        f'<h1>{title}</h1><p class="note">{escape(settings)}</p>',
        f"<p>{caution}</p>" if caution else "",
        _totals(evaluated),
        _unknown(evaluated.said, language),
        _classes(evaluated.metrics, language),
    ]
    # Each figure has its heading in itself.
    for shown, data in figures.items():
        parts.append(f'<div class="wide figure">{_image("image/png", data, shown)}</div>')
    parts += [_map(evaluated), _worst(evaluated), _pairs(evaluated), _passed(evaluated)]
    return "\n".join(parts) + "\n</body></html>\n"


def _totals(evaluated: Evaluated) -> str:
    metrics, macro = evaluated.metrics, evaluated.metrics.macro
    language = evaluated.subject.language
    numbers = {"top-1": percent(metrics.top1)}
    if evaluated.top5 is not None:
        numbers["top-5"] = percent(evaluated.top5)
    numbers |= {
        say("pictures", language): str(metrics.n),
        say("classes", language): str(len(metrics.classes)),
        say("mean", language, "F1"): percent(macro["f1"]),
        say("mean", language, "AP"): percent(macro["ap"]),
        say("mean", language, "AUC"): percent(macro["auc"]),
        say("calibration error", language): percent(metrics.calibration.ece),
    }
    cells = (f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in numbers.items())
    return f"<dl>{''.join(cells)}</dl>"


def _unknown(said: Said | None, language: str) -> str:
    if said is None:
        return ""
    shares = percent(said.kept), percent(said.of_known)
    text = say("unknown kept", language, f"{said.temperature:.2f}", *shares)
    if said.strange:
        text += " " + say("unknown strange", language, said.strange, percent(said.of_strange))
    return f"<h2>{say('unknown', language)}</h2><p>{escape(text)}</p>"


def class_rows(metrics: Metrics) -> list[list[str]]:
    """The table of the classes: name, n, and the rest in percent; the least F1 first."""
    ranked = sorted(metrics.classes, key=lambda one: one.f1)
    return [
        [one.label, str(one.n), *(percent(value) for value in (
            one.precision, one.recall, one.f1, one.accuracy, one.ap, one.auc))]
        for one in ranked
    ]  # fmt: skip


CLASS_HEAD = ("class", "n", "precision", "recall", "F1", "accuracy", "AP", "AUC")


def _classes(metrics: Metrics, language: str) -> str:
    rows = class_rows(metrics)
    rest = say("and more", language, len(rows) - MOST_ROWS)
    more = f"<p>{rest}</p>" if len(rows) > MOST_ROWS else ""
    head = "".join(f"<th>{escape(say(name, language))}</th>" for name in CLASS_HEAD)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    return (
        f'<h2>{say("classes", language)}</h2><p class="note">{say("least first", language)}</p>'
        f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>{more}'
    )


def _map(evaluated: Evaluated) -> str:
    """The feature map as SVG; each point says its picture under the pointer."""
    layout, answers = evaluated.layout, evaluated.answers
    language = evaluated.subject.language
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
    note = say("features note", language, len(layout.rows), len(answers))
    return (
        f"<h2>{say('features', language)}</h2>"
        f'<p class="note">{note}<br>{say("map note", language)}</p>'
        f'<svg class="map" role="img" width="{MAP_PX}" height="{MAP_PX}" '
        f'viewBox="0 0 {MAP_PX} {MAP_PX}">{"".join(points)}</svg><p>{" &ensp; ".join(legend)}</p>'
    )


def _worst(evaluated: Evaluated) -> str:
    language = evaluated.subject.language
    heading = f"<h2>{say('worst', language)}</h2>"
    if not evaluated.wrong:
        return f"{heading}<p>{say('none wrong', language)}</p>"
    cards = "".join(_card(evaluated, one) for one in evaluated.wrong)
    note = f'<p class="note">{say("worst note", language)}</p>'
    return f'{heading}{note}<div class="cards">{cards}</div>'


def _pairs(evaluated: Evaluated) -> str:
    parts = []
    for pair in evaluated.pairs:
        true, answer = (escape(evaluated.names[place]) for place in (pair.true, pair.answer))
        cards = "".join(_card(evaluated, one) for one in pair.examples)
        parts.append(f"<h3>{true} → {answer}: {pair.count}</h3>")
        parts.append(f'<div class="cards">{cards}</div>')
    heading = say("most confused", evaluated.subject.language)
    return f"<h2>{heading}</h2>{''.join(parts)}" if parts else ""


def _card(evaluated: Evaluated, wrong: Wrong) -> str:
    looked, language = (evaluated.looked or {}).get(wrong.path), evaluated.subject.language
    if looked is None:
        return ""
    true, answer = evaluated.names[wrong.true], evaluated.names[wrong.answer]
    shown = (looked.picture, say("picture", language)), (looked.answer, answer), (looked.true, true)
    lacks = f"<small>{say('too little evidence', language)}</small>" * looked.is_explained
    cells = (
        f"<div>{lacks if rgb is None else _image('image/jpeg', jpeg(rgb), what)}</div>"
        for rgb, what in shown
    )
    scores = percent(wrong.true_score), percent(wrong.score)
    text = say("card", language, true, scores[0], answer, scores[1])
    file = escape(readable(wrong.path))
    return (
        f'<figure><div class="row">{"".join(cells)}</div>'
        f"<figcaption>{escape(text)}<br><small>{file}</small></figcaption></figure>"
    )


def _passed(evaluated: Evaluated) -> str:
    parts, language = [], evaluated.subject.language
    if evaluated.left_out:
        total = sum(evaluated.left_out.values())
        told = ", ".join(f"{name} ({count})" for name, count in evaluated.left_out.items())
        parts.append(f"<p>{escape(say('left out of', language, total, told))}</p>")
    if evaluated.unread:
        lines = "".join(f"<li>{escape(reason)}</li>" for reason in evaluated.unread[:MOST_ROWS])
        parts.append(f"<p>{say('unread', language, len(evaluated.unread))}</p><ul>{lines}</ul>")
    return f"<h2>{say('left out', language)}</h2>{''.join(parts)}" if parts else ""


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
