"""A simulated world around merge queues: changes arrive, checkers check, queues decide."""
