"""The operator's dashboard under /operator: pages for the browser sessions of admin accounts."""
