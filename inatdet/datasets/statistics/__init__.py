"""The statistics of a dataset, counted as in Section 3 of the paper."""
