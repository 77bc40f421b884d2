"""Training whatever the model: settings, devices, the loop, and what it reports."""
