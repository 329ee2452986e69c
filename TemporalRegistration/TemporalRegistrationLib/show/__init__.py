"""What a user sees of results: displays, layouts, views, charts, ellipses, and doubts in words."""
