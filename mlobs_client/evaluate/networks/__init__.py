"""Networks of MACE as functions of edge vectors, in atomic units."""
