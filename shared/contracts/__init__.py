"""Everything that services say to each other, declared once as versioned msgspec structs."""
