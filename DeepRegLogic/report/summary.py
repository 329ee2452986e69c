"""The result in a few sentences for a reader in a hurry; what looks wrong comes last, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..results.results import Results


def summary(results: Results) -> str:
    """What was found, how sure it is, and which frames are doubtful and why (``doubts.find_doubts``)."""
    motion = results.motion
    moving = {t: q for t, q in enumerate(motion.quality) if t != motion.reference}
    before = np.mean([q.error_before for q in moving.values()])
    after = np.mean([q.error_after for q in moving.values()])
    furthest = max(range(len(motion)), key=lambda t: motion.quality[t].motion_max)
    sentences = [
        f"{len(motion)} frames were registered to frame {motion.reference}: the mean difference to it went from "
        f"{before:.1%} to {after:.1%} of the intensity range.",
        f"Tissue moved up to {motion.quality[furthest].motion_max:.1f} mm (frame {furthest}).",
    ]
    if motion.covariance is not None:
        typical = results.statistics["uncertainty", "mean"][results.key_frame]
        sentences.append(
            f"Typical uncertainty of the displacement of {results.region_name}: {typical:.1f} mm "
            f"(one standard deviation, frame {results.key_frame})."
        )
    doubts = results.doubts()
    frames = {
        reason: [t for t, names in doubts.items() if reason in names] for names in doubts.values() for reason in names
    }
    if unlike := frames.get("unlike"):
        sentences.append(
            f"{_frames(unlike)} {_verb(unlike, 'differs', 'differ')} from the training images; "
            f"{_verb(unlike, 'its', 'their')} motion is less certain."
        )
    if folded := frames.get("folding"):
        worst = max(motion.quality[t].folded for t in folded)
        sentences.append(f"The motion folds in {_frames(folded, '')} (up to {worst:.2%} of the voxels).")
    else:
        sentences.append("No voxel folds.")
    if residual := frames.get("residual"):
        sentences.append(f"The images still differ in {_frames(residual, '')}.")
    if inconsistent := frames.get("inconsistent"):
        worst_frame = max(inconsistent, key=lambda t: motion.quality[t].inverse_consistency_high)
        quality = motion.quality[worst_frame]
        place = f" around voxel {quality.inconsistent_at} of frame {worst_frame}" if quality.inconsistent_at else ""
        sentences.append(
            f"Forward and inverse motion are not consistent in {_frames(inconsistent, '')}: the inverse-consistency "
            f"error reaches {quality.inverse_consistency_high:.1f} voxels{place}."
        )
    if uncertain := frames.get("uncertain"):
        sentences.append(f"The motion is uncertain in {_frames(uncertain, '')}.")
    if doubts:
        sentences.append(f"Check {_frames(sorted(doubts), '')}.")
    return " ".join(sentences)


def _verb(numbers: Sequence[int], one: str, many: str) -> str:
    return one if len(numbers) == 1 else many


def _frames(numbers: Sequence[int], start: str = "F") -> str:
    """ "Frame 3", "Frames 2 and 3", "Frames 1, 2, 3, 4, 5 and 7 more"; in lower case for another start."""
    word = ("Frame" if start else "frame") + ("" if len(numbers) == 1 else "s")
    if len(numbers) > 6:
        return f"{word} {', '.join(str(n) for n in numbers[:5])} and {len(numbers) - 5} more"
    *first, last = (str(n) for n in numbers)
    return f"{word} {', '.join(first)} and {last}" if first else f"{word} {last}"
