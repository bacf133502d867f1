"""The rules that the paper's released code scores by, for reproductions."""
