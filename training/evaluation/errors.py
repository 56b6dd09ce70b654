"""What the evaluation refuses, by name."""

from __future__ import annotations

from egotwin_model.errors import EgoTwinError


class PredictionError(EgoTwinError):
    """Predictions to be scored, or features to be compared, are missing, too few, non-finite or do not match."""
