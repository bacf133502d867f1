"""Runs read back: their curves, the paper's phenomena, and a page that shows them. The end of the line."""
