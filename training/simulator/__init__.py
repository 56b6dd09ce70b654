import os

# All must be set before MuJoCo is first imported: rooms are drawn without a screen, and Mesa's software rasteriser
# works in the calling thread, because whole rooms are spread over processes instead.
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")
# Between two sizes of a texture the nearer one will do: pictures are averaged down anyway, and it saves a tenth.
os.environ.setdefault("LP_PERF", "no_mip_linear")
