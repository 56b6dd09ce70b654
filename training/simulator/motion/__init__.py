"""What people do in a room over time: walks, reaches, postures, sequences of actions."""
