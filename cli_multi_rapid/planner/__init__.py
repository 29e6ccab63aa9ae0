"""From a request, streams or a file to a plan, and what the plan will probably cost."""
