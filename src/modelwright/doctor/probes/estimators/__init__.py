"""Probes of estimators as scikit-learn has them."""
