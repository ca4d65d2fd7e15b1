"""Images: inspected, decoded, augmented, corrupted and measured."""
