"""Files to tensors to a network."""
