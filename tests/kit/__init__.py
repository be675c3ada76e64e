"""What tests share: small models, made material, and processes."""
