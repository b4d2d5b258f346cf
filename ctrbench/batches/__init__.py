"""Batches of a CTR model: the slots of histories, packed rows and fields, and their order.

Import the modules themselves: `slots` and `order` load without torch.
"""
