"""What identifies a folder of clips: kept beside everything that was trained on them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from training.datasets.clips.cameras import ClipCameras
from training.datasets.clips.dataset import ClipSet, goals_checksum


def clips_identity(clips: ClipSet, *, with_goals: bool) -> dict[str, Any]:
    """The settings that made the clips, their number, a checksum over all shards, and the camera they share.

    Args:
        with_goals: also a checksum of their goals, where a network is trained on those.

    Returns:
        JSON values; "camera" and "mount" are None where the clips' cameras differ.
    """
    shards = {name: entry["sha256"] for name, entry in clips.manifest.shards.items() if entry["clips"]}
    digest = hashlib.sha256(json.dumps(shards, sort_keys=True).encode()).hexdigest()
    camera = ClipCameras(clips).common()
    seen = {
        "camera": None if camera is None else asdict(camera.intrinsics),
        "mount": None if camera is None else asdict(camera.mount),
    }
    goals = {"goals_sha256": goals_checksum(clips)} if with_goals else {}
    return {**clips.manifest.settings(), "finished": len(clips), "sha256": digest, **goals, **seen}
