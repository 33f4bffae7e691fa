"""aggregator/core"""
