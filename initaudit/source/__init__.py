"""Model code read as text and syntax, never imported."""
