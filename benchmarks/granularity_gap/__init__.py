"""What the coarse precision of a fine model is lost to, and what gives it back."""
