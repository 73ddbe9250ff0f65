"""What goes when a conversation no longer fits into its model's context."""
