"""Giving the topics more partitions, with all state where the records of its workspaces go from then on."""
