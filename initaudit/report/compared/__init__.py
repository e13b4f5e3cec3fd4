"""What became of one checkpoint in another, for a person and for a program."""
