"""EgoTwin: joint egocentric video and motion diffusion (no ROS, no training)."""
