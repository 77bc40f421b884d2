"""Backbones and their weights, shared by everything that is trained."""
