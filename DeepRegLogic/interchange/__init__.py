"""Models as others share them: a card for Hugging Face, a bundle for MONAI."""
