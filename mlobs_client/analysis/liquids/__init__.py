"""Structure, orientation and arrest of liquids."""
