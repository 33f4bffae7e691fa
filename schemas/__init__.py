"""Types, names and limits of the records on the topics and of the rows in the tables. Every other package uses them."""
