"""Contours of the left ventricle without drawing: from one click in it, or from its apex and its annulus."""

from .contours import NAMES, Contour, Contours, find_contours

__all__ = ["NAMES", "Contour", "Contours", "find_contours"]
