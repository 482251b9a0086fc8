"""Vibrational spectra and densities of states."""
