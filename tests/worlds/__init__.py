"""Many lives of merge queues: `make worlds`."""
