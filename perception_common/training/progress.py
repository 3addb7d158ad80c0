"""Progress of a training run: lines with rates and time left, a JSONL and a TensorBoard log, a plot.

Files in the run's folder: metrics.jsonl (one object per line: step, kind "training" or "evaluation", values),
events.out.tfevents.* and, if matplotlib is installed, curves.png. Once a run has begun, none of them can end it: lines
of the log that cannot be written are kept and written when there is space again.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from perception_common.atomic_file import output_file, write_error
from perception_common.errors import InputError
from perception_common.text.durations import duration_text
from perception_common.text.json_files import parse_json
from perception_common.text.text_files import decode_text
from perception_common.training.events import EventFile
from perception_common.training.outputs import OutputProblems

LOG = "metrics.jsonl"
EVENTS = "events.out.tfevents"
CURVES = "curves.png"


class Progress:
    """Reports a run that has done `step` of `steps` steps; later entries of an existing log are removed.

    every: steps between two reports. outputs: gets the files that cannot be written.
    """

    def __init__(
        self, folder: Path, step: int, steps: int, every: int = 20, outputs: OutputProblems | None = None
    ) -> None:
        """Raises InputError when the folder cannot be written to."""
        self._folder, self._steps, self._every = folder, steps, every
        self._outputs = outputs or OutputProblems()
        self._log = folder / LOG
        self._waiting = b""  # lines of the log that could not be written yet
        self._is_drawn = False  # whether curves.png shows the whole log
        kept = [record for record in read_metrics(self._log) if record["step"] <= step]
        with output_file(self._log) as unfinished:
            unfinished.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        try:
            self._events = EventFile(folder)
        except OSError as error:
            raise write_error(folder, error) from error
        self._sums: dict[str, float] = {}
        self._count = 0
        self._samples = 0
        self._seconds = 0.0

    def add_step(self, step: int, samples: int, seconds: float, values: Mapping[str, float]) -> None:
        """Add the values of step number `step` (from 1); every few steps their means are reported."""
        for key, value in values.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
        self._count += 1
        self._samples += samples
        self._seconds += seconds
        if step % self._every and step != self._steps:
            return
        means = {key: value / self._count for key, value in self._sums.items()}
        pace = self._seconds / self._count
        rate = self._samples / max(self._seconds, 1e-9)
        means |= {"step_seconds": pace, "samples_per_second": rate}
        shown = "  ".join(f"{key} {value:.4g}" for key, value in means.items())
        self._print(f"step {step}/{self._steps}  {shown}  left {duration_text(pace * (self._steps - step))}")
        self._write(step, "training", means)
        self._sums, self._count, self._samples, self._seconds = {}, 0, 0, 0.0

    def add_evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Report the metrics of the network after `step` steps and redraw the plot."""
        self._print(f"step {step}  " + "  ".join(f"{key} {value:.4g}" for key, value in values.items()))
        self._write(step, "evaluation", values)
        self.draw()

    def draw(self) -> None:
        """Plot all logged values over the steps in curves.png if that is not done yet and matplotlib is installed."""
        if not self._is_drawn and importlib.util.find_spec("matplotlib") is not None:
            with self._outputs.tolerated(CURVES, Exception):  # matplotlib raises anything, as without a font
                draw_curves(read_metrics(self._log), self._folder / CURVES)
                self._is_drawn = True

    def close(self) -> None:
        """Draw the last plot and close the files."""
        with self._outputs.tolerated(LOG):
            self._append(b"")
        self.draw()
        with self._outputs.tolerated(EVENTS):
            self._events.close()

    def _print(self, line: str) -> None:
        with self._outputs.tolerated("the progress on stdout"):  # which may be a file on a full disk, too
            print(line, flush=True)

    def _write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        finite = {key: value if math.isfinite(value) else None for key, value in values.items()}
        record = {"step": step, "kind": kind, "time": round(time.time(), 1), **finite}
        with self._outputs.tolerated(LOG):
            self._append(json.dumps(record).encode() + b"\n")
        with self._outputs.tolerated(EVENTS):
            self._events.add(step, {f"{kind}/{key}": value for key, value in values.items()})

    def _append(self, line: bytes) -> None:
        """Append the waiting lines and this one to the log, all or nothing."""
        self._waiting += line
        size = self._log.stat().st_size if self._log.exists() else 0
        try:
            with self._log.open("ab", buffering=0) as file:
                if file.write(self._waiting) != len(self._waiting):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with suppress(OSError):
                os.truncate(self._log, size)
            raise write_error(self._log, error) from error
        self._is_drawn = self._is_drawn and not self._waiting
        self._waiting = b""


def read_metrics(log: Path) -> list[dict[str, Any]]:
    """Read the records of a metrics.jsonl, up to a line that is truncated or damaged."""
    records = []
    for line in log.read_bytes().splitlines() if log.is_file() else []:
        try:
            record = parse_json(decode_text(line))
        except InputError:
            break
        if not isinstance(record, dict) or not isinstance(record.get("step"), int):
            break
        records.append(record)
    return records


def draw_curves(records: list[dict[str, Any]], path: Path) -> None:
    """Draw one small plot per logged value. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for key, value in record.items():
            if key not in ("step", "kind", "time") and value is not None:
                curves.setdefault(f"{record['kind']}/{key}", []).append((record["step"], value))
    if not curves:
        return
    columns = min(4, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, points) in enumerate(sorted(curves.items()), start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 50 else "", linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
    with output_file(path) as unfinished:
        figure.savefig(unfinished, dpi=90)
