"""Detectors in processes of their own, so that memory and start-up are each one's alone."""
