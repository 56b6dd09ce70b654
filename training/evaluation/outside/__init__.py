"""The evaluation outside the simulator: tilted heads, real recordings, real motion."""
