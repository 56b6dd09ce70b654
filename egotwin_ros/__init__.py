"""ROS 2 nodes of EgoTwin; the generated interfaces live in the same package (egotwin_ros.msg, egotwin_ros.action)."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
