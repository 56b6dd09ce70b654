"""Named errors for input refused at a boundary: file, message, parameter, checkpoint.

Every message says what came, what was wanted and what to do about it. The node maps each class to one
numbered ``error_code`` of ``action/Imagine.action``.
"""


class EgoTwinError(ValueError):
    """Base of every refusal; catching it catches all bad input and no programming error."""


class GoalError(EgoTwinError):
    """The goal text is empty, too long, or asks for a mode without the input that mode needs."""


class ImageError(EgoTwinError):
    """The image is missing, has an unsupported encoding, a wrong shape or dtype."""


class CalibrationError(EgoTwinError):
    """The camera's intrinsics are missing, zero, non-finite or of an unknown distortion model."""


class PoseError(EgoTwinError):
    """The body pose is missing, non-finite, not of 23 joints, or has non-unit quaternions."""


class HorizonError(EgoTwinError):
    """The requested horizon is not one the model can do."""


class ModelError(EgoTwinError):
    """A model folder is missing a file, or a file differs from its checksum, shape or configuration."""


class RecordingError(EgoTwinError):
    """A recording (bag, VRS, trajectory, clip shard) is missing, truncated or lacks a needed topic."""


class InstallationError(EgoTwinError):
    """A file that comes with the package, or a part it was built without, is missing from this installation."""


class Cancelled(Exception):  # noqa: N818  an outcome, not an error
    """Raised out of the pipeline when its ``progress`` callback asks to stop between two steps."""
