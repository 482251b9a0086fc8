"""Evaluate committees of MACE networks together."""
