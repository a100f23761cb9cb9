"""What other programs read of the phantom in 24 orientations, written by this program as RTSTRUCT, SEG and NIfTI.

Needs numpy, pydicom, highdicom and nibabel. The stored file was made with:

    EXCHANGE=FOLDER cargo test --release --workspace --lib every_orientation    (writes the 72 files)
    python orientations.py FOLDER orientations.json

Structure sets are read by pydicom: an organ's volume is the area of its polygons (their vector area in the patient) times the distance of
slices, its centre that of the polygons. Segmentations are read by highdicom, label maps by nibabel, whose frame is turned from RAS to LPS.
The truth is the closed form of the phantom (`core/src/formats/analytic.rs`).
"""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom

SPACING = np.array([1.3, 0.7, 2.9])
ORIGIN = np.array([-31.7, 12.4, -208.6])
BOXES = [[[2, 4], [1, 3], [1, 2]], [[8, 11], [5, 9], [3, 7]], [[5, 5], [8, 8], [0, 8]]]
VOXEL = float(SPACING.prod())


def truth():
    found = {}
    for n, box in enumerate(BOXES):
        low, high = np.array(box, float).T
        found[str(n + 1)] = entry((high - low + 1).prod(), ORIGIN + SPACING * (low + high) / 2)
    return found


def entry(voxels, centre):
    return [round(float(voxels), 3), [round(float(v), 4) for v in centre]]


def rtstruct(path):
    data = pydicom.dcmread(path)
    names = {roi.ROINumber: roi.ROIName for roi in data.StructureSetROISequence}
    found = {}
    for roi in data.ROIContourSequence:
        areas, centres, heights = [], [], []
        for contour in roi.ContourSequence:
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints
            base = points[0]
            fans = np.cross(points[1:-1] - base, points[2:] - base) / 2
            area = fans.sum(0)
            normal = area / np.linalg.norm(area)
            weights = fans @ normal
            thirds = (base + points[1:-1] + points[2:]) / 3
            areas.append(weights.sum())
            centres.append((thirds * weights[:, None]).sum(0) / weights.sum())
            heights.append(normal)
        normal = np.abs(heights[0]).round()
        step = float(SPACING @ normal)
        areas = np.array(areas)
        centre = (np.array(centres) * areas[:, None]).sum(0) / areas.sum()
        found[names[roi.ReferencedROINumber]] = entry(areas.sum() * step / VOXEL, centre)
    return found


def segmentation(path):
    seg = highdicom.seg.segread(path)
    found = {}
    for n in seg.segment_numbers:
        volume = seg.get_volume(segment_numbers=[n], combine_segments=True)
        index = np.argwhere(volume.array > 0)
        places = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        found[seg.get_segment_description(n).SegmentLabel] = entry(len(index), places.mean(0))
    return found


def labels(path):
    image = nibabel.load(path)
    values = np.asarray(image.dataobj)
    found = {}
    for n in np.unique(values[values > 0]):
        index = np.argwhere(values == n)
        ras = nibabel.affines.apply_affine(image.affine, index)
        found[str(n)] = entry(len(index), ras.mean(0) * [-1, -1, 1])
    return found


folder, out = Path(sys.argv[1]), sys.argv[2]
files = {}
for path in sorted(folder.iterdir()):
    read = next((f for end, f in (("rtstruct.dcm", rtstruct), ("seg.dcm", segmentation), ("labels.nii.gz", labels)) if path.name.endswith(end)), None)
    if read is None:
        continue
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    files[path.name] = {"sha256": hashlib.sha256(content).hexdigest(), "organs": read(path)}
text = [f' "{name}": {json.dumps(file)}' for name, file in files.items()]
Path(out).write_text('{\n"truth": ' + json.dumps(truth()) + ',\n"files": {\n' + ",\n".join(text) + "\n}}\n")
worst = max(
    np.abs(np.array(found[1]) - truth()[key][1]).max()
    for file in files.values()
    for key, found in zip("123", file["organs"].values())
)
print(len(files), "files, worst centre", worst, "mm")
