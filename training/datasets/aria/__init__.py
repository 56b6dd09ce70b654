"""Project Aria recordings as input: glasses' video, head trajectory and OptiTrack body, turned into our bags."""
