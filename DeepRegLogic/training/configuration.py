"""What a training run is: one frozen value, read from a YAML file and checked key by key."""

from __future__ import annotations

import contextlib
import os
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path

from ..consistency import CONSISTENCIES
from ..errors import InputError
from ..regularisers import REGULARISERS
from ..similarities import SIMILARITIES
from .layouts import LAYOUTS
from .limits import check_limits

CINES = ("phantoms", "lemniscates", "folder")
PAIRS = ("shapes",)
BUNDLED = Path(__file__).parent / "configurations"
_LARGEST, _MOST_BRACKETS = 100_000, 300  # bytes and brackets of a configuration


@dataclass(frozen=True)
class DataConfiguration:
    """The cines or pairs to train on.

    Attributes
    ----------
    source : of cines, "phantoms", "lemniscates" (synthetic, endless: a seed gives a subject) or "folder" (cines of your
        own); of pairs, "shapes" (random shapes in random contrast, without end).
    kinds : views of the phantoms or recipes of the lemniscates, mixed in equal parts.
    folder : for source "folder": each file or folder in it is one cine. For "shapes": images of your own to mix in.
    layout : of the folder, a name of ``layouts.LAYOUTS``. left_out : names of images in it that are not to be touched.
    real : share of the pairs, 0 to 1, that come from the folder. recoloured : share of their images that get a contrast
        of another kind. same_contrast : share of the pairs in which both images have one contrast.
    pool, validation : how many subjects are kept for training and for validation. Of a folder's cines, the last
        ``validation`` by name are held out and ``pool`` is ignored.
    spacing : mm a pixel; cines of a folder are resampled to it.
    size : of a training image along its two or three axes; larger cines are cropped at random, smaller ones padded at
        the border.
    extent : for "shapes", how many voxels the longest side of an image has when the model registers it.
    frames : smallest and largest number of moving frames of a training item.
    random_reference : share of the items, 0 to 1, whose reference is any frame of a cyclic cine, the others following
        it; that of the rest is the first.
    """

    source: str = "phantoms"
    kinds: tuple[str, ...] = ()
    folder: str = ""
    layout: str = "folder"
    left_out: tuple[str, ...] = ()
    real: float = 0.5
    recoloured: float = 0.6
    same_contrast: float = 0.5
    pool: int = 2000
    validation: int = 32
    spacing: float = 1.8
    size: tuple[int, ...] = (128, 128)
    extent: int = 0
    frames: tuple[int, int] = (5, 15)
    random_reference: float = 1.0

    @property
    def has_truth(self) -> bool:
        """Whether the true motion of the cines is known."""
        return self.source == "phantoms"


@dataclass(frozen=True)
class AugmentConfiguration:
    """Largest random changes of a training item; 0 switches one off.

    Attributes
    ----------
    flips : whether to mirror and to turn by multiples of 90 degrees.
    rotation : degrees; scale : change of size as a fraction.
    gamma, contrast, bias : of the whole cine, as logarithms; gain : frame by frame, as a logarithm.
    noise : standard deviation of added noise, of the intensity range 1.
    """

    flips: bool = False
    rotation: float = 0.0
    scale: float = 0.0
    gamma: float = 0.0
    contrast: float = 0.0
    bias: float = 0.0
    gain: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class LossConfiguration:
    """Weights of the loss.

    Attributes
    ----------
    similarity : a name of ``similarities.SIMILARITIES``; image : its weight.
    labels : of one minus the mean Dice coefficient of the labels, where there are labels.
    surface : of the mean squared distance in voxels of the labels between their surfaces (Dalca et al. 2019).
    direction : "compensate" (frames onto the reference), "propagate" (the reference onto the frames) or "both".
    regulariser : a name of ``regularisers.REGULARISERS``; smooth : its weight, on what the network estimates.
    time : of ``regularisers.temporal_bending`` of the velocities, the reference's zero among them.
    consistency : a name of ``consistency.CONSISTENCIES``; consistent : its weight, on displacements and inverses.
    exchanged : whether the network is asked with fixed and moving exchanged, too, and its answer takes the place of the
        inverse: with consistency "inverse" the training of ICON (Greenberg et al. 2021), with "gradicon" that of
        GradICON (Tian et al. 2023).
    cycle : of the mean absolute difference of an image from itself after both directions, and identity : of the
        similarity of an image to itself as the network registers it onto itself (Kim et al. 2021, CycleMorph, whose
        two networks are one that is ``exchanged``).
    end_point : of the mean distance in pixels to the true displacement; only where the truth is known.
    squarings : of the exponential.
    latent : of the divergence of a frame's latent from its prior, in nats (probabilistic networks).
    latent_rise : shares of the steps between which that weight rises from zero; a run that starts with a model has all
        of it at once.
    motion : of the mean divergence of a pixel's motion from N(0, I), in nats (probabilistic networks).
    likelihood : of the mean negative log likelihood of the true displacement, where it is known (probabilistic
        networks with a velocity).
    foresight : of the distance in pixels of the motions that are made from the reference and a noise (probabilistic
        networks with a velocity).
    """

    similarity: str = "mse"
    image: float = 1.0
    labels: float = 0.0
    surface: float = 0.0
    direction: str = "both"
    smooth: float = 0.03
    time: float = 0.0
    end_point: float = 0.0
    squarings: int = 7
    latent: float = 0.0
    latent_rise: tuple[float, float] = (0.0, 0.0)
    motion: float = 0.0
    likelihood: float = 0.0
    foresight: float = 0.0
    regulariser: str = "diffusion"
    consistency: str = "inverse"
    consistent: float = 0.0
    exchanged: bool = False
    cycle: float = 0.0
    identity: float = 0.0


@dataclass(frozen=True)
class OptimiserConfiguration:
    """Adam.

    Attributes
    ----------
    batch : cines a step and device; rate : of learning.
    schedule : "constant", or "cosine" (to zero at ``steps``, after a hundredth of warming up).
    clip : largest norm of the gradient, which is scaled down to it; 0 leaves it as it is.
    published : how many cines the publication trained on, its steps times its batch; 0 where there is none. The card
        of a model that saw fewer says so.
    """

    steps: int = 20000
    batch: int = 16
    rate: float = 1e-4
    schedule: str = "constant"
    clip: float = 1.0
    published: int = 0
    validate_every: int = 500
    precision: str = "32-true"


@dataclass(frozen=True)
class Configuration:
    """A training run: what is trained, on what, how; the first fields go into the model's card.

    ``start`` is the name or folder of a model of the same network and arguments, whose weights the run begins with;
    empty for random ones. ``half`` writes the weights in float16.
    """

    name: str
    title: str
    summary: str
    network: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    seed: int = 1234
    order: int = 100
    start: str = ""
    half: bool = False
    data: DataConfiguration = field(default_factory=DataConfiguration)
    augment: AugmentConfiguration = field(default_factory=AugmentConfiguration)
    loss: LossConfiguration = field(default_factory=LossConfiguration)
    optimiser: OptimiserConfiguration = field(default_factory=OptimiserConfiguration)

    def __post_init__(self) -> None:
        one_of = {
            "data.source": (self.data.source, (*CINES, *PAIRS)),
            "loss.similarity": (self.loss.similarity, tuple(SIMILARITIES)),
            "loss.regulariser": (self.loss.regulariser, tuple(REGULARISERS)),
            "loss.consistency": (self.loss.consistency, tuple(CONSISTENCIES)),
            "loss.direction": (self.loss.direction, ("compensate", "propagate", "both")),
            "optimiser.schedule": (self.optimiser.schedule, ("constant", "cosine")),
            "optimiser.precision": (self.optimiser.precision, ("32-true", "bf16-mixed")),
        }
        for key, (value, allowed) in one_of.items():
            if value not in allowed:
                raise InputError(f"'{key}' is one of {', '.join(allowed)}, not {value!r}.")
        low, high = self.data.frames
        at_least_one: dict[str, int] = {
            "data.validation": self.data.validation,
            "data.size": min(self.data.size),
            "data.frames": min(low, high - low + 1),
            "loss.squarings": self.loss.squarings,
            "optimiser.steps": self.optimiser.steps,
            "optimiser.batch": self.optimiser.batch,
            "optimiser.validate_every": self.optimiser.validate_every,
        }
        for key, number in at_least_one.items():
            if number < 1:
                raise InputError(f"'{key}' is too small; 1 or more is needed, and ranges go from small to large.")
        if not (self.data.spacing > 0 and self.optimiser.rate > 0):
            raise InputError("'data.spacing' and 'optimiser.rate' must be positive.")
        if min(self.optimiser.clip, self.optimiser.published) < 0:
            raise InputError("'optimiser.clip' and 'optimiser.published' must not be negative.")
        if not 0 <= self.loss.latent_rise[0] <= self.loss.latent_rise[1] <= 1:
            raise InputError("'loss.latent_rise' is two shares of the steps, from 0 to 1, the smaller one first.")
        for key in ("random_reference", "real", "recoloured", "same_contrast"):
            if not 0 <= getattr(self.data, key) <= 1:
                raise InputError(f"'data.{key}' is a share, from 0 to 1.")
        if len(self.data.size) != (2 if self.data.source in CINES else min(max(len(self.data.size), 2), 3)):
            raise InputError("'data.size' has two numbers, or three for volumes, which only pairs can be.")
        LAYOUTS.choose(self.data.layout)
        if self.data.source == "folder" and not self.data.folder:
            raise InputError("'data.folder' is needed for the source \"folder\".")
        if self.data.source in ("phantoms", "lemniscates") and (not self.data.kinds or self.data.pool < 1):
            raise InputError(f"'data.kinds' and 'data.pool' are needed for the source \"{self.data.source}\".")
        check_limits(self)


def read_configuration(source: str | Path) -> Configuration:
    """A configuration from a YAML file, one that comes with the package by its name, or that of a model's card.

    Raises
    ------
    InputError : no such file, not YAML, or a key that is unknown, missing or of the wrong type (the sentence names it).
    """
    import yaml

    path = Path(source)
    bundled = BUNDLED / f"{source}.yaml"
    try:
        if not os.path.isfile(path) and os.path.isfile(bundled):
            path = bundled
        if not os.path.isfile(path):
            names = ", ".join(sorted(p.stem for p in BUNDLED.glob("*.yaml")))
            raise InputError(f"There is no configuration '{source}'; give a YAML file or one of {names}.")
        if path.stat().st_size > _LARGEST:
            raise InputError(f"'{path}' is too large for a configuration.")
        text = path.read_text(encoding="utf-8")
        if text.count("[") + text.count("{") > _MOST_BRACKETS:  # which take the parser their square in time
            raise InputError(f"The configuration '{path}' has too many brackets; it is damaged.")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise InputError(f"The configuration '{path}' has anchors and aliases; write its values out.")
        values = yaml.safe_load(text)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"The configuration '{path}' cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        place = f" (line {where.line + 1}, column {where.column + 1})" if where is not None else ""
        raise InputError(f"The configuration '{path}' is not YAML{place}.") from error
    if isinstance(values, Mapping) and isinstance(values.get("training"), Mapping):
        values = values["training"].get("configuration")
        if values is None:
            raise InputError(f"The card '{path}' does not say how its model was configured; give a configuration.")
    return _parse(Configuration, values, "")


def _parse(kind: type, values: object, prefix: str) -> typing.Any:
    """A dataclass from a mapping, its fields checked against their type hints."""
    if not isinstance(values, Mapping):
        raise InputError(f"The configuration needs keys and values under '{prefix.rstrip('.') or 'the top'}'.")
    known = {f.name: f for f in fields(kind)}
    for key in values:
        if key not in known:
            raise InputError(
                f"The configuration has the unknown key '{prefix}{str(key)[:60]}'; known are {', '.join(known)}."
            )
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise InputError(f"The configuration lacks the key '{prefix}{name}'.")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _convert(hints[key], value, prefix + key) for key, value in values.items()})


def _convert(hint: typing.Any, value: typing.Any, key: str) -> object:
    if isinstance(hint, type) and is_dataclass(hint):
        return _parse(hint, value, key + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[1] is Ellipsis else arguments
        if len(kinds) == len(value):
            return tuple(_convert(k, v, key) for k, v in zip(kinds, value, strict=True))
    elif origin is Mapping and isinstance(value, Mapping):
        return dict(value)
    elif hint is float and type(value) is not bool:
        # YAML 1.1 takes 1e-4 for a text
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return float(value)
    elif type(value) is hint:
        return value
    needed = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise InputError(f"The configuration's '{key}' is {_short(value)}, which is of the wrong type; {needed} is needed.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."
