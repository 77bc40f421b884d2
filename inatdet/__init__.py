"""Detecting and naming thousands of species in photographs: the iNaturalist 2017 benchmark."""

__version__ = "0.1.0"
