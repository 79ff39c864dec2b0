"""The same layers in several frameworks; a module each, imported where it runs alone."""
