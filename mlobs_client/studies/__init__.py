"""Many runs as one result."""
