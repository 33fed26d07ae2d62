"""Read a store of pairs with TorchIO: python Docs/examples/read_pairs_torchio.py pairs.zarr.

TorchIO is no part of SpineMAR's extras: pip install "spinemar[dataset]" "torchio>=0.20".
"""

import sys

import torchio as tio
from torch.utils.data import Dataset

from spinemar import PairStore


class Subjects(Dataset):
    """Pairs as subjects; TorchIO's axes are (channel, x, y, z), a pair's (slice, row, column)."""

    def __init__(self, pairs, transform):
        self.pairs, self.transform = pairs, transform

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, n):
        pair, names = self.pairs[n], self.pairs.fields
        images = {name: tio.ScalarImage(tensor=pair[name].T[None]) for name in names}
        return self.transform(tio.Subject(**images, index=pair["index"]))


pairs = PairStore(sys.argv[1], fields=("input", "truth"), split="training")
both = tio.Compose([tio.RandomFlip(axes=("LR",)), tio.CropOrPad((64, 64, 3))])
for batch in tio.SubjectsLoader(Subjects(pairs, both), batch_size=2, shuffle=True):
    print(tuple(batch["input"][tio.DATA].shape), tuple(batch["truth"][tio.DATA].shape))
