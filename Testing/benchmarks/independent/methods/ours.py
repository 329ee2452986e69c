"""The package's own registration, with the model and the refinement that a token names."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .base import Found, Method, Run

if TYPE_CHECKING:
    from DeepRegLogic import Cine


def ours(token: str) -> Method:
    """``default``, a quality (``fast``), ``none`` (no network), or ``MODEL[:QUALITY[:key=value,...]]``.

    The values are those of a refinement: ``none:standard:regulariser=bending,smoothness=5``. MODEL may be ``default``.
    """
    setting = f"`register_cine` (pairs: `register_pair`, neighbours: `register_sequence`), {token}"
    return Method(f"ours {token}", calling("cine", token), setting, "DeepRegLogic", has_calls=True)


def calling(call: str, token: str) -> Run:
    """``register_cine``, ``register_pair`` or ``register_sequence``, whose fields are from every frame to the next."""

    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        from DeepRegLogic import register_cine, register_pair, register_sequence

        options = _options(token)
        if call == "sequence":
            steps = register_sequence(_cine(frames, spacing, times), reference=0, device="cpu", **options)
            forward, inverse = (np.stack([getattr(step, f)[1] for step in steps]) for f in ("displacement", "inverse"))
            return Found(forward, inverse, _made_with(steps[0].provenance))
        if call == "pair":
            fixed, moving = (_cine(frame[None], spacing) for frame in frames)
            motion = register_pair(fixed, moving, device="cpu", **options)
        else:
            motion = register_cine(_cine(frames, spacing, times), reference=0, device="cpu", **options)
        return Found(motion.displacement, motion.inverse, _made_with(motion.provenance))

    return run


def _cine(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray | None = None) -> Cine:
    from DeepRegLogic import Cine, Grid

    return Cine(frames, Grid.of_array(frames.shape[1:], list(map(float, spacing))), times)


def _options(token: str) -> dict[str, object]:
    """The arguments of a registration that a token stands for."""
    from DeepRegLogic import PRESETS
    from DeepRegLogic.registration.presets import refinement_of

    parts = token.split(":")
    model, quality, values = (*parts, "", "")[:3] if parts[0] not in PRESETS else ("default", parts[0], "")
    options: dict[str, object] = {} if model == "default" else {"model": None if model == "none" else model}
    if quality:
        options["refine"] = quality
    if values:
        pairs = dict(item.split("=", 1) for item in re.split(r",(?=\w+=)", values))
        for key, text in pairs.items():
            with contextlib.suppress(ValueError, SyntaxError):
                pairs[key] = ast.literal_eval(text)
        options["refine"] = replace(refinement_of(quality or True), **pairs)
    return options


def _made_with(provenance: dict) -> str:
    """The model, its weights and the refinement, in words."""
    model, refinement = provenance["model"], provenance["refinement"]
    network = f"model {model} (weights {provenance['weights_sha256'][:12]})" if model else "no network"
    if not refinement:
        return f"{network}, not refined"
    return f"{network}, refined: " + ", ".join(f"{key} {value}" for key, value in refinement.items())
