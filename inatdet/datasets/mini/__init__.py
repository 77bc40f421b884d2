"""The mini dataset: animals drawn in landscapes, with nothing but NumPy and Pillow."""
