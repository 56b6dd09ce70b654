"""Human motion in a room: how each kind of action is performed, and how actions follow each other."""
