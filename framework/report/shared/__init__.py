"""Code that both pages share: sections, the table of scores, and the templates."""
