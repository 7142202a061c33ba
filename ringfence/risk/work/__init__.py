"""Work in many processes or on a cluster, kept on disk, and machine code."""
