"""One study, from files to a folder of results: all of it is written or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..cine import Cine
from ..errors import InputError, OutputError
from ..files import own_folder, require_text, writing
from ..progress import CancelToken, ProgressCallback, Reporter

if TYPE_CHECKING:
    from ..io.read import Series
    from ..results.results import Results
    from ..results.strain_values import HeartSettings

REPORT, PAGE = "report.json", "report.html"
MASKS = ("fixed_mask", "moving_mask")
PARTS = ("fields", "images", "figures", "scene", "report")
"""What of a study is written: fields both ways, images and maps, pictures, a Slicer scene, numbers (``frames.csv``)."""

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

    @property
    def inputs(self) -> dict[str, Path]:
        """The files and folders that are read, by what they are."""
        return {name: path for name, path in vars(self).items() if isinstance(path, Path)}


@dataclass(frozen=True)
class Output:
    """What is written of a study.

    Attributes
    ----------
    parts : names of ``PARTS``; a scene only where something can write it. ``study.json``, by which a finished study is
        known again, is always there.
    half : fields in the precision of 16 bits (a relative error of at most 2^-11), which takes about half the room; the
        report says by how much they differ.
    save_scene : writes the scene.
    formats : of other programs that the fields are written in, too, out of ``io.field_formats.FIELD_FORMATS``.
    html : whether ``report.html`` is written, too: everything in one file that plays.
    dicom : whether results are written as DICOM, too, in the study of the input (``results.dicom``).

    Raises
    ------
    InputError : a part that there is not.
    """

    parts: tuple[str, ...] = PARTS
    half: bool = False
    save_scene: SaveScene | None = None
    formats: tuple[str, ...] = ()
    html: bool = False
    dicom: bool = False

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise InputError(f"There is no part '{part}' of results; there are {', '.join(PARTS)}.")


ALL = Output()


def register_study(
    study: Study,
    folder: str | Path,
    output: Output = ALL,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    memory_gb: float | None = None,
) -> dict[str, Any]:
    """Read, register, measure and write one study.

    Parameters
    ----------
    folder : gets the fields and images of ``write_motion``, ``figures/``, ``frames.csv``, ``report.json`` and, where
        ``output`` can write one, ``scene.mrb``, or those of them that ``output`` names; and ``study.json``. It must be
        new, empty, or hold the results of an earlier run, which are replaced.
    memory_gb : the most memory that may be used, where the study's options do not say.

    Returns
    -------
    What ``report.json`` says. The folder exists only when everything in it was written.

    Raises
    ------
    InputError, ModelError, MemoryBudgetError : the study cannot be registered.
    OutputError : the folder cannot be written.
    Cancelled : nothing was written.
    """
    from .finished import RECORD, record

    require_text(folder)
    reporter, clock = Reporter(progress, cancel), _Clock()
    with own_folder(folder, study.inputs.values()) as work:
        known = record(study, output)
        reporter(0.0, f"Reading {study.source.name}")
        from .. import io
        from ..report import tables
        from ..results.labels import Labels
        from ..results.write import half_error, write_results, write_warped_labels
        from .figures import study_figures

        limit = study.options.get("memory_gb", memory_gb)
        images = _read(study, limit)
        if output.dicom:
            _check_dicom(images)
        labels = Labels(*io.read_masks(study.labels, images[0].grid)) if study.labels else None
        clock.lap("read")
        moving_labels = io.read_labels(study.moving_labels, images[-1].grid) if study.moving_labels else None
        masks = {role: path for role in MASKS if (path := getattr(study, role)) is not None}
        options = {**study.options, "memory_gb": limit, **masks_of(masks, images)}
        results = _register(images, {**options, "progress": reporter.part(0.05, 0.6), "cancel": cancel})
        if study.clicks:
            results = _with_contours(results, study.clicks).with_heart(study.heart)
        elif labels is not None:
            results = results.with_drawn(labels).with_heart(study.heart)
        clock.lap("register")
        reporter(0.6, "Measuring")
        with writing(folder):
            part = reporter.part(0.65, 0.75)
            write_results(
                results,
                work,
                parts=output.parts,
                half=output.half,
                field_formats=output.formats,
                moving=images[-1].grid,
                progress=part,
                cancel=cancel,
            )
            if moving_labels is not None and "images" in output.parts:
                write_warped_labels(results, moving_labels, images[-1].grid, work)
            if "figures" in output.parts:
                from ..report import write_figures
                from ..report.page import write_page

                (work / "figures").mkdir()
                write_figures(work / "figures", results, reporter.part(0.75, 0.9))
                write_page(results, work)
            if "report" in output.parts:
                tables.write_csv(work / "frames.csv", tables.frame_rows(results))
                tables.write_strain(work, results)
            if output.dicom:
                from ..results.dicom import write_dicom

                write_dicom(results, work / "dicom", reporter.part(0.86, 0.9), cancel)
            if output.save_scene is not None and "scene" in output.parts:
                reporter(0.9, "Writing the scene")
                output.save_scene(work / "scene.mrb", results)
            clock.lap("write")
            content = tables.report_content(results, _source(study), _settings(study), clock.seconds)
            if output.half:
                content["fields"] = {"precision": "float16", "largest_error_mm": half_error(results)}
            seconds = round(sum(clock.seconds.values()), 3)
            known |= {"figures": study_figures(results), "seconds": seconds, "summary": content["summary"]}
            tables.write_json(work / RECORD, known)
            if output.html:
                _write_page(results, content, work, reporter.part(0.9, 0.98))
            content["files"] = _written(work)
            if "report" in output.parts:
                tables.write_json(work / REPORT, content)
            reporter(0.99, "Moving the results into place")
    return {**content, "record": known}


def _write_page(results: Results, content: Mapping[str, Any], work: Path, reporter: Reporter) -> None:
    """The page of a study, with the pictures that there are; the curves it draws itself."""
    from ..report.html import write_report

    pictures = [path for path in sorted((work / "figures").glob("*.png")) if path.name != "curves.png"]
    pictures.sort(key=lambda path: path.name != "montage.png")
    write_report(work / PAGE, results, content, pictures, reporter)


class _Clock:
    """Seconds that each part of the work took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def _read(study: Study, memory_gb: float | None = None) -> tuple[Cine, ...]:
    """The cine of a study, or its fixed and its moving image."""
    from .. import io

    if study.moving is None:
        return (io.read_cine(study.source, series=study.series, memory_gb=memory_gb),)
    return io.read_image(study.source), io.read_image(study.moving)


def _check_dicom(images: tuple[Cine, ...]) -> None:
    """Raise InputError, before anything is computed, where results cannot be written as DICOM."""
    from ..results.dicom import require_packages
    from ..results.dicom.identity import require_source

    require_packages()
    for image in images:
        require_source(image)


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
    files = {name: str(path.absolute()) for name, path in study.inputs.items() if name not in ("source", "moving")}
    clicks = {"clicks": study.clicks} if study.clicks else {}
    return {"series": study.series, "labels": None, **files, **clicks, **study.options}


def _written(work: Path) -> list[str]:
    """Every file below ``work``, checked not to be empty."""
    files = sorted(path for path in work.rglob("*") if path.is_file())
    for path in files:
        if path.stat().st_size == 0:
            raise OutputError(f"'{path.relative_to(work)}' could not be written; free some space and try again.")
    return [path.relative_to(work).as_posix() for path in files]
