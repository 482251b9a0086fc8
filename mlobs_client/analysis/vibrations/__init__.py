"""Spectra of vibrations."""
