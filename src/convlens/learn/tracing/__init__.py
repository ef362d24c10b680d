"""Walk what a detector found, or almost found, back to the pixels."""

from convlens.learn.tracing.candidates import BoxCandidate, Candidates, candidates
from convlens.learn.tracing.finding import detections, is_detector
from convlens.learn.tracing.walking import Station, Trace, trace, trace_candidate

__all__ = [
    "BoxCandidate",
    "Candidates",
    "Station",
    "Trace",
    "candidates",
    "detections",
    "is_detector",
    "trace",
    "trace_candidate",
]
