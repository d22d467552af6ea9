"""The main job on embedded pictures, offline."""

from .show import DemoResult, run_demo

__all__ = ["DemoResult", "run_demo"]
