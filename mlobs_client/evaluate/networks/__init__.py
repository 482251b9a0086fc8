"""Evaluate networks of MACE as functions of edge vectors."""
