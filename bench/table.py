"""The figures as tables for a page: `python bench/table.py RESULTS.jsonl... > tables.md`.

Each file holds JSON lines of the other programs; of each program and size the last line counts.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from report import LeftOut

Report = dict[str, Any]
Rows = list[Sequence[object]]


def compare(report: Report) -> Rows:
    """bench/compare.py."""
    engines = list(report["times_as_fast"])
    rows: Rows = [("video in, video out", "ms a frame", "frames a second", "CPU ms", "cores busy",
                   *(f"{engine} is faster" for engine in engines))]  # fmt: skip
    for name, one in report["peers"].items():
        times = [report["times_as_fast"][engine].get(name) for engine in engines]
        rows.append((name, one["ms"], one["fps"], one["cpu_ms"], _percent(one["busy"]),
                     *(f"{ratio}×" if ratio else "" for ratio in times)))  # fmt: skip
    return rows


def cam_alone(report: Report) -> Rows:
    """bench/cam_alone.py."""
    rows: Rows = [("forward and CAM alone", "ms a picture", "pictures a second", "CAM costs")]
    for name, ms in report["wall_ms"].items():
        cost = report["cost_of_cam"]["wall"].get(name)
        shown = "" if cost is None else _percent(cost)
        rows.append((name, ms, report["pictures_a_second"][name], shown))
    return rows


def cam_cost(report: Report) -> Rows:
    """bench/cam_cost.py."""
    engines = report["engines"]
    rows: Rows = [("CAM costs of the forward, wall / CPU", *engines)]
    methods = [name for name in next(iter(engines.values()), {}) if name not in ("runs", "lasting")]
    for method in methods:
        costs = [one[method]["cost"] for one in engines.values()]
        rows.append((method, *(f"{_percent(c['wall'])} / {_percent(c['cpu'])}" for c in costs)))
    grown = [one.get("lasting") for one in engines.values()]
    if all(grown):
        batches = grown[0]["batches"]
        rows.append((f"memory after {batches} batches, MiB more than after a tenth of them",
                     *(one["grown_mb"] for one in grown)))  # fmt: skip
    return rows


def startup(report: Report) -> Rows:
    """bench/startup.py."""
    rows: Rows = [("from the command", "seconds", "dearest imports, ms")]
    for name, one in report["engines"].items():
        shown = _dearest(one["imports"])
        rows.append((f"to the first frame written, {name}", one["first_frame_s"], shown))
    rows.append(("vidcam --help", report["help_s"], _dearest(report["help_imports"])))
    return rows


def growth(report: Report) -> Rows:
    """bench/growth.py."""
    head = f"{report['clip']}, size {report['size']}"
    rows: Rows = [(head, "frames a second", "model loaded, MiB", "at 10 / 50 / 100 % of the frames",
                   "peak above the loaded model")]  # fmt: skip
    for frames, one in report["lengths"].items():
        memory = one["memory_mb"]
        flat = " / ".join(str(memory[f"at_{share}"]) for share in (10, 50, 100))
        rows.append((f"{frames} frames", one["fps"], memory["loaded"], flat,
                     memory["peak_above_loaded"]))  # fmt: skip
    if len(report["lengths"]) > 1:
        rows.append(("spread", _percent(report["spread"]), "", "", ""))
    return rows


TABLES: dict[str, Callable[[Report], Rows]] = {
    function.__name__: function for function in (compare, cam_alone, cam_cost, startup, growth)
}


def tables(lines: Iterable[str]) -> str:
    """Markdown of the last report of each program and size. Raises LeftOut for other lines."""
    last: dict[tuple[str, str], Report] = {}
    for line in lines:
        report = json.loads(line)
        if not isinstance(report, dict) or report.get("program") not in TABLES:
            raise LeftOut(f"no table is made from {line[:60]}")
        for one in (report, report.pop("cam_alone", None)):
            if one:
                last[one["program"], one.get("size", "")] = one
    return "\n".join(_section(report) for report in last.values())


def _section(report: Report) -> str:
    head, *rows = TABLES[report["program"]](report)
    machine = report["machine"]
    where = ", ".join([f"{machine['cores']} cores of {machine['cpu']}", *machine["gpus"]])
    lines = [head, ["---"] * len(head), *rows]
    left_out = "".join(f"\nLeft out: {k} ({v}).\n" for k, v in report.get("left_out", {}).items())
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return f"`bench/{report['program']}.py`, {where}:\n\n{text}\n{left_out}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _dearest(imports: dict[str, Any]) -> str:
    shown = ", ".join(f"{name} {ms:.0f}" for name, ms in list(imports["dearest_ms"].items())[:5])
    return f"{shown}; all {imports['total_ms']:.0f}"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(files: tuple[Path, ...]) -> None:
    """Print the tables."""
    lines = [line for file in files for line in file.read_text("utf-8").splitlines() if line]
    try:
        click.echo(tables(lines), nl=False)
    except (LeftOut, json.JSONDecodeError) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
