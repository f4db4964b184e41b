"""What a visitor's session remembers and how an action changes it; nothing is drawn here."""
