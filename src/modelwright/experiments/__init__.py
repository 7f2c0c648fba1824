"""Designs that ship with Modelwright: `modelwright run NAME`."""
