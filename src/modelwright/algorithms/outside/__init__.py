"""Learners written by others: scikit-learn estimators and functions of the user's."""
