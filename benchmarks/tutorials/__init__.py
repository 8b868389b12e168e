"""Questions that tutorials on contractive autoencoders raise, one command each."""
