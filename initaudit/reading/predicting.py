"""What is told of a model whose sizes are left open: mean-field arithmetic alone."""
