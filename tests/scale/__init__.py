"""How the first stage scales out, and how fast its state comes back."""
