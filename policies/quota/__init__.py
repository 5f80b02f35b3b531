"""Budgets: what a group has in use and reserved, and whether one more object fits."""
