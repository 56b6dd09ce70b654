"""The folder of files that come with the package: models/, msg/, action/, config/, launch/ and examples/."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from egotwin_model.errors import InstallationError

ROS_PACKAGE = "egotwin_ros"


def share_folder() -> Path:
    """The folder that holds models/, msg/, action/, config/, launch/ and examples/, however the package was installed.

    It is, in this order, the source tree; the folder ``share`` that setup.py puts into a wheel; or
    ``share/egotwin_ros`` of an ament prefix, where CMake and colcon install it.

    Raises:
        InstallationError: none of these has the message files.
    """
    package = Path(__file__).resolve().parents[1]
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    places = [package.parent, package / "share", *(Path(prefix) / "share" / ROS_PACKAGE for prefix in prefixes)]
    for place in places:
        if (place / "msg/Imagination.msg").is_file():
            return place
    raise InstallationError(
        f"the files of {ROS_PACKAGE} (msg/, models/, …) are in none of: {', '.join(map(str, places))}; "
        "install the package, source its workspace, or run from its source folder"
    )
