"""What travels on the topics and rests in the tables: the vocabulary that every other package speaks."""
