"""`lit-rlvr doctor`: a self-test of a set-up before it is trained with."""
