"""Committees of MACE networks as one evaluator."""
