"""Which problem to train on: accuracies per problem -> scores -> a ranking -> a problem file."""
