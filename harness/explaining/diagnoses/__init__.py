"""Diagnoses recognise common mistakes; each module names one family of them from the Jacobians of rule and
derivative.
"""
