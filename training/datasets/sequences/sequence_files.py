"""The files of a sequence's folder, real (Nymeria) or synthetic.

```
metadata.json                                  who, where, which script
body/xdata.npz                                 Xsens body, 240 Hz, stamped in TIMECODE microseconds
narration/{atomic_action,motion_narration,activity_summarization}.csv     text, in DEVICE seconds
recording_head/data/data.vrs                   the glasses' frames, DEVICE time (real)
recording_head/data/{data.mp4,frames.csv,camera.json}                     the same of a synthetic sequence
recording_head/mps/slam/closed_loop_trajectory.csv                        the glasses' path, DEVICE microseconds
labels/frames.npz                              more arrays, one row per frame (synthetic only)
```

Two clocks: TIMECODE is shared by all devices of a session, DEVICE time is the head glasses' own; the VRS (or
`frames.csv`) relates them.
"""

from __future__ import annotations

METADATA = "metadata.json"
BODY = "body/xdata.npz"
LABELS = "labels/frames.npz"

HEAD = "recording_head"
OBSERVER = "recording_observer"
VRS = "data/data.vrs"
VIDEO = "data/data.mp4"
FRAMES = "data/frames.csv"
CAMERA = "data/camera.json"
TRAJECTORY = "mps/slam/closed_loop_trajectory.csv"

NARRATIONS = {
    "atomic_action": "narration/atomic_action.csv",
    "motion": "narration/motion_narration.csv",
    "activity": "narration/activity_summarization.csv",
}
"""Kinds of narration and their files."""

TEXT_COLUMNS = {
    "atomic_action": {"atomic_action": "Describe my atomic actions"},
    "motion": {
        "posture": "Describe my body posture",
        "hands": "Describe my hands/arms motion",
        "legs": "Describe my legs/feet motion",
        "focus": "Describe my focus attention",
    },
    "activity": {"activity": "Describe my activity"},
}
"""What each kind's columns are called by us and in the file."""

TEXT_KINDS = tuple(name for columns in TEXT_COLUMNS.values() for name in columns)

POSES_PER_SECOND = 240
NOT_CONVERTED = "The folder is not a whole sequence: download its missing part again"
