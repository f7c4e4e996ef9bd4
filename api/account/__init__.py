"""The account: who one is, what credits are left, what renders would cost."""
