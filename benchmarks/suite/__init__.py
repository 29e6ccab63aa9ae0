"""What all tables of `make bench` share: prices, pairs, peers, rows, pages and pictures."""
