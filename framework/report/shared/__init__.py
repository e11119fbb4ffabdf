"""What both pages use: sections, the table of scores, and the templates."""
