"""The gateway, on fakes of its ports and on a real server."""
