"""meter/core"""
