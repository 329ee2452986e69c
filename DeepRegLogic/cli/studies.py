"""One study or many, from files to a folder of results: all of a study is written or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..cine import Cine
from ..errors import Cancelled, OutputError, RegistrationError
from ..files import own_folder, require_text, whole_file, writing
from ..progress import CancelToken, ProgressCallback, Reporter
from .console import unexpected

if TYPE_CHECKING:
    from ..io.read import Series
    from ..results.results import Results
    from ..results.strain_values import HeartSettings

REPORT = "report.json"
MASKS = ("fixed_mask", "moving_mask")
_FILES = ("labels", "moving_labels", *MASKS)

SaveScene: TypeAlias = "Callable[[Path, Results], None]"
"""Writes a Slicer scene of some results to the path of a ``.mrb``."""


@dataclass(frozen=True)
class Study:
    """What to register: the cine in ``source``, or the image ``moving`` to the image ``source``.

    Attributes
    ----------
    series : which DICOM series of a folder; several UIDs, or "all", to be read as one.
    labels : label map of the reference frame, to be carried to every frame.
    clicks : instead of labels, points in LPS mm from which the contours of the left ventricle are found.
    moving_labels : of a pair, label map of the moving image, to be brought onto the fixed one.
    fixed_mask, moving_mask : of a pair, where its images count.
    heart : what is known of the heart, for its strain.
    options : arguments of ``register_cine`` or ``register_pair``; what is left out is decided there.
    """

    source: Path
    moving: Path | None = None
    series: Series = None
    labels: Path | None = None
    clicks: tuple[tuple[float, float, float], ...] = ()
    moving_labels: Path | None = None
    fixed_mask: Path | None = None
    moving_mask: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    heart: HeartSettings | None = None


def register_study(
    study: Study,
    folder: str | Path,
    save_scene: SaveScene | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Read, register, measure and write one study.

    Parameters
    ----------
    folder : gets the fields and images of ``write_motion``, ``figures/``, ``frames.csv``, ``report.json`` and, with
        ``save_scene``, ``scene.mrb``. It must be new, empty, or hold the results of an earlier run, which are replaced.

    Returns
    -------
    What ``report.json`` says. The folder exists only when everything in it was written.

    Raises
    ------
    InputError, ModelError, MemoryBudgetError : the study cannot be registered.
    OutputError : the folder cannot be written.
    Cancelled : nothing was written.
    """
    from .. import io
    from ..report import tables, write_figures
    from ..report.page import write_page
    from ..results.labels import Labels
    from ..results.write import write_results, write_warped_labels

    require_text(folder)
    reporter, clock = Reporter(progress, cancel), _Clock()
    inputs = [path for path in vars(study).values() if isinstance(path, Path)]
    with own_folder(folder, inputs) as work:
        reporter(0.0, f"Reading {study.source.name}")
        images = _read(study)
        labels = Labels(*io.read_masks(study.labels, images[0].grid)) if study.labels else None
        clock.lap("read")
        moving_labels = io.read_labels(study.moving_labels, images[-1].grid) if study.moving_labels else None
        masks = {role: path for role in MASKS if (path := getattr(study, role)) is not None}
        options = {**study.options, **masks_of(masks, images)}
        results = _register(images, {**options, "progress": reporter.part(0.05, 0.6), "cancel": cancel})
        if study.clicks:
            results = _with_contours(results, study.clicks).with_heart(study.heart)
        elif labels is not None:
            results = results.with_drawn(labels).with_heart(study.heart)
        clock.lap("register")
        reporter(0.6, "Measuring")
        with writing(folder):
            write_results(results, work, progress=reporter.part(0.65, 0.75), cancel=cancel)
            if moving_labels is not None:
                write_warped_labels(results, moving_labels, images[-1].grid, work)
            (work / "figures").mkdir()
            write_figures(work / "figures", results, reporter.part(0.75, 0.9))
            write_page(results, work)
            tables.write_csv(work / "frames.csv", tables.frame_rows(results))
            tables.write_strain(work, results)
            if save_scene is not None:
                reporter(0.9, "Writing the scene")
                save_scene(work / "scene.mrb", results)
            clock.lap("write")
            content = tables.report_content(results, _source(study), _settings(study), clock.seconds)
            content["files"] = _written(work)
            tables.write_json(work / REPORT, content)
            reporter(0.99, "Moving the results into place")
    return content


class _Clock:
    """Seconds that each part of the work took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def _read(study: Study) -> tuple[Cine, ...]:
    """The cine of a study, or its fixed and its moving image."""
    from .. import io

    if study.moving is None:
        return (io.read_cine(study.source, series=study.series, memory_gb=study.options.get("memory_gb")),)
    return io.read_image(study.source), io.read_image(study.moving)


def masks_of(paths: Mapping[str, Path], pair: tuple[Cine, ...]) -> dict[str, Any]:
    """The masks of a pair, each on the grid of its image, by the names of the options (``MASKS``)."""
    from .. import io
    from ..registration.affine import Mask

    grids = {role: image.grid for role, image in zip(MASKS, pair, strict=False)}
    return {role: Mask(io.read_labels(path, grids[role]), grids[role], path.name) for role, path in paths.items()}


def _register(images: tuple[Cine, ...], options: Mapping[str, Any]) -> Results:
    """The results of a cine, or of a pair, which is a cine of two frames, the fixed image first."""
    from ..registration.register import follow, follow_pair

    cine, *moving = images
    return follow_pair(cine, moving[0], **options) if moving else follow(cine, **options)


def _with_contours(results: Results, clicks: tuple[tuple[float, float, float], ...]) -> Results:
    """The results with the contours of the left ventricle at the reference, and what is doubtful about them noted."""
    from ..contours import NAMES, find_contours
    from ..results.labels import Labels

    contours = find_contours(results.cine, np.array(clicks), results.motion.reference)
    return results.with_drawn(Labels.of_map(contours.labels, NAMES)).noting(contours=list(contours.notes))


def _source(study: Study) -> object:
    source = str(study.source.absolute())
    return source if study.moving is None else {"fixed": source, "moving": str(study.moving.absolute())}


def _settings(study: Study) -> dict[str, object]:
    files = {name: str(path.absolute()) for name in _FILES if (path := getattr(study, name)) is not None}
    clicks = {"clicks": study.clicks} if study.clicks else {}
    return {"series": study.series, "labels": None, **files, **clicks, **study.options}


def _written(work: Path) -> list[str]:
    """Every file below ``work``, checked not to be empty."""
    files = sorted(path for path in work.rglob("*") if path.is_file())
    for path in files:
        if path.stat().st_size == 0:
            raise OutputError(f"'{path.relative_to(work)}' could not be written; free some space and try again.")
    return [path.relative_to(work).as_posix() for path in files]


def register_studies(
    studies: Mapping[str, Study],
    folder: str | Path,
    save_scene: SaveScene | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> list[dict[str, object]]:
    """Register every study into ``folder/<name>``, going on past those that fail, and write ``folder/studies.csv``.

    Returns
    -------
    The rows of that table: study, status ("ok", "failed" or "cancelled"), the summary or what was wrong, and the
    main numbers. A cancelled study is the last row; the studies before it are complete.

    Raises
    ------
    OutputError : the table cannot be written.
    """
    from ..report import tables

    rows, reporter = [], Reporter(progress)
    for number, (name, study) in enumerate(studies.items()):
        part = reporter.part(number / len(studies), (number + 1) / len(studies))
        row = _register_one(name, study, Path(folder) / name, save_scene, part, cancel)
        rows.append(row)
        if row["status"] == "cancelled":
            break
    with whole_file(Path(folder) / "studies.csv") as file:
        tables.write_csv(file, rows)
    return rows


def _register_one(
    name: str, study: Study, folder: Path, save_scene: SaveScene | None, reporter: Reporter, cancel: CancelToken | None
) -> dict[str, object]:
    numbers: dict[str, object] = dict.fromkeys(("frames", "error_before", "error_after", "folded", "motion_max_mm"), "")
    start = time.perf_counter()
    try:
        content = register_study(study, folder, save_scene, lambda f, text: reporter(f, f"{name}: {text}"), cancel)
        status, message = "ok", content["summary"]
        moving = [row for row in content["frames"] if not row["reference"]]
        numbers["frames"] = len(content["frames"])
        for key, combine in (
            ("error_before", np.mean),
            ("error_after", np.mean),
            ("folded", max),
            ("motion_max_mm", max),
        ):
            numbers[key] = float(combine([row[key] for row in moving]))
    except Cancelled as error:
        status, message = "cancelled", str(error)
    except RegistrationError as error:
        status, message = "failed", str(error)
    except Exception as error:  # a fault of the program in one study must not end a night's work on the others
        status, message = "failed", unexpected(error)
    return {
        "study": name, "status": status, **numbers, "seconds": time.perf_counter() - start, "message": message,
    }  # fmt: skip
