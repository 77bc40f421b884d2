"""What is said about images: label spaces, annotations, detections, and the files they are in.

Nothing here needs TensorFlow.
"""
