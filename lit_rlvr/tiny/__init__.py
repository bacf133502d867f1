"""The embedded default: synthetic problems, a tokenizer and a small policy pre-trained from scratch."""
