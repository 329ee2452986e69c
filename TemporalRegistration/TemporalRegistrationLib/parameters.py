"""Everything that is chosen in the panel, as a typed parameter node."""

from typing import Annotated, Union

from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLMarkupsClosedCurveNode,
    vtkMRMLMarkupsCurveNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsLineNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLSequenceNode,
)
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from DeepRegLogic.registration.presets import DEFAULT_QUALITY, PRESETS
from DeepRegLogic.results.doubts import DOUBTFUL_MM
from DeepRegLogic.zoo import DEFAULTS

_REFINEMENT = PRESETS[DEFAULT_QUALITY].refinement


@parameterNodeWrapper
class TemporalRegistrationParameterNode:
    """What the module was asked to do, and what it shows; saved with the scene.

    inputSequence - The cine: a sequence of images.
    automaticReference - Whether the reference frame is looked for (end-diastole).
    referenceFrame - The reference frame, where it is not looked for.
    regionOfInterest, pairRegionOfInterest - Only what lies in this box is registered.
    labels - A segmentation or label map drawn on the reference frame, to be followed.
    points - Markups drawn on the reference frame, to be followed.
    fixedVolume, movingVolume - The pair.
    affine - Whether the images of the pair are aligned first.
    fixedMask, movingMask - Segmentations or label maps of the pair, outside of which nothing counts.
    movingLabels - A segmentation or label map drawn on the moving volume, to be brought onto the fixed one.
    pairPath - Whether the way from the moving to the warped volume is made, too.
    regularity - Of models that can choose: from 0 (soft) to 1 (stiff).
    generateInput, generateFrame - The image that cines are made from: a volume, or a frame of a sequence.
    generateLabels - A segmentation or label map drawn on that frame, to be carried along.
    sampleFrames, samples, seed - Frames of every cine that is made, how many cines, and what makes them differ.
    sampleShown - Number of the cine that is shown, from 1.
    task - "cine", "pair" or "generate": which tab is open.
    model, pairModel, generateModel - Names of models of the zoo; empty for refinement from zero.
    quality - A name of DeepRegLogic's PRESETS.
    device - Where to compute: "auto", "cpu", "cuda:0", ...
    findUncertainty - Whether to find out how sure the motion is, whatever the model.
    similarity, regulariser, smoothness - Of the refinement.
    showCompensated ... opacity - The switches of the review.
    colors - Name of the map that colors the image, or empty.
    doubtfulLimit - Uncertainty in mm above which a place or a frame is doubtful.
    """

    inputSequence: vtkMRMLSequenceNode
    automaticReference: bool = True
    referenceFrame: int = 0
    regionOfInterest: vtkMRMLMarkupsROINode
    # unions tell the selectors which classes of nodes they offer; None has to be among them
    labels: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None] = None  # noqa: UP007
    points: Union[  # noqa: UP007
        vtkMRMLMarkupsFiducialNode,
        vtkMRMLMarkupsCurveNode,
        vtkMRMLMarkupsClosedCurveNode,
        vtkMRMLMarkupsLineNode,
        None,
    ] = None
    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    pairRegionOfInterest: vtkMRMLMarkupsROINode
    affine: bool = False
    fixedMask: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None] = None  # noqa: UP007
    movingMask: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None] = None  # noqa: UP007
    movingLabels: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None] = None  # noqa: UP007
    pairPath: bool = False
    regularity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    generateInput: Union[vtkMRMLScalarVolumeNode, vtkMRMLSequenceNode, None] = None  # noqa: UP007
    generateFrame: int = 0
    generateLabels: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None] = None  # noqa: UP007
    sampleFrames: int = 20
    samples: int = 4
    seed: int = 0
    sampleShown: int = 1
    task: str = "cine"
    model: str = DEFAULTS["cine"]
    pairModel: str = DEFAULTS["pair"]
    generateModel: str = DEFAULTS["generate"]
    quality: str = DEFAULT_QUALITY
    device: str = "auto"
    findUncertainty: bool = False
    similarity: str = _REFINEMENT.similarity
    regulariser: str = _REFINEMENT.regulariser
    smoothness: Annotated[float, WithinRange(0.01, 10.0)] = _REFINEMENT.smoothness
    showCompensated: bool = False
    showLabels: bool = True
    showPoints: bool = True
    showMotion: bool = False
    colors: str = ""
    showDoubtful: bool = False
    doubtfulLimit: Annotated[float, WithinRange(0.1, 20.0)] = DOUBTFUL_MM
    motionStyle: str = "grid"
    compare: str = "single"
    opacity: float = 0.6
