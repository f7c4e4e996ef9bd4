"""What a machine that draws is made of: engine, scratch folder, doctor."""
