"""Metrics of imagined motion and pictures (spec: "Evaluation"). Plain NumPy in, plain numbers out."""

from training.evaluation.metrics.head_motion import (
    constant_velocity,
    displacement,
    heading,
    heading_change,
    path_error,
    rotation_angle,
    travelled_distance,
    view_consistency,
    zero_motion,
)
from training.evaluation.metrics.views import turn_direction, view_shift, yaw_shift_correlation

__all__ = [
    "constant_velocity",
    "displacement",
    "heading",
    "heading_change",
    "path_error",
    "rotation_angle",
    "travelled_distance",
    "turn_direction",
    "view_consistency",
    "view_shift",
    "yaw_shift_correlation",
    "zero_motion",
]
