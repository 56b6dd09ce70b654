"""Rendering of the room and the wearer's body with MuJoCo."""
