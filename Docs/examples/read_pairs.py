"""Read a store of pairs with MONAI: python Docs/examples/read_pairs.py pairs.zarr."""

import sys

from monai.data import DataLoader, Dataset
from monai.transforms import RandSpatialCropd

from spinemar import PairStore

pairs = PairStore(sys.argv[1], fields=("input", "truth"), split="training")
crop = RandSpatialCropd(("input", "truth"), (64, 64), random_size=False)
for batch in DataLoader(Dataset(pairs, crop), batch_size=2, shuffle=True):
    print(tuple(batch["input"].shape), tuple(batch["truth"].shape), batch["pixel_mm"])
