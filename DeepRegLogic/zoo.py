"""The model zoo: a name gives a network with its weights, and a card that says what it is and where it comes from.

A model is a folder with ``card.json`` and ``weights.safetensors``. The models that come with the package are in
``Resources/Models``; the environment variable TEMPORAL_REGISTRATION_MODELS names a folder with the user's own.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelError
from .files import own_folder, whole_file, writing

if TYPE_CHECKING:
    from .networks import MotionNetwork

CARD = "card.json"
WEIGHTS = "weights.safetensors"
USER_MODELS = "TEMPORAL_REGISTRATION_MODELS"

CALIBRATED = "calibrated"
"""What a card's ``training`` calls where its calibration comes from."""

_LARGEST_CARD, _LARGEST_WEIGHTS = 10_000_000, 8_000_000_000  # bytes
_SPACINGS = (0.01, 100.0)  # mm

DEFAULTS = {"cine": "tlrn-cardiac", "pair": "voxelmorph-cardiac", "generate": "dragnet-cardiac"}
"""The model of each task where none is chosen."""


@dataclass(frozen=True)
class Card:
    """What a model is.

    Attributes
    ----------
    name, title, summary : the folder's name, what a user calls it, and one line on what it is for.
    network, arguments : name in ``networks.NETWORKS`` and the arguments of its class.
    ndim : 2 or 3 spatial axes.
    spacing : the voxel size in mm that it was trained at; images are resampled to it.
    extent : of models for anything of any size, how many voxels the longest side has to which images are resampled, in
        place of ``spacing``; 0 for none.
    capabilities : what it can do, out of "register", "pair" (two images that are no neighbours in a cine), "generate"
        (cines from one frame), "uncertainty" and "regularity" (which can be chosen).
    training : how it was made: data, seed, steps, commit.
    results : what was measured of it.
    licence : of the weights.
    sha256 : of the weights file.
    order : place in lists; the lowest is the best default.
    calibration : on synthetic cines: "predicted", and of a probabilistic model "refined", to the values of
        ``calibration.Calibration``; ``training["calibrated"]`` says where it comes from.
    """

    name: str
    title: str
    summary: str
    network: str
    arguments: Mapping[str, object]
    ndim: int
    spacing: float
    capabilities: tuple[str, ...] = ("register",)
    training: Mapping[str, object] = field(default_factory=dict)
    results: Mapping[str, object] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    sha256: str = ""
    order: int = 100
    extent: int = 0
    calibration: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def is_for_patients(self) -> bool:
        """Whether it is for images of anatomy; those of drawn lemniscates belong to an experiment, and are used by who
        names them."""
        return self.training.get("data") != "lemniscates"

    def spacing_for(self, shape: Sequence[int], array_spacing: Sequence[float]) -> float:
        """The voxel size in mm to which an image of this shape and spacing (mm) is resampled for the model."""
        if not self.extent:
            return self.spacing
        return max((n - 1) * step for n, step in zip(shape, array_spacing, strict=True)) / (self.extent - 1)


@dataclass(frozen=True, eq=False)
class Model:
    """A card and its network, in evaluation mode on the device asked for."""

    card: Card
    network: MotionNetwork


_cache: dict[tuple[str, str], Model] = {}
_lock = threading.Lock()


def _folders() -> list[Path]:
    own = os.environ.get(USER_MODELS)
    here = Path(__file__).resolve().parent
    # beside the package in a source checkout and in Slicer, inside it where pip installed it
    bundled = [here.parent / "Resources" / "Models", here / "Resources" / "Models"]
    return [*bundled, *([Path(own)] if own else [])]


def _model_folders() -> dict[str, Path]:
    """Name -> folder; a model of the user's own hides a bundled one of the same name."""
    return {
        path.parent.name: path.parent
        for folder in _folders()
        for path in (sorted(folder.glob(f"*/{CARD}")) if folder.is_dir() else [])
    }


def read_card(folder: str | Path) -> Card:
    """The card of a model folder.

    Raises
    ------
    ModelError : there is no card, or it cannot be read, or a field is missing, unknown or of the wrong type.
    """
    path = Path(folder) / CARD
    if not os.path.isfile(path):
        raise ModelError(f"'{folder}' is not a model: it has no {CARD}.")
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise ValueError("it is too large")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The model card '{path}' cannot be read ({error}); install the model again.") from error
    if not isinstance(values, dict):
        raise ModelError(f"The model card '{path}' is not a JSON object; install the model again.")
    if "task" in values:  # of cards before there were capabilities
        values["capabilities"] = ["generate" if values.pop("task") == "generate" else "register"]
    kinds: dict[str, type | tuple[type, ...]]
    kinds = dict.fromkeys(("arguments", "training", "results", "calibration"), dict)
    kinds |= {"ndim": int, "order": int, "extent": int, "spacing": (int, float), "capabilities": list}
    values["calibration"] = _calibrations(path, values.get("calibration", {}))
    known = {f.name for f in fields(Card)}
    unknown = sorted(set(values) - known)
    missing = sorted({"name", "title", "summary", "network", "arguments", "ndim", "spacing", "sha256"} - set(values))
    wrong = sorted(k for k in known & set(values) if not isinstance(values[k], kinds.get(k, str)))
    for what, keys in (("unknown", unknown), ("missing", missing), ("wrong", wrong)):
        if keys:
            raise ModelError(f"The model card '{path}' has {what} fields: {', '.join(keys)}.")
    if values["ndim"] not in (2, 3) or not _SPACINGS[0] <= values["spacing"] <= _SPACINGS[1]:
        low, high = _SPACINGS
        raise ModelError(f"The model card '{path}' needs ndim 2 or 3 and a spacing from {low:g} to {high:g} mm.")
    if values.get("extent", 0) < 0 or values.get("extent", 0) in (1, 2):
        raise ModelError(f"The model card '{path}' needs an extent of 3 voxels or more, or of 0 for none.")
    if not all(isinstance(what, str) for what in values.get("capabilities", ())):
        raise ModelError(f"The model card '{path}' has wrong fields: capabilities.")
    return Card(**{**values, "capabilities": tuple(values.get("capabilities", Card.capabilities))})


def _calibrations(path: Path, values: object) -> object:
    """The calibrations of a card as they are, where they are numbers by their names."""
    if not isinstance(values, dict):
        return values
    numbers = [number for part in values.values() if isinstance(part, dict) for number in part.values()]
    if not all(isinstance(part, dict) for part in values.values()) or not all(
        isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers
    ):
        raise ModelError(f"The model card '{path}' has wrong fields: calibration.")
    return values


def _cards() -> Iterator[tuple[str, Card | ModelError]]:
    for name, folder in _model_folders().items():
        try:
            yield name, read_card(folder)
        except ModelError as error:
            yield name, error


def list_models() -> tuple[Card, ...]:
    """The cards of all models that are installed, the best default first, without those of ``damaged_models``."""
    cards = [card for _, card in _cards() if isinstance(card, Card)]
    return tuple(sorted(cards, key=lambda card: (card.order, card.name)))


def damaged_models() -> dict[str, str]:
    """The names of installed models whose card cannot be read, and the sentences that say why."""
    return {name: str(card) for name, card in _cards() if isinstance(card, ModelError)}


def load_model(name: str | Path, device: str = "cpu") -> Model:
    """A model by its name, or by the path of its folder; kept in memory for the next call.

    Raises
    ------
    ModelError : the model is unknown, or its card or weights are missing, damaged or of the wrong kind.

    Examples
    --------
    >>> from DeepRegLogic import load_model
    >>> model = load_model("dragnet-cardiac")
    >>> model.card.network, model.card.capabilities
    ('dragnet-flow', ('generate', 'register', 'uncertainty'))
    >>> type(model.network).__name__
    'DragNetFlow'
    """
    folder, card = _found(name)
    key = (f"{folder.resolve()} {card.sha256}", str(device))
    with _lock:
        if key not in _cache:
            _cache[key] = Model(card, _load_network(card, folder / WEIGHTS).to(device).eval().requires_grad_(False))
        return _cache[key]


def find_card(name: str | Path) -> Card:
    """The card of a model by its name or the path of its folder; no weights are read.

    Raises
    ------
    ModelError : the model is unknown (the sentence says which are near), or its card is damaged.
    """
    return _found(name)[1]


def folder_of(name: str | Path) -> Path:
    """The folder of a model by its name, or that folder itself. Raises as ``find_card``."""
    return _found(name)[0]


def _found(name: str | Path) -> tuple[Path, Card]:
    """The folder of a model, and its card."""
    folders = _model_folders()
    folder = folders.get(str(name), Path(name))
    if not os.path.isfile(folder / CARD):
        known = ", ".join(card.name for card in list_models() if card.is_for_patients) or "none"
        near = difflib.get_close_matches(str(name), folders, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"There is no model '{name}'. Models installed: {known}.{hint}")
    return folder, read_card(folder)


def write_calibration(name: str | Path, records: Mapping[str, Mapping[str, object]]) -> Path:
    """Put calibrations into the card of a model, and what they reach into its results; returns the card's file.

    Parameters
    ----------
    records : "predicted", and where there is one "refined", to ``calibration``, ``fitted`` (on what) and ``table``.

    Raises
    ------
    ModelError : there is no such model. OutputError : the card cannot be written.
    """
    folder, card = _found(name)
    path = folder / CARD
    calibration = {stage: record["calibration"] for stage, record in records.items()}
    results = {f"calibration {stage}": record["table"] for stage, record in records.items()}
    training = {**card.training, CALIBRATED: next(iter(records.values()))["fitted"]}
    kept = {key: value for key, value in card.results.items() if not key.startswith("calibration ")}
    changed = {**asdict(card), "calibration": calibration, "training": training, "results": {**kept, **results}}
    with whole_file(path) as part:
        part.write_text(json.dumps(changed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    clear_cache()
    return path


def clear_cache() -> None:
    """Forget the networks kept in memory."""
    with _lock:
        _cache.clear()


def _load_network(card: Card, path: Path) -> MotionNetwork:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from .networks import build
    from .uncertainty.calibration import Calibration

    again = "install the model again"
    try:
        if not os.path.isfile(path) or path.stat().st_size > _LARGEST_WEIGHTS:
            raise OSError("no file of weights")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"The weights '{path}' of model '{card.name}' cannot be read; {again}.") from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ModelError(f"The weights '{path}' are not those of the card (their sha256 differs); {again}.")
    try:
        weights = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"The weights '{path}' are not a safetensors file; no other kind is read.") from error
    try:
        with torch.device("meta"):
            network = build(card.network, ndim=card.ndim, **card.arguments)
        Calibration(**card.calibration.get("predicted", {}))
        Calibration(**card.calibration.get("refined", {}))
    except Exception as error:  # what a constructor makes of arguments that are none is anybody's guess
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"The card of model '{card.name}' describes no network of this version: {reason}") from error
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    if expected != found:
        key = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))[0]
        raise ModelError(
            f"The weights '{path}' do not fit the network of the card: '{key}' is {found.get(key, 'missing')} "
            f"where {expected.get(key, 'nothing')} is expected; {again}."
        )
    kinds = {key: value.is_floating_point() for key, value in network.state_dict().items()}
    if any(weights[key].is_floating_point() != floating for key, floating in kinds.items()):
        raise ModelError(f"The weights '{path}' are of another type than the network's; {again}.")
    weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ModelError(f"The weights '{path}' hold numbers that are not finite; {again}.")
    network.load_state_dict(weights, assign=True)
    return network


def save_model(folder: str | Path, network: MotionNetwork, card: Card, half: bool = False) -> Card:
    """Write ``card.json`` and ``weights.safetensors`` (float32, or float16 for ``half``) into ``folder``, or nothing.

    Returns the card with the sha256 of the weights. Raises OutputError where it cannot be written.
    """
    from safetensors.torch import save

    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:
        weights = {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}
    content = save(weights)
    card = Card(**{**asdict(card), "sha256": hashlib.sha256(content).hexdigest()})
    text = json.dumps(asdict(card), indent=2, ensure_ascii=False)
    with own_folder(folder, ours=(CARD, WEIGHTS)) as work, writing(folder):
        (work / WEIGHTS).write_bytes(content)
        (work / CARD).write_text(text + "\n", encoding="utf-8")
    return card
