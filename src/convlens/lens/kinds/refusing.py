"""Refuse a step that cannot be taken apart, in one sentence."""

from __future__ import annotations

from convlens.lens.recording import Step


class StepRefused(NotImplementedError):
    """A step, or one of its outputs, that no rule takes apart; says why."""

    def __init__(self, step: Step, why: str) -> None:
        where = f"step {step.index} (`{step.op}`, module `{step.module}`)"
        super().__init__(f"{where} cannot be taken apart: {why}")
