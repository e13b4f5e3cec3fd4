"""Audits the weights a neural network starts from."""
