"""The guides: pages of docs/ in HTML under /guides, so that a client needs neither a checkout nor the internet."""
