"""The clocks of a DICOM image, and what a header says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .pixels import number

if TYPE_CHECKING:
    from pydicom import Dataset

DAY = 86400.0


@dataclass(frozen=True)
class Clock:
    """Something in a header that rises from frame to frame.

    Attributes
    ----------
    title : how a sentence calls it, in the plural.
    family : what it depends on; clocks of one family are not independent witnesses of an order.
    timed : whether it counts seconds.
    beats : whether it starts anew with every heart beat or breath.
    real : whether it is the time of day, or runs on as that does.
    """

    title: str
    family: str
    timed: bool = False
    beats: bool = False
    real: bool = False


CLOCKS: dict[str, Clock] = {
    "trigger": Clock("trigger times", "beat", timed=True, beats=True),
    "percent": Clock("percentages of the cycle", "beat", beats=True),
    "position": Clock("temporal positions", "position", beats=True),
    "offset": Clock("time offsets of the temporal positions", "position", timed=True),
    "reference": Clock("frame reference times", "real", timed=True, real=True),
    "acquired": Clock("acquisition times", "real", timed=True, real=True),
    "content": Clock("content times", "file", timed=True, real=True),
    "image": Clock("image indices", "file"),
    "number": Clock("instance numbers", "file"),
    "series": Clock("series numbers", "file"),
}
"""All clocks, the most trusted first. Content times tell when an image was made: as a rule in the order of numbers."""


def seconds(text: object) -> float | None:
    """A DICOM time (HHMMSS.F) or date-time (YYYYMMDDHHMMSS.F) in seconds, None where it is neither."""
    digits = re.fullmatch(
        r"(\d{8})?(\d\d):?(\d\d)(?::?(\d\d(?:\.\d*)?))?(?:([+-])(\d\d)(\d\d))?", str(text or "").strip()
    )
    if digits is None:
        return None
    date, hours, minutes, rest, sign, zone_hours, zone_minutes = digits.groups()
    value = _days(date) * DAY + int(hours) * 3600.0 + int(minutes) * 60.0 + float(rest or 0)
    if sign:
        value -= (1 if sign == "+" else -1) * (int(zone_hours) * 3600.0 + int(zone_minutes) * 60.0)
    return value


def _days(date: object) -> int:
    """Days of the calendar, 0 where it is no date."""
    try:
        return datetime.strptime(str(date or "").strip().replace(".", ""), "%Y%m%d").toordinal()
    except ValueError:
        return 0


def _moment(header: Dataset, joint: str, date: str, time: str) -> float | None:
    """Seconds by a date-time, or by a time and its date where that is known."""
    value = seconds(header.get(joint)) if joint else None
    if value is None:
        value = seconds(header.get(time))
        value = None if value is None else value + _days(header.get(date)) * DAY
    return value


def known(values: Mapping[str, float | None]) -> dict[str, float]:
    """Those of the values that are there."""
    return {name: value for name, value in values.items() if value is not None}


def scaled(value: float | None, factor: float) -> float | None:
    """``value * factor``, None for None."""
    return None if value is None else value * factor


def cycle(header: Dataset) -> float | None:
    """Length of a heart beat in seconds by the header of a classic image, None where it does not say."""
    length = scaled(number(header, "NominalInterval"), 1e-3)
    if not length:
        rate = number(header, "HeartRate")
        length = 60.0 / rate if rate else None
    return length if length and 0.1 <= length <= 10 else None


def clocks_of(header: Dataset) -> dict[str, float]:
    """The clocks of a classic image; those that count seconds in seconds."""
    percent = number(header, "NominalPercentageOfCardiacPhase")
    if percent is None:
        percent = _named_percent(header)
    position = number(header, "TemporalPositionIdentifier")
    return known(
        {
            "trigger": scaled(number(header, "TriggerTime"), 1e-3),
            "percent": percent,
            "position": number(header, "TemporalPositionIndex") if position is None else position,
            "offset": number(header, "TemporalPositionTimeOffset"),
            "reference": scaled(number(header, "FrameReferenceTime"), 1e-3),
            "acquired": _moment(header, "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime"),
            "content": _moment(header, "", "ContentDate", "ContentTime"),
            "image": number(header, "ImageIndex"),
            "number": number(header, "InstanceNumber"),
            "series": number(header, "SeriesNumber"),
        }
    )


def _named_percent(header: Dataset) -> float | None:
    """The percentage in the description of a series that is one phase ("Gated, 30.0%" of a 4D CT)."""
    found = re.findall(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s?%", str(header.get("SeriesDescription") or ""))
    return float(found[0]) if len(found) == 1 and float(found[0]) <= 100 else None


def frame_clocks(
    group: Callable[[str], Dataset], frame: int, file: Mapping[str, float]
) -> tuple[dict[str, float], float | None]:
    """The clocks of a frame of an enhanced file, and the length of its heart beat in seconds.

    Parameters
    ----------
    group : the functional group of the frame of that name, empty where there is none.
    frame : its number in the file.
    file : the clocks of the file, of which the frame's are a refinement.
    """
    content = group("FrameContentSequence")
    heart, breath = group("CardiacSynchronizationSequence"), group("RespiratorySynchronizationSequence")
    trigger, percent = number(heart, "NominalCardiacTriggerDelayTime"), number(heart, "NominalPercentageOfCardiacPhase")
    if trigger is None:
        trigger = number(heart, "ActualCardiacTriggerDelayTime")
    if trigger is None and percent is None:
        trigger = number(breath, "NominalRespiratoryTriggerDelayTime")
        percent = number(breath, "NominalPercentageOfRespiratoryPhase")
    interval = number(heart, "RRIntervalTimeNominal")
    offset = number(group("TemporalPositionSequence"), "TemporalPositionTimeOffset")
    clocks = known(
        {
            "trigger": scaled(trigger, 1e-3),
            "percent": percent,
            "position": number(content, "TemporalPositionIndex"),
            "offset": offset,
            "reference": seconds(content.get("FrameReferenceDateTime")),
            "acquired": seconds(content.get("FrameAcquisitionDateTime")),
            "number": file.get("number", 0.0) * 1e6 + frame,
        }
    )
    return {**{name: file[name] for name in ("content", "series") if name in file}, **clocks}, scaled(interval, 1e-3)
