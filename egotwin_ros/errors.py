"""Refusals that only a node has: its inputs have not arrived, or it is busy."""

from egotwin_model.errors import EgoTwinError, ImageError, PoseError


class NoImageError(ImageError):
    """No image has arrived, or the newest is older than the node accepts."""


class NoPoseError(PoseError):
    """No body pose has arrived, or none close enough in time to the image."""


class NoDepthError(NoImageError):
    """No depth image has arrived, or none close enough in time to the image, where the node must have one."""


class BusyError(EgoTwinError):
    """Another action goal is being imagined."""
