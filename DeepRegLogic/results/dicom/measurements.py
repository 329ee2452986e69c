"""The curves as a structured report: TID 1500, one group of measurements a label and frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import __version__
from ..curves import CURVES
from ..results import Results
from .identity import MAKER, MODEL, SERIAL, Identity

if TYPE_CHECKING:
    from pydicom import Dataset

_UNITS = {"mm2": ("mm2", "square millimeter"), "ml": ("ml", "milliliter"), "mm": ("mm", "millimeter"),
          "%": ("%", "percent"), "mm/s": ("mm/s", "millimeter per second"), "1/s": ("/s", "per second"),
          "": ("1", "no units")}  # fmt: skip
_SCHEME = "99TEMPREG"


def report(results: Results, identity: Identity) -> Dataset:
    """A report of every curve of ``curves.CURVES``."""
    from highdicom.sr import (
        CodedConcept,
        Comprehensive3DSR,
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=identity.uid("device"), name=MODEL, manufacturer_name=MAKER, model_name=MODEL, serial_number=SERIAL
    )
    evidence = list(identity.headers.values())
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept("363679005", "SCT", "Imaging procedure"),
        imaging_measurements=list(_groups(results, identity)),
        title=codes.DCM.ImagingMeasurementReport,
    )
    return Comprehensive3DSR(
        evidence=evidence,
        content=content[0],
        sop_instance_uid=identity.uid("measurements", 0),
        instance_number=1,
        manufacturer=MAKER,
        is_complete=True,
        series_description="Curves",
        **identity.series("measurements"),
    )


def _groups(results: Results, identity: Identity) -> Iterator[Any]:
    """A group for every series of every curve and every frame."""
    from highdicom import UID
    from highdicom.sr import (
        AlgorithmIdentification,
        CodedConcept,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        SourceImageForMeasurementGroup,
        TimePointContext,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes

    grid = results.motion.grid
    algorithm = AlgorithmIdentification(name=MODEL, version=__version__)
    for name, series in results.curves.items():
        entry = CURVES[name]
        spelled = entry.unit_of(grid)
        value, meaning = _UNITS.get(spelled, ("1", spelled))
        unit = CodedConcept(value, "UCUM", meaning)
        concept = CodedConcept(name.upper()[:16], _SCHEME, entry.title_of(grid)[:64])
        if name == "sizes":
            concept = CodedConcept("42798000", "SCT", "Area") if grid.ndim == 2 else codes.SCT.Volume
        for key, values in series.items():
            title = results.curve_title(entry, key)
            tracking = TrackingIdentifier(UID(identity.uid("tracked", name, key)), f"{title}, {entry.title_of(grid)}")
            for t, number in enumerate(np.reshape(values, (len(results.motion), -1))[:, 0]):
                sources = [SourceImageForMeasurementGroup.from_source_image(*image) for image in _images(identity, t)]
                yield MeasurementsAndQualitativeEvaluations(
                    tracking_identifier=tracking,
                    time_point_context=TimePointContext(time_point=_when(results, t), time_point_order=t + 1),
                    finding_type=codes.SCT.Tissue,
                    algorithm_id=algorithm,
                    measurements=[Measurement(name=concept, value=float(number), unit=unit)],
                    source_images=sources,
                )


def _images(identity: Identity, frame: int) -> Iterator[tuple[Dataset, list[int] | None]]:
    """The images of a frame, and which frames of a file of several."""
    found: dict[Any, list[int]] = {}
    for path, n in identity.source.images[frame]:
        found.setdefault(path, []).append(n + 1)
    for path, numbers in found.items():
        yield identity.headers[path], numbers if identity.several else None


def _when(results: Results, frame: int) -> str:
    motion = results.motion
    return f"frame {frame}, {motion.times[frame]:.3f} s" if motion.time_unit else f"frame {frame}"
