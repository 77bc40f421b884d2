"""What an image, a box and a label are. No model code."""
