"""Loading, freezing and wrapping the policy and the reference."""
