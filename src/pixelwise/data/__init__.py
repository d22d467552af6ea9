"""Pictures in: every way in which pixels reach the house, each one safe."""
