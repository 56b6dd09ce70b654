"""The wearer's body: habits, gaits, footsteps, hands and postures."""
