import os

# Both must be set before MuJoCo is first imported: rooms are drawn without a screen, and Mesa's software rasteriser
# works in the calling thread, because whole rooms are spread over processes instead.
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")
