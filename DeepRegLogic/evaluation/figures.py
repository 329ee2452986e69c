"""What is measured: ``FIGURES`` by the names of columns. Light to import."""

from __future__ import annotations

from dataclasses import dataclass

from ..registry import Registry


@dataclass(frozen=True)
class Figure:
    """An entry of ``FIGURES``: what a reader calls it, its unit, and which way is better: 1 up, -1 down, 0 neither."""

    title: str
    unit: str = ""
    better: int = 0


FIGURES: Registry[Figure] = Registry("figure")

for _name, _entry in {
    "dice": Figure("Dice, labels of the frame on the reference", "", 1),
    "dice_before": Figure("Dice before registration", "", 1),
    "dice_carried": Figure("Dice, labels of the reference on the frame", "", 1),
    "iou": Figure("intersection over union", "", 1),
    "hd95": Figure("95th percentile of the surface distance", "mm", -1),
    "assd": Figure("average symmetric surface distance", "mm", -1),
    "volume_difference": Figure("difference of volume, absolute", "%", -1),
    "tre": Figure("target registration error", "mm", -1),
    "tre_before": Figure("target registration error before registration", "mm", -1),
    "tre_worst": Figure("largest target registration error", "mm", -1),
    "epe": Figure("end-point error of the field", "mm", -1),
    "epe_95": Figure("95th percentile of the end-point error", "mm", -1),
    "rmse": Figure("root mean square difference, of the intensity range", "", -1),
    "rmse_before": Figure("root mean square difference before registration", "", -1),
    "ncc": Figure("correlation of intensities", "", 1),
    "nmi": Figure("normalised mutual information", "", 1),
    "ssim": Figure("structural similarity", "", 1),
    "fsim": Figure("feature similarity", "", 1),
    "intensity_variance": Figure("variance of intensities over the frames, of the squared range", "", -1),
    "intensity_variance_before": Figure("variance of intensities before registration", "", -1),
    "folded": Figure("voxels that fold", "%", -1),
    "folded_volume": Figure("non-diffeomorphic volume", "%", -1),
    "sd_log_j": Figure("standard deviation of log J"),
    "inverse_consistency": Figure("inverse-consistency error", "voxels", -1),
    "temporal_gradient": Figure("change of the displacement from frame to frame", "mm"),
    "seconds": Figure("time", "s", -1),
}.items():
    FIGURES.add(_name, _entry)
