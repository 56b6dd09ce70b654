"""Where the depth of images comes from: the values of the parameter ``depth_source``."""

from __future__ import annotations

DEPTH_SOURCES = {
    "auto": "a depth image where one fits, else the model's own depth estimator where it has one",
    "topic": "depth images alone, and goals without a fitting one are refused",
    "model": "the model's own depth estimator alone",
    "none": "no depth, so nothing is remembered",
}
"""Values of ``depth_source`` and their meaning."""


def takes_topic(depth_source: str) -> bool:
    """Whether depth images are listened to."""
    return depth_source in ("auto", "topic")


def takes_model(depth_source: str) -> bool:
    """Whether the model's depth estimator may be used."""
    return depth_source in ("auto", "model")
