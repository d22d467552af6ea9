"""How costs are written in a document: formulas between dollars, everything else made harmless."""

from ..report.cost_text import Notation
from ..report.cost_typst import typst_formula
from ..report.document import escaped

TYPST = Notation(escaped, lambda name: f"`{name}`", lambda formula: f"${typst_formula(formula)}$")
