"""Links and paths in the documents."""
