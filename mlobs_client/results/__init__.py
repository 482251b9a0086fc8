"""What comes out: values with errors, and the statistics that make them."""
