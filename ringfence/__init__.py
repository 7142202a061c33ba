"""Ringfence: isolated-margin positions, each ring-fenced in a storage slot of its own."""

__version__ = "0.1.0"
