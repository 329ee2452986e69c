"""The report of a study as one HTML file that needs nothing else: it plays, can be printed, and asks no network.

And the index of many studies: a table that can be sorted, with a link to the report of each.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from contourpy import contour_generator
from matplotlib.figure import Figure
from PIL import Image

from ..progress import Reporter
from ..results.doubts import REASONS
from ..results.maps import PALETTES, Map, overlays
from ..results.quality import FrameQuality
from ..results.results import Results
from .animation import durations, moved_lines
from .figures import curves, frame_title, outlines_of
from .style import grey_window, label_colour, palette
from .view import SliceView, scale_bar

_PIXELS = 12_000_000  # of one layer, all frames together
_SIDE = 640  # of the canvas on which a frame is shown
_UNIT = 10_000  # lines are whole numbers, of which a picture has so many along each side
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class _Layer:
    """Frames side by side in one picture, row by row."""

    data: str
    columns: int
    width: int
    height: int


def write_report(
    path: Path,
    results: Results,
    content: Mapping[str, Any],
    figures: Sequence[Path] = (),
    report: Reporter | None = None,
) -> None:
    """Write the report of a study to ``path``.

    Parameters
    ----------
    content : what ``tables.report_content`` gives.
    figures : pictures to be shown in it.

    Raises
    ------
    Cancelled : between two layers.
    OSError : the file could not be written.
    """
    report = report or Reporter()
    view = SliceView.of(results.motion.grid)
    layers, scale = _layers(results, view, report.part(0.0, 0.7))
    report(0.7, "Drawing curves")
    graph, axes = _curves(results)
    marks = _outlines(results, view)
    data = {
        "layers": {name: vars(layer) for name, layer in layers.items()},
        "overlays": {name: _legend(entry, results) for name, entry in _shown_maps(results).items()},
        "outlines": marks,
        "grid": [_whole(moved_lines(view, field, 18), view, 40) for field in results.motion.displacement],
        "reference": results.motion.reference,
        "titles": [_title_of(results, t) for t in range(len(results.motion))],
        "durations": durations(results),
        "axes": axes,
        "letters": view.letters,
        "bar": _bar(view),
        "unit": _UNIT,
    }
    notes = [f"Pictures are shown at {scale:.0%} of their size."] if scale < 1 else []
    if view.index is not None:
        notes.append(f"Slice {view.index + 1} of {results.motion.grid.shape[0]} is shown.")
    report(0.9, "Writing the report")
    text = _render(
        "study.html.j2",
        title=content["input"]["name"],
        facts=_facts(results, content),
        summary=content["summary"],
        frames=len(results.motion),
        key_frame=results.motion.reference,
        canvas=_canvas(view),
        outlines=marks,
        legend=[(results.label_names[mark["label"]], mark["color"]) for mark in marks],
        overlays=data["overlays"],
        viewer_notes=notes,
        curves=graph,
        doubts={t: ", ".join(REASONS[name] for name in names) for t, names in results.doubts().items()},
        **_quality(results),
        figures=[{"title": path.stem.replace("_", " ").capitalize(), "data": _embedded(path)} for path in figures],
        made=_made(content),
        notes=content["input"]["notes"],
        data=data,
        script=_text("study.js"),
    )
    path.write_text(text, encoding="utf-8")


def write_index(path: Path, rows: Sequence[Mapping[str, object]], folder: Path, title: str = "Studies") -> None:
    """Write the index of many studies to ``path``.

    Parameters
    ----------
    rows : those of ``studies.csv``: mappings of the same keys, of which "study" names the folder of a study in
        ``folder`` and "status" is "ok" where it is whole.
    folder : where the index will be.
    """
    columns = list(rows[0]) if rows else []
    done = sum(row.get("status") == "ok" for row in rows)
    cells = [{"status": row.get("status", ""), "cells": [_cell(folder, name, row) for name in columns]} for row in rows]
    facts = f"{len(rows)} studies, {done} of them registered"
    names = [name.replace("_", " ") for name in columns]
    text = _render("index.html.j2", title=title, facts=facts, columns=names, rows=cells, script=_text("index.js"))
    path.write_text(text, encoding="utf-8")


def _cell(folder: Path, name: str, row: Mapping[str, object]) -> dict[str, object]:
    value = row[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    link = f"{value}/report.html" if name == "study" and (folder / str(value) / "report.html").is_file() else ""
    return {
        "text": f"{value:.4g}" if isinstance(value, float) else value,
        "number": value if number else None,
        "link": link,
    }


def _render(template: str, **values: object) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    values["css"] = Markup(_text("report.css"))
    for name in ("script", "curves"):
        if name in values:
            values[name] = Markup(str(values[name]))  # our own text, and a picture that matplotlib drew
    return environment.get_template(template).render(**values)


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


# pictures


def _layers(results: Results, view: SliceView, report: Reporter) -> tuple[dict[str, _Layer], float]:
    """The frames, the compensated frames and every map, and by how much they were made smaller."""
    count = len(results.motion)
    scale = min(1.0, math.sqrt(_PIXELS / (count * math.prod(view.shape))))
    low, high = grey_window(results.cine.frames)
    found = {}
    for name, images in (("frames", results.cine.frames), ("compensated", results.compensated)):
        report(0.2, "Embedding the frames")
        grey = (np.clip((view.image(images).astype(np.float32) - low) / (high - low), 0, 1) * 255).round()
        found[name] = _layer([Image.fromarray(frame) for frame in grey.astype(np.uint8)], scale)
    for name, entry in _shown_maps(results).items():
        report(0.6, f"Embedding {entry.title_of(results.motion.grid.ndim)}")
        values = view.image(_values(results, name))
        lowest, highest = entry.limits_of(results.motion.grid.ndim)
        part = np.clip((values - lowest) / (highest - lowest), 0, 1)
        colours = (palette(entry.palette)(part) * 255).astype(np.uint8)
        strength = np.abs(2 * part - 1) if entry.ratio else np.minimum(1.0, 0.35 + part)
        colours[..., 3] = (strength * 200).astype(np.uint8)
        found[name] = _layer([Image.fromarray(frame) for frame in colours], scale)
    return found, scale


_LENGTH = "displacement"


def _shown_maps(results: Results) -> dict[str, Map]:
    """The maps that colour the compensated frames: how far tissue has moved, and those of ``maps.MAPS``."""
    longest = max(1.0, math.ceil(max(quality.motion_max for quality in results.motion.quality)))
    title = f"Displacement from frame {results.motion.reference}"
    own = {_LENGTH: Map(title, "mm", _lengths, limits=(0.0, longest))}
    return own | {name: entry for name, entry in overlays().items() if name in results.maps and entry.on == "reference"}


def _lengths(results: Results) -> np.ndarray:
    grid = results.motion.grid
    spacing = np.reshape(grid.array_spacing, (-1, *[1] * grid.ndim))
    return np.stack([np.linalg.norm(field * spacing, axis=0) for field in results.motion.displacement])


def _values(results: Results, name: str) -> np.ndarray:
    return _lengths(results) if name == _LENGTH and name not in results.maps else results.map(name)


def _layer(frames: Sequence[Image.Image], scale: float) -> _Layer:
    if scale < 1:
        width, height = (max(1, round(n * scale)) for n in frames[0].size)
        frames = [frame.resize((width, height), Image.Resampling.BILINEAR) for frame in frames]
    width, height = frames[0].size
    columns = max(1, min(len(frames), round(math.sqrt(len(frames) * height / width))))
    sheet = Image.new(frames[0].mode, (columns * width, math.ceil(len(frames) / columns) * height))
    for number, frame in enumerate(frames):
        sheet.paste(frame, (number % columns * width, number // columns * height))
    return _Layer(_as_data(sheet), columns, width, height)


def _as_data(picture: Image.Image) -> str:
    with io.BytesIO() as out:
        picture.convert("RGBA" if picture.mode == "RGBA" else "RGB").save(out, "WEBP", quality=88, method=4)
        return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _embedded(path: Path) -> str:
    with Image.open(path) as picture:
        return _as_data(picture.convert("RGB"))


def _canvas(view: SliceView) -> dict[str, int]:
    """Its size in pixels, in the shape that the picture has in mm."""
    longer = max(view.aspect, 1.0)
    return {"width": round(_SIDE * view.aspect / longer), "height": round(_SIDE / longer)}


def _bar(view: SliceView) -> dict[str, object]:
    width = view.extent[1]
    length, text = scale_bar(width)
    return {"fraction": length / width, "text": text}


def _legend(entry: Map, results: Results) -> dict[str, object]:
    ndim = results.motion.grid.ndim
    low, high = (f"{value:.3g} {entry.unit}".strip() for value in entry.limits_of(ndim))
    colours = [f"rgb({','.join(str(round(255 * part)) for part in colour)})" for colour in PALETTES[entry.palette]]
    unit = f" ({entry.unit})" if entry.unit else ""
    return {"title": entry.title_of(ndim) + unit, "low": low, "high": high, "colors": colours}


# lines


def _outlines(results: Results, view: SliceView) -> list[dict[str, Any]]:
    """Of every label its color, and its outline in every frame."""
    if results.labels is None:
        return []
    rows, columns = view.positions()
    soft = outlines_of(results, view, range(len(results.motion)))
    found = []
    for number, label in enumerate(results.labels.values):
        lines = [contour_generator(columns, rows, soft[t][label]).lines(0.5) for t in range(len(results.motion))]
        found.append(
            {"label": label, "color": label_colour(number), "lines": [_whole(each, view, 200) for each in lines]}
        )
    return found


def _whole(lines: Sequence[Any], view: SliceView, most: int) -> list[list[int]]:
    """Lines ``[points, 2]`` in mm of the picture as whole numbers x, y, x, y, ..., with at most so many points each."""
    size = np.array(view.extent[1:3])
    thin = [
        np.asarray(line)[np.unique(np.linspace(0, len(line) - 1, min(len(line), most)).round().astype(int))]
        for line in lines
    ]
    return [np.rint(line / size * _UNIT).astype(int).ravel().tolist() for line in thin]


def _curves(results: Results) -> tuple[str, list[dict[str, Any]]]:
    """The curves as SVG, and where the frames lie in it: of every plot x of each frame, top and bottom."""
    figure = curves(results)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "temporal-registration"}), io.StringIO() as out:
        figure.savefig(out, format="svg", metadata={"Date": None})
        text = out.getvalue()
    return text[text.index("<svg") :], _places(figure, results.motion.times)


def _places(figure: Figure, times: np.ndarray) -> list[dict[str, Any]]:
    points = 72 / figure.dpi
    height = figure.bbox.height * points
    found = []
    for ax in figure.axes:
        x = ax.transData.transform(np.column_stack([times, np.zeros(len(times))]))[:, 0] * points
        box = ax.bbox
        found.append(
            {
                "x": [round(float(value), 2) for value in x],
                "top": round(height - box.y1 * points, 2),
                "bottom": round(height - box.y0 * points, 2),
            }
        )
    return found


# words


def _title_of(results: Results, frame: int) -> str:
    text = frame_title(results, frame)
    return text[:1].upper() + text[1:] + (" (reference)" if frame == results.motion.reference else "")


def _quality(results: Results) -> dict[str, object]:
    """Columns and rows of the table of all frames."""
    shown = [figure for figure in fields(FrameQuality) if figure.name != "inconsistent_at"]
    columns = [{"name": "frame", "title": "number of the frame"}]
    if results.motion.time_unit:
        columns.append({"name": "time, s", "title": "time of the frame"})
    for figure in shown:
        of = figure.metadata["fraction_of"]
        unit = f"% of {of}" if of else figure.metadata["unit"]
        name = figure.name.replace("_", " ") + (f", {unit}" if unit else "")
        columns.append({"name": name, "title": figure.metadata["title"]})
    doubts, rows = results.doubts(), []
    for t, quality in enumerate(results.motion.quality):
        cells = [str(t)] + ([f"{results.motion.times[t]:.3f}"] if results.motion.time_unit else [])
        for figure in shown:
            value = getattr(quality, figure.name)
            cells.append(f"{100 * value:.2f}" if figure.metadata["fraction_of"] else f"{value:.2f}")
        rows.append({"cells": cells, "doubtful": t in doubts})
    return {"columns": columns, "rows": rows}


def _facts(results: Results, content: Mapping[str, Any]) -> list[tuple[str, str]]:
    grid = results.motion.grid
    size = " × ".join(str(n) for n in grid.size[: grid.ndim])
    spacing = " × ".join(f"{n:.3g}" for n in grid.spacing[: grid.ndim])
    words = [("Image", f"{size} voxels of {spacing} mm"), ("Frames", str(len(results.motion)))]
    found = content["input"]
    words += [("Modality", found["modality"])] if "modality" in found else []
    words += [("Heart rate", f"{found['heart_rate_bpm']:.0f} /min")] if "heart_rate_bpm" in found else []
    return [*words, ("Reference", f"frame {results.motion.reference}"), ("Made", content["created"])]


def _made(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Source, settings, model and versions, flat."""
    found = [("source", str(content["input"]["source"]))]
    for part in ("settings", "provenance", "versions"):
        found += [(f"{part}: {name}", str(value)) for name, value in content[part].items() if value not in (None, "")]
    return found
