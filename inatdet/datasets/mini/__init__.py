"""Draws animals in landscapes: the pictures of the embedded mini dataset. NumPy and Pillow only."""
