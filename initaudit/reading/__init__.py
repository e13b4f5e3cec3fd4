"""Model classes in source as networks: followed as text, never imported or run."""
