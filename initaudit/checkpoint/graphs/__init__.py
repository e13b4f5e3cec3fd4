"""Exact graphs: files that tell every operation and edge of a network, not only its weights."""
