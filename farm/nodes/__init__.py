"""The machines that draw: which engine suits them, what they need, where their frames lie meanwhile."""
