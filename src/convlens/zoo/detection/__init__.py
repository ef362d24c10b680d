"""Detectors, a part a file: `detector.py` puts them together and is where to begin reading."""

from convlens.zoo.detection.detector import DETECTORS, Detector, DetectorVariant, detector

__all__ = ["DETECTORS", "Detector", "DetectorVariant", "detector"]
