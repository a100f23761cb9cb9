"""What other programs read of the phantom in 24 orientations, written by this program as RTSTRUCT, SEG and NIfTI.

Needs numpy, pydicom, highdicom, nibabel, SimpleITK, scikit-image and rt-utils. The stored file was made with:

    EXCHANGE=FOLDER cargo test --release --workspace --lib every_orientation    (writes the 72 files)
    python orientations.py FOLDER orientations.json

Structure sets are read by pydicom: an organ's volume is the area of its polygons (their vector area in the patient) times the distance of
slices, its centre that of the polygons. Segmentations are read by highdicom, label maps by nibabel, whose frame is turned from RAS to LPS.
The truth is the closed form of the phantom (`core/src/formats/analytic.rs`).

And again by two others. SimpleITK reads label maps, whose voxels lie where it says, and the CT: a series that pydicom writes here by closed
form, with the identifiers to which the structure set refers; a structure set's contours are filled on that (scikit-image), in the plane of
the slice to which they refer. rt-utils reads structure sets on the same CT. It rounds points to pixels and takes borders for inside, so
that an organ may be larger by a pixel at each side and its centre off by half a one; and it takes rows for columns and the two distances of
pixels for each other, so that it is handed the CT with as many of the one as of the other, the further ones empty, and the distances exchanged.
"""

import gzip
import hashlib
import itertools
import json
import sys
import tempfile
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from rt_utils import RTStructBuilder
from skimage.draw import polygon

SIZE = np.array([13, 11, 9])
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


def orientations():
    """Unit steps along rows, columns and slices, in the order of the files' numbers: those of 48 in which slices lie along row x column."""
    for order in itertools.permutations(range(3)):
        for bits in range(8):
            axes = np.zeros((3, 3))
            for n in range(3):
                axes[n, order[n]] = -1 if bits >> n & 1 else 1
            if np.allclose(np.cross(axes[0], axes[1]), axes[2]):
                yield axes


def write_ct(folder, axes, rtstruct, exchanged):
    """The CT that a structure set was drawn on, empty: slices in the order in which it refers to them."""
    series = rtstruct.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    size = [int(SIZE @ np.abs(axis)) for axis in axes]
    steps = axes * SPACING
    first = ORIGIN + sum((np.array(SIZE) - 1) * SPACING * (axis < 0) for axis in axes)
    assert len(series.ContourImageSequence) == size[2]
    for k, image in enumerate(series.ContourImageSequence):
        d = Dataset()
        d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, image.ReferencedSOPInstanceUID
        d.StudyInstanceUID, d.SeriesInstanceUID = rtstruct.StudyInstanceUID, series.SeriesInstanceUID
        d.FrameOfReferenceUID = rtstruct.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID
        d.PatientName, d.PatientID, d.Modality, d.InstanceNumber = "", "", "CT", k + 1
        d.ImagePositionPatient = [f"{v:.6f}" for v in first + k * steps[2]]
        d.ImageOrientationPatient = [f"{v:.0f}" for v in (*axes[0], *axes[1])]
        across, down = float(np.abs(steps[0]).sum()), float(np.abs(steps[1]).sum())
        d.PixelSpacing = [across, down] if exchanged else [down, across]
        d.SliceThickness = float(np.abs(steps[2]).sum())
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.Columns, d.Rows = [max(size[:2])] * 2 if exchanged else size[:2]
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, 15
        d.PixelRepresentation, d.RescaleIntercept, d.RescaleSlope = 1, 0, 1
        d.PixelData = np.zeros(d.Columns * d.Rows, np.int16).tobytes()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(f"{folder}/{k + 1:02}.dcm", d, enforce_file_format=True)
    return series.SeriesInstanceUID


def by_simpleitk_contours(path, axes):
    data = pydicom.dcmread(path)
    with tempfile.TemporaryDirectory() as folder:
        uid = write_ct(folder, axes, data, exchanged=False)
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder, uid))
        reader.MetaDataDictionaryArrayUpdateOn()
        ct = reader.Execute()
        uids = [reader.GetMetaData(k, "0008|0018").strip("\0 ") for k in range(ct.GetDepth())]
    names = {roi.ROINumber: roi.ROIName for roi in data.StructureSetROISequence}
    found = {}
    for roi in data.ROIContourSequence:
        mask = np.zeros((ct.GetDepth(), ct.GetHeight(), ct.GetWidth()), bool)
        for contour in roi.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            index = np.array([ct.TransformPhysicalPointToContinuousIndex(p.tolist()) for p in points])
            k = uids.index(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
            assert np.abs(index[:, 2] - k).max() < 1e-3, "a contour lies off its slice"
            plane = np.zeros(mask.shape[1:], bool)
            plane[polygon(index[:, 1], index[:, 0], plane.shape)] = True
            mask[k] ^= plane
        places = [ct.TransformIndexToPhysicalPoint([int(v) for v in p[::-1]]) for p in np.argwhere(mask)]
        found[names[roi.ReferencedROINumber]] = entry(len(places), np.mean(places, 0))
    return found


def by_simpleitk_labels(path):
    image = SimpleITK.ReadImage(str(path))
    values = SimpleITK.GetArrayFromImage(image)
    found = {}
    for n in np.unique(values[values > 0]):
        places = [image.TransformIndexToPhysicalPoint([int(v) for v in p[::-1]]) for p in np.argwhere(values == n)]
        found[str(n)] = entry(len(places), np.mean(places, 0))
    return found


def by_rt_utils(path, axes):
    data = pydicom.dcmread(path)
    with tempfile.TemporaryDirectory() as folder:
        write_ct(folder, axes, data, exchanged=True)
        structures = RTStructBuilder.create_from(dicom_series_path=folder, rt_struct_path=str(path))
        first = np.array(structures.series_data[0].ImagePositionPatient, float)
        found = {}
        for name in structures.get_roi_names():
            rows_columns_slices = np.argwhere(structures.get_roi_mask_by_name(name))
            places = first + rows_columns_slices[:, [1, 0, 2]] @ (axes * SPACING)
            found[name] = entry(len(places), places.mean(0))
    return found


folder, out = Path(sys.argv[1]), sys.argv[2]
files, axes = {}, list(orientations())
for path in sorted(folder.iterdir()):
    read = next((f for end, f in (("rtstruct.dcm", rtstruct), ("seg.dcm", segmentation), ("labels.nii.gz", labels)) if path.name.endswith(end)), None)
    if read is None:
        continue
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    files[path.name] = {"sha256": hashlib.sha256(content).hexdigest(), "organs": read(path)}
    own = axes[int(path.name[:2])]
    if read is rtstruct:
        files[path.name] |= {"simpleitk": by_simpleitk_contours(path, own), "rt_utils": by_rt_utils(path, own)}
    if read is labels:
        files[path.name] |= {"simpleitk": by_simpleitk_labels(path)}
text = [f' "{name}": {json.dumps(file)}' for name, file in files.items()]
Path(out).write_text('{\n"truth": ' + json.dumps(truth()) + ',\n"files": {\n' + ",\n".join(text) + "\n}}\n")
for reader in ("organs", "simpleitk", "rt_utils"):
    off = [
        np.abs(np.array(found[1]) - truth()[key][1])
        for file in files.values()
        for key, found in zip("123", file.get(reader, {}).values())
    ]
    print(reader, len(off), "organs, worst centre", np.max(off, 0), "mm; half a voxel is", SPACING / 2)
