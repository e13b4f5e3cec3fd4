"""The checks, one small function a rule."""
