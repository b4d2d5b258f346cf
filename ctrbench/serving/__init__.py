"""A trained cell as a folder for a serving team."""
