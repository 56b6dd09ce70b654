"""How good a model is: metrics, extractors, the benchmark and its report, the quick evaluation.

The metrics' formulas can be imported from here: ``from training.evaluation import view_consistency``.
"""

from __future__ import annotations

from typing import Any

_HOMES: dict[str, tuple[str, ...]] = {
    "frechet": ("Gaussian", "frechet_distance"),
    "hand_score": ("hand_score", "hands_in_view"),
    "head_motion": ("constant_velocity", "view_consistency"),
    "path_errors": ("displacement_errors", "distances", "inside_region"),
    "physics": ("floor_penetration", "foot_sliding", "jerk", "stance"),
    "psnr": ("psnr",),
    "retrieval": ("clip_similarity", "diversity", "mm_distance", "r_precision"),
    "view_shift": ("view_shift",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Gaussian", "clip_similarity", "constant_velocity", "displacement_errors", "distances", "diversity",
    "floor_penetration", "foot_sliding", "frechet_distance", "hand_score", "hands_in_view", "inside_region", "jerk",
    "mm_distance", "psnr", "r_precision", "stance", "view_consistency", "view_shift",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.metrics.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
