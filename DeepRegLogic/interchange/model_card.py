"""A model's card as a page with a header that Hugging Face reads: what it is for, its limits, what was measured of it.

M. Mitchell et al. Model Cards for Model Reporting. FAT* 2019. doi:10.1145/3287560.3287596
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..zoo import Card

_USES = {
    "register": "following tissue through a cine, from one frame to all others",
    "pair": "registering two images, which need not be neighbours in time or of one contrast",
    "generate": "making new cines from one frame",
    "uncertainty": "telling how sure the displacements are, as a covariance in mm²",
    "regularity": "choosing how stiff the motion is",
}
_SYNTHETIC = ("phantoms", "shapes", "moving shapes", "lemniscates")


def model_card(card: Card) -> str:
    """The page, Markdown after a YAML header."""
    uses = [_USES.get(name, name) for name in card.capabilities]
    header = {
        "license": card.licence.lower(),
        "library_name": "temporal-registration",
        "tags": ["medical", "image-registration", "motion", f"{card.ndim}d", card.network],
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in header.items()), "---", "", f"# {card.title}", ""]
    lines += [card.summary, "", "## Intended use", "", *(f"- {use}" for use in uses), ""]
    lines += [f"It sees {_images(card)}. In Python:", "", "```python", *_example(card), "```", ""]
    lines += ["## Limits", "", *(f"- {limit}" for limit in _limits(card)), ""]
    lines += ["## Training", "", *_table(card.training), ""]
    measured = {name: value for name, value in card.results.items() if name.startswith("validation")}
    sure = {name: value for name, value in card.results.items() if name.startswith("calibration ")}
    other = {name: value for name, value in card.results.items() if name not in measured and name not in sure}
    lines += ["## Results", "", "On unseen images of the kind that it was trained on:", "", *_table(measured), ""]
    lines += ["Elsewhere:", "", *_table(other)] if other else ["Its card holds no results on other images."]
    for name, kinds in sure.items():
        assert isinstance(kinds, dict)  # as ``write_calibration`` has it
        lines += ["", f"## How sure it is, {name.removeprefix('calibration ')}", "", *_grid(kinds)]
    lines += ["", "## Details", ""]
    lines += _table({"network": card.network, **card.arguments, "sha256 of the weights": card.sha256})
    return "\n".join(lines) + "\n"


def _images(card: Card) -> str:
    size = f"whose longest side has {card.extent} voxels" if card.extent else f"with pixels of {card.spacing:g} mm"
    kind = "slices (stacks go through it slice by slice)" if card.ndim == 2 else "volumes"
    return f"{kind} {size}; others are resampled for it"


def _example(card: Card) -> list[str]:
    if "register" in card.capabilities:
        call = f'motion = register_cine(read_cine("cine.nii.gz"), model="{card.name}")'
        return ["from DeepRegLogic import read_cine, register_cine", "", call]
    call = f'motion = register_pair(read_image("fixed.nii.gz"), read_image("moving.nii.gz"), model="{card.name}")'
    return ["from DeepRegLogic import read_image, register_pair", "", call]


def _limits(card: Card) -> list[str]:
    found = ["For research. It is not a medical device, and no result may be used for a patient without being checked."]
    if card.training.get("data") in _SYNTHETIC and not card.training.get("real"):
        found.append("It was trained on synthetic images with known motion only; on others, look at what it gives.")
    if not card.is_for_patients:
        found.append("It belongs to an experiment with drawn curves and is of no use on images of anatomy.")
    if "uncertainty" in card.capabilities and card.calibration:
        found.append("Its uncertainty was calibrated on synthetic cines.")
    found.append("Tissue that enters or leaves the image cannot be followed; organs that slide are smoothed over.")
    return found


def _table(values: Mapping[str, object]) -> list[str]:
    rows = [f"| {name} | {_text(value)} |" for name, value in values.items()]
    return ["| | |", "|---|---|", *rows] if rows else ["Nothing is known of it."]


def _grid(kinds: Mapping[str, Mapping[str, object]]) -> list[str]:
    """A row for every kind of image that the calibration was tested on while it was left out."""
    columns = list(next(iter(kinds.values()), {}))
    rows = [f"| {kind} | {' | '.join(_text(values[name]) for name in columns)} |" for kind, values in kinds.items()]
    return [f"| left out | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}", *rows]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("|", "\\|").replace("\n", " ")
