"""What can be typed: the commands and their options. What they do is loaded when one is called."""
