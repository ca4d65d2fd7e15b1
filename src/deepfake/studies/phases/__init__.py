"""The four phases and the custom run: architectures and preprocessing, compared on identical folds."""
