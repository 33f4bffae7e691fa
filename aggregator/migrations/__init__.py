"""aggregator/migrations"""
