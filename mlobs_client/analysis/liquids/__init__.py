"""Structure of liquids."""
