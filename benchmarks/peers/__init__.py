"""Detectors in processes of their own, so that memory and start-up time are separate."""
