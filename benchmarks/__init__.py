"""Speed and memory against peers or limits, measured in one run; one script per question."""
