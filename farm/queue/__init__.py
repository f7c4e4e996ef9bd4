"""The queue: RQ as the doorbell that wakes a worker. What is to be done stands in the database."""
