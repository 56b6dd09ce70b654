"""Conversion of Project Aria recordings, video, head trajectory and OptiTrack body, into bags."""
