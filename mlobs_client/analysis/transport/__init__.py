"""Transport coefficients."""
