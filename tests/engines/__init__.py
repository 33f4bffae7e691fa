"""What others say of session windows and of usage: engines' own cases, a live engine, published examples."""
