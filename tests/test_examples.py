"""The notebook is the script that stands beside it, and its quick form runs from the first cell to the last."""

import os
import subprocess
import sys
from pathlib import Path

import jupytext

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_notebook_is_the_script():
    notebook, script = (jupytext.read(EXAMPLES / f"study.{ending}") for ending in ("ipynb", "py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in script.cells
    ]
    assert len(notebook.cells) > 20
    assert max(cell.source.count("\n") for cell in notebook.cells) < 30


def test_the_study_in_short_cells_runs_in_its_quick_form(tmp_path):
    environment = {**os.environ, "MPLBACKEND": "Agg", "PIXELWISE_CACHE": str(tmp_path)}
    environment.pop("PIXELWISE_DATA", None)
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "study.py"], capture_output=True, text=True, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "weights: 9*NC**2 + 9*NC*NF + 4*NC + 72*NF**2 + 27*NF = 86,784; doubled: unchanged" in ran.stdout
    assert "absorbed and padded with b: differs up to 0 pixels" in ran.stdout
    assert "last: 514 weights, keeps 6.1 MiB" in ran.stdout
