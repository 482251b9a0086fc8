"""Structures in, values and their gradients out. Torch is imported in this folder only."""
