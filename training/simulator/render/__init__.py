"""What the wearer sees, and the body that is seen, rendered by MuJoCo."""
