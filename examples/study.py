# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every pixel is a classification problem
#
# The classic study in short cells, in a few minutes. `PIXELWISE_DATA=folder` names the folder with CIFAR-10's horses
# and the Oxford flowers, as in the outputs below; without it a few photographs that come with scikit-image stand in,
# from which little can be learnt. `pixelwise reproduce` makes the whole study, with three seeds and all the figures.

# %%
import os
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pixelwise
from pixelwise import EpochRow, Plan, load_data, load_trained, train_colour

warnings.filterwarnings("ignore", message="IProgress")
DATA = os.environ.get("PIXELWISE_DATA")
runs = Path(tempfile.mkdtemp())
horses = {"name": "cifar10", "root": DATA, "category": ("horse",)} if DATA else {"name": "photos", "scales": (64,)}
EPOCHS, BATCH = (3, 100) if DATA else (8, 10)

# %% [markdown]
# ## A. Colourization as classification
#
# Which of 24 colours is this pixel? The colours come from k-means. A table from grey level to colour is the baseline.


# %%
def trained(model, **sizes):
    """Train a model to colour, and give its run and its rows."""
    steps = {} if model == "lookup" else {"epochs": EPOCHS, "batch_size": BATCH}
    name = "-".join([model, *map(str, sizes.values())])
    plan = Plan.from_given(model, horses, {"num_colours": 24, **sizes}, steps)
    rows = [row for row in train_colour(plan, runs / name) if isinstance(row, EpochRow)]
    return load_trained(runs / name), rows


def told(run):
    """Accuracy and cross-entropy on the test pictures."""
    found = pixelwise.evaluate_run(run)
    return f"accuracy {found.accuracy:.3f} (lookup {found.lookup_accuracy:.3f}), {found.cross_entropy:.3f} nats"


# %%
cnn, cnn_rows = trained("cnn")
print("cnn:", told(runs / "cnn"))

# %% [markdown]
# What does it cost? Formulas come from the built network, for any widths and any size.

# %%
cost = pixelwise.account("cnn")
for what, quantity in cost.totals.items():
    print(f"{what}: {quantity.at_size} = {quantity.value:,}; doubled: {cost.doubled[what].words}")

# %% [markdown]
# What if every picture x becomes 10 x + 10? The first layer can absorb it; only near the border, where zeros stand for
# another grey, the answers differ.

# %%
pictures = load_data(cnn.plan.data).test
found = pixelwise.invariance(cnn.model, cnn.palette.see(pictures.pixels[:4]), 10.0, 10.0)
print("as it is:", found.unchanged.changed, "of the pixels get another colour")
print("absorbed: differs up to", found.absorbed.reach, "pixels from the border")
print("absorbed and padded with b: differs up to", found.padded.reach, "pixels")

# %% [markdown]
# ## B. Skip connections

# %%
unet, unet_rows = trained("unet")
print("unet:", told(runs / "unet"))

# %%
figure, axes = plt.subplots(figsize=(6, 3))
for name, rows in (("cnn", cnn_rows), ("unet", unet_rows)):
    axes.plot([row.epoch for row in rows], [row.validation_loss for row in rows], marker="o", label=name)
axes.set(xlabel="epoch", ylabel="validation loss (nats per pixel)")
_ = axes.legend()

# %%
some = pictures.pixels[:6]
shown = {"truth": some}
for name, run in (("cnn", cnn), ("unet", unet)):
    with torch.inference_mode():
        shown[name] = run.palette.paint(run.model.eval()(run.palette.see(some)), some)
figure, grid = plt.subplots(len(shown), len(some), figsize=(6, 3))
for row, (name, painted) in zip(grid, shown.items(), strict=True):
    for axes, picture in zip(row, painted, strict=True):
        axes.imshow(picture.permute(1, 2, 0))
        axes.axis("off")
    row[0].set_title(name, fontsize=8, loc="left")

# %% [markdown]
# Is it the half-size connection, or the whole one? Leave one out and see.

# %%
for skips in (("half", "whole"), ("quarter", "whole"), ("quarter", "half")):
    trained("unet", skips=skips)
    print(f"unet with {' and '.join(skips)}:", told(runs / f"unet-{skips}"))

# %% [markdown]
# With chroma classes a pixel's brightness is no part of the answer, and the picture's own is kept.

# %%
chroma, _ = trained("unet", space="oklab")
print("unet, chroma:", told(runs / "unet-oklab"))

# %% [markdown]
# ## C. Fine-tuning only the last layer
#
# What does a step cost, and what would it cost to train everything?

# %%
for trains in ("last", "full"):
    step = pixelwise.fine_tuning("deeplabv3_resnet101", trains, batch=4, size=(224, 224), formulas=False)
    kept, macs = step.kept.value / 2**20, step.backward.value / 1e9
    print(f"{trains}: {step.trainable:,} weights, keeps {kept:,.1f} MiB, backward {macs:,.3f} GMAC")

# %% [markdown]
# A few strokes on a picture teach the last layer at once; with the flowers at hand, so do labelled pictures.

# %%
if DATA:
    plan = pixelwise.SegmentPlan.from_given({"name": "flowers17", "root": DATA}, {"labelled": 5}, {})
    for _ in pixelwise.train_segment(plan, runs / "flowers"):
        pass
    segmenter = pixelwise.load_segmenter(runs / "flowers")
    photograph = pixelwise.load_labelled(plan.data).test.pixels[0]
else:
    from skimage.data import astronaut

    photograph = torch.from_numpy(astronaut().copy()).permute(2, 0, 1)
    strokes = runs / "strokes.json"
    strokes.write_text(
        '{"classes": ["background", "person"], "pictures": {"astronaut.png": ['
        '{"class": "background", "radius": 6, "points": [[20, 20], [60, 300], [330, 40]]}, '
        '{"class": "person", "radius": 6, "points": [[220, 90], [230, 220], [200, 420]]}]}}'
    )
    pixelwise.save_picture(runs / "astronaut.png", photograph)
    segmenter = pixelwise.taught_by_strokes(pixelwise.load_strokes(strokes), {"astronaut.png": runs / "astronaut.png"})
mask = pixelwise.segment(segmenter.model, photograph, 256)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
left.imshow(photograph.permute(1, 2, 0))
right.imshow(mask, interpolation="nearest")
for axes in (left, right):
    axes.axis("off")

# %% [markdown]
# Everything above, with seeds, spread and verdicts, as PDF and page: `pixelwise reproduce --root FOLDER --out study`.
