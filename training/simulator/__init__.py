"""The simulated world: furnished rooms, people who move in them, what they see and the words for it."""

import os

# All must be set before MuJoCo is first imported. Rooms are rendered without a screen. Mesa's software rasteriser works
# in the calling thread, because rooms are spread over processes.
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")
# No interpolation between sizes of a texture: images are averaged down anyway, and it saves a tenth of the time.
os.environ.setdefault("LP_PERF", "no_mip_linear")
