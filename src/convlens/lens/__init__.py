"""Open a network: record what it did, explain any number of it, count what it costs."""

from convlens.lens.changing import Change, Mute, SetArgument, SetNumber, SetValue
from convlens.lens.costs import CostRow, Costs, costs, costs_of
from convlens.lens.explaining import Contribution, Explanation, explain, explain_value
from convlens.lens.feeding import Feeds, Reading, feeds, feeds_value
from convlens.lens.fields import Region, region
from convlens.lens.reaching import Reach, reach
from convlens.lens.recorder.running import record
from convlens.lens.recording import Call, Failure, Recording, Step, Value
from convlens.lens.replaying import replay
from convlens.lens.rerunning import rerun
from convlens.lens.terms import Terms

__all__ = [
    "Call",
    "Change",
    "Contribution",
    "CostRow",
    "Costs",
    "Explanation",
    "Failure",
    "Feeds",
    "Mute",
    "Reach",
    "Reading",
    "Recording",
    "Region",
    "SetArgument",
    "SetNumber",
    "SetValue",
    "Step",
    "Terms",
    "Value",
    "costs",
    "costs_of",
    "explain",
    "explain_value",
    "feeds",
    "feeds_value",
    "reach",
    "record",
    "region",
    "replay",
    "rerun",
]
