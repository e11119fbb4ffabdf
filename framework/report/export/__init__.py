"""A generator and its model card in a folder of their own."""
