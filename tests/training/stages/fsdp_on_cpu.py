"""`python -m training.stages.command` with FSDP on CPU processes: torch can, Accelerate only offers it on accelerators.

Run by torchrun in `test_stages.py`, with the settings of examples/slurm/train_paper.sbatch in the environment. Nothing
but Accelerate's choice is changed.
"""

from __future__ import annotations

import sys
from typing import Any

from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

from training.stages.command import main

_init = AcceleratorState.__init__


def _init_with_fsdp(self: AcceleratorState, *arguments: Any, fsdp_plugin: Any = None, **options: Any) -> None:
    _init(self, *arguments, fsdp_plugin=fsdp_plugin, **options)
    if fsdp_plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin


if __name__ == "__main__":
    AcceleratorState.__init__ = _init_with_fsdp
    sys.exit(main())
