"""A NumPy replica of a network: forward, backward, probe."""
