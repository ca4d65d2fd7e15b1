"""What people read: figures, tables and the summary."""
