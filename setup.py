"""Adds the shared folders to a wheel; everything else is declared in pyproject.toml.

What CMake installs into ``share/egotwin_ros`` becomes ``egotwin_model/share`` in a wheel; an editable installation uses
the source tree. `egotwin_model.io.share.share_folder` finds either. A package-dir mapping would do the same but turn
an editable installation's path into an import hook, which the generated ``egotwin_ros.msg`` would hide.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED = ("models/egotwin-mini", "msg", "action", "config", "launch", "examples/bags")


class BuildWithShare(build_py):
    """Copies the shared folders beside the modules of `egotwin_model`."""

    def _shared(self) -> dict[Path, Path]:
        """Target → source of every shared file; none in an editable installation."""
        if self.editable_mode:
            return {}
        share = Path(self.build_lib, "egotwin_model/share")
        files = [path for folder in SHARED for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        return {share / path: path for path in files if "__pycache__" not in path.parts}

    def run(self) -> None:
        super().run()
        for target, source in self._shared().items():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *map(str, self._shared())]

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *map(str, self._shared().values())]


setup(cmdclass={"build_py": BuildWithShare})
