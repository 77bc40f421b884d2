"""The version of this package: its one place."""

VERSION = "0.2.0"
