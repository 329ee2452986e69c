"""From one study to ten thousand: ``Study``, ``register_study``, and ``register_studies`` on any engine."""
