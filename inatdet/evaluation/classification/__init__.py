"""From what classifiers say about images to numbers: counting only, as everything in evaluation."""
