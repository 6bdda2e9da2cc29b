"""A video between two or more keyframes (thesis chapters 2 and 5)."""
