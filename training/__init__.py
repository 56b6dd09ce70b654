"""Training, data and evaluation for EgoTwin; imports the model library, never ROS."""
