"""Tables and pages as text: CSV, Markdown, LaTeX, HTML."""
