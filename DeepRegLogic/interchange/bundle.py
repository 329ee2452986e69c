"""A model as a MONAI bundle: its weights and card, and configurations that read, register and write a cine.

https://docs.monai.io/en/stable/mb_specification.html
"""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__, zoo
from ..files import own_folder, writing
from .model_card import model_card

_PACKAGE = "$import DeepRegLogic"


def write_bundle(model: str | Path, folder: str | Path) -> list[Path]:
    """Write a model of the zoo, by its name or folder, as a bundle into ``folder``, or nothing.

    ``configs/metadata.json``, ``configs/inference.json``, ``docs/README.md`` (the model card), ``LICENSE`` and
    ``models/`` (card and safetensors weights; there is no pickle).

        python -m monai.bundle run --config_file configs/inference.json --bundle_root . --source cine.nii.gz

    Raises
    ------
    ModelError : no such model. OutputError : the folder cannot be written.
    """
    card, source = zoo.find_card(model), zoo.folder_of(model)
    with own_folder(folder, [source]) as work, writing(folder):
        for name in ("configs", "docs", "models"):
            (work / name).mkdir()
        _write(work / "configs" / "metadata.json", _metadata(card))
        _write(work / "configs" / "inference.json", _inference(card))
        (work / "docs" / "README.md").write_text(model_card(card), encoding="utf-8")
        (work / "LICENSE").write_text(f"{card.licence}\n", encoding="utf-8")
        for name in (zoo.CARD, zoo.WEIGHTS):
            shutil.copyfile(source / name, work / "models" / name)
        written = sorted(path.relative_to(work) for path in work.rglob("*") if path.is_file())
    return [Path(folder) / path for path in written]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _metadata(card: zoo.Card) -> dict[str, Any]:
    axes = ["*"] * card.ndim
    image = {
        "type": "image",
        "format": "magnitude",
        "num_channels": 1,
        "spatial_shape": axes,
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    motion = {
        "type": "image",
        "format": "displacement",
        "num_channels": card.ndim,
        "spatial_shape": axes,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(n): f"voxels along array axis {n}" for n in range(card.ndim)},
    }
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: "written from the model zoo"},
        "monai_version": metadata.version("monai"),
        "pytorch_version": metadata.version("torch").partition("+")[0],
        "numpy_version": metadata.version("numpy"),
        "required_packages_version": {"temporal-registration": __version__, "SimpleITK": metadata.version("SimpleITK")},
        "name": card.title,
        "task": "Motion of tissue between images",
        "description": card.summary,
        "authors": "The TemporalRegistration contributors",
        "copyright": f"{card.licence}, The TemporalRegistration contributors",
        "network_data_format": {"inputs": {"reference": image, "frame": image}, "outputs": {"displacement": motion}},
    }


def _inference(card: zoo.Card) -> dict[str, Any]:
    pair = "register" not in card.capabilities
    read = {
        "fixed": "$DeepRegLogic.read_image(@source)",
        "moving": "$DeepRegLogic.read_image(@moving_source)",
        "motion": "$DeepRegLogic.register_pair(@fixed, @moving, model=@model_folder)",
        "cine": "$DeepRegLogic.registration.pair.pair_cine(@fixed, @moving)",
    }
    if not pair:
        read = {
            "cine": "$DeepRegLogic.read_cine(@source)",
            "motion": "$DeepRegLogic.register_cine(@cine, model=@model_folder)",
        }
    return {
        "imports": [_PACKAGE, "$import DeepRegLogic.registration.pair"],
        "bundle_root": ".",
        "source": "",
        **({"moving_source": ""} if pair else {}),
        "output": "$@bundle_root + '/eval'",
        "model_folder": "$@bundle_root + '/models'",
        "network_def": {
            "_target_": "DeepRegLogic.networks.build",
            "name": card.network,
            "ndim": card.ndim,
            **card.arguments,
        },
        "network": "$DeepRegLogic.load_model(@model_folder).network",
        **read,
        "run": ["$DeepRegLogic.write_motion(@motion, @cine, @output)"],
    }
