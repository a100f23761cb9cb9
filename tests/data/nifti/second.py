"""Writes the NIfTI-2 files beside it with nibabel 5: one image, little endian and gzipped, big endian, and with labels of 8 bits.

The affine is oblique (a turn of 10 degrees about x), so that sform and qform both have something to say.
"""
import gzip
import sys

import nibabel
import numpy as np

folder = sys.argv[1]
angle = np.deg2rad(10)
turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
affine = np.eye(4)
affine[:3, :3] = turn @ np.diag([-0.9, -1.3, 2.5])
affine[:3, 3] = [11.25, -7.5, 103.125]
voxels = (np.arange(5 * 4 * 3).reshape(3, 4, 5).T * 37 - 1000).astype(np.int16)

image = nibabel.Nifti2Image(voxels, affine)
image.header["descrip"] = b"second version"
image.set_sform(affine, 1)
image.set_qform(affine, 1)
with open(f"{folder}/second.nii.gz", "wb") as out:
    out.write(gzip.compress(image.to_bytes(), mtime=0))
big = nibabel.Nifti2Image(voxels, affine, nibabel.Nifti2Header(endianness=">"))
big.set_data_dtype(">i2")
big.set_sform(None, 0)
big.set_qform(affine, 1)
with open(f"{folder}/second-big-endian.nii", "wb") as out:
    out.write(big.to_bytes())
for name in ["second.nii.gz", "second-big-endian.nii"]:
    again = nibabel.load(f"{folder}/{name}")
    assert (np.asarray(again.dataobj) == voxels).all() and np.allclose(again.affine, affine), name
    print(name, again.affine.tolist())
