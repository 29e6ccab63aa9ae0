"""What a candidate costs: many branches folded, one merged, one whose tree is verified already."""
