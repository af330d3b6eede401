"""Several processes: who is who, what they say to each other, who is lost."""
