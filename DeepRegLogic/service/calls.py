"""The calls that the worker serves: packed values in a folder in, packed values in its folder ``results`` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..progress import CancelToken, ProgressCallback, Reporter

Packed = dict[str, Any]
"""What JSON has of a call: values, and the names of the files that hold its arrays."""


def register_cine(folder: Path, arguments: Packed, progress: ProgressCallback, cancel: CancelToken) -> Packed:
    from ..registration.register import follow
    from ..report.bullseye import write_segments
    from ..report.page import write_page
    from .exchange import pack_motion, pack_results, unpack_cine, unpack_drawn

    cine = unpack_cine(folder, arguments.pop("cine"))
    heart = _heart(arguments.pop("heart", None))
    drawn = unpack_drawn(folder, {name: arguments.pop(name, None) for name in ("masks", "label_names", "points")})
    whole = Reporter(progress, cancel)
    results = follow(cine, **_options(arguments), progress=whole.part(0.0, 0.92), cancel=cancel).with_drawn(*drawn)
    results = results.with_heart(heart)
    compute(results, whole.part(0.92, 0.98))
    place = _results(folder)
    whole(0.98, "Drawing the report")
    pages = [path.name for path in (*write_page(results, place), *write_segments(results, place))]
    packed = {"motion": pack_motion(place, results.motion), "results": pack_results(place, results)}
    whole(1.0, "Done")
    return {**packed, "pages": pages}


def compute(results: Any, reporter: Reporter) -> None:
    """Compute every map and curve, and what is carried along."""
    names = list(results.maps)
    for number, name in enumerate(names):
        title = results.maps[name].title_of(results.motion.grid.ndim).lower()
        reporter(0.8 * number / len(names), f"Computing the {title}")
        results.map(name)
    reporter(0.8, "Carrying labels and points along")
    _ = results.carried, results.followed, results.point_covariances
    reporter(0.95, "Computing curves")
    _ = results.curves, results.statistics
    reporter(1.0, "Done")


def register_pair(folder: Path, arguments: Packed, progress: ProgressCallback, cancel: CancelToken) -> Packed:
    from ..registration.affine import Mask
    from ..registration.register import follow_pair
    from ..results.maps import overlays
    from .exchange import pack_array, pack_motion, unpack_array, unpack_cine

    fixed, moving = (unpack_cine(folder, arguments.pop(role)) for role in ("fixed", "moving"))
    for name, image in (("fixed_mask", fixed), ("moving_mask", moving)):
        if arguments.get(name):
            title = f"mask of '{image.name}'"
            arguments[name] = Mask(unpack_array(folder, arguments[name]), image.grid, title)
    results = follow_pair(fixed, moving, **_options(arguments), progress=progress, cancel=cancel)
    place = _results(folder)
    maps = {name: pack_array(place, f"map-{name}", results.map(name)[1]) for name in results.maps if name in overlays()}
    return {"motion": pack_motion(place, results.motion), "maps": maps}


def generate_cine(folder: Path, arguments: Packed, progress: ProgressCallback, cancel: CancelToken) -> Packed:
    import numpy as np

    from ..registration.generate import generate_cine
    from ..results.resample import propagate
    from .exchange import pack_array, pack_cine, pack_motion, unpack_array, unpack_cine

    frame, masks = unpack_cine(folder, arguments.pop("frame")), arguments.pop("masks", None)
    whole = Reporter(progress, cancel)
    samples = generate_cine(frame, **arguments, progress=whole.part(0.0, 0.9), cancel=cancel)
    packed = []
    for number, sample in enumerate(samples):
        whole(0.9 + 0.1 * number / len(samples), "Carrying the labels along")
        place = _results(folder) / str(number)
        place.mkdir()
        values: dict[str, Any] = {"folder": place.name, "masks": None}
        values |= {"cine": pack_cine(place, "frames", sample.cine), "motion": pack_motion(place, sample.motion)}
        if masks is not None:
            carried = [propagate(sample.motion, mask, nearest=True) for mask in unpack_array(folder, masks)]
            values["masks"] = pack_array(place, "masks", np.stack(carried))
        packed.append(values)
    return {"samples": packed}


def read_cine(folder: Path, arguments: Packed, progress: ProgressCallback, cancel: CancelToken) -> Packed:
    from ..io import list_series, read_cine
    from .exchange import pack_cine

    reporter = Reporter(progress, cancel)
    paths, series = [Path(path) for path in arguments["paths"]], arguments.get("series")
    if len(paths) == 1 and paths[0].is_dir() and series is None:
        reporter(0.0, "Looking for series")
        found = list_series(paths[0])
        if len(found) > 1:
            return {"series": [[info.uid, str(info).partition(" ")[2].strip("()")] for info in found]}
    reporter(0.1, "Reading")
    cine = read_cine(paths if len(paths) > 1 else paths[0], series=series)
    reporter(0.8, "Reading")
    return {"cine": pack_cine(_results(folder), "frames", cine), "notes": list(cine.notes)}


def find_contours(folder: Path, arguments: Packed, progress: ProgressCallback, cancel: CancelToken) -> Packed:
    import numpy as np

    from ..contours import NAMES, find_contours
    from ..registration.prepare import find_reference
    from .exchange import pack_array, unpack_cine

    cine, clicks = unpack_cine(folder, arguments.pop("cine")), np.array(arguments.pop("clicks"), float)
    frame = arguments.pop("frame", None)
    if frame is None:
        frame = find_reference(cine)
    contours = find_contours(cine, clicks, frame, progress, cancel)
    labels = pack_array(_results(folder), "labels", contours.labels)
    names = [[value, name] for value, name in NAMES.items() if (contours.labels == value).any()]
    return {"labels": labels, "names": names, "frame": frame, "notes": list(contours.notes)}


def measure_strain(folder: Path, arguments: Packed, progress: ProgressCallback, cancel: CancelToken) -> Packed:
    import numpy as np

    from ..cine import Cine
    from ..results.curves import CURVES
    from ..results.results import Results
    from .exchange import pack_array, unpack_drawn, unpack_motion

    reporter = Reporter(progress, cancel)
    reporter(0.0, "Measuring strain")
    motion = unpack_motion(folder, arguments["motion"])
    unseen = np.broadcast_to(np.uint8(0), (len(motion), *motion.grid.shape))
    cine = Cine(unseen, motion.grid, motion.times if motion.time_unit else None, name=motion.name)
    labels, _ = unpack_drawn(folder, arguments)
    results = Results(motion, cine, labels, heart=_heart(arguments.get("heart")))
    place = _results(folder)
    maps = {n: pack_array(place, f"map-{n}", results.map(n)) for n, entry in results.maps.items() if entry.direction}
    reporter(0.7, "Measuring strain")
    curves = {
        name: [[key, pack_array(place, f"curve-{name}-{number}", values)] for number, (key, values) in enumerate(items)]
        for name, items in ((name, results.curve(name).items()) for name in CURVES)
    }
    reporter(1.0, "Done")
    return {"maps": maps, "curves": curves, "strain": results.strain_content}


def _heart(values: Packed | None) -> Any:
    from ..results.strain_values import HeartSettings

    if values is None:
        return None
    point = values.get("insertion")
    return HeartSettings(**{**values, "insertion": None if point is None else tuple(point)})


CALLS: Mapping[str, Callable[..., Packed]] = {
    "register_cine": register_cine,
    "register_pair": register_pair,
    "generate_cine": generate_cine,
    "read_cine": read_cine,
    "find_contours": find_contours,
    "measure_strain": measure_strain,
}


def _options(arguments: Packed) -> Packed:
    """The arguments with a refinement given by its fields made one."""
    from ..registration.presets import Refinement

    refine = arguments.get("refine")
    if not isinstance(refine, dict):
        return arguments
    fields = {**refine}
    if fields.get("levels"):
        fields["levels"] = tuple(tuple(level) for level in fields["levels"])
    return {**arguments, "refine": Refinement(**fields)}


def _results(folder: Path) -> Path:
    """Results have a folder of their own: the arrays of the request are mapped, and must not be overwritten."""
    results = folder / "results"
    results.mkdir(exist_ok=True)
    return results
