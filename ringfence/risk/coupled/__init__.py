"""Price, pool and keepers, each acting on the others."""
