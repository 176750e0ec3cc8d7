"""The line between seeds that items are trained on and shown with, and seeds that are kept for testing."""

HELD_OUT_SEED = 900_000  # items of this seed and above are never trained on
