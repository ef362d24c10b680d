"""Build detectors of parts, each in its own file; begin to read in `detector.py`."""

from convlens.zoo.detection.detector import DETECTORS, Detector, DetectorVariant, detector

__all__ = ["DETECTORS", "Detector", "DetectorVariant", "detector"]
