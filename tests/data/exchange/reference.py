"""Structures as other programs write and read them, and what the tests compare with.

Needs numpy, pydicom, rt-utils, highdicom, scikit-image and SimpleITK. The stored files were made with:

    python reference.py ct ct.zip
    python reference.py theirs ct.zip rt-utils.dcm highdicom-seg.dcm highdicom-labelmap.dcm
    EXCHANGE=$PWD cargo test --release --workspace --lib exchange    (writes ours-rtstruct.dcm, ours-xor.dcm, ours-seg.dcm)
    python reference.py read ct.zip expected.json ours-rtstruct.dcm ours-xor.dcm ours-seg.dcm

`ct` makes a CT of five organs by closed form, each of a HU of its own, in slices that are turned by 12 degrees and stored from the
head down. `theirs` lets rt-utils and highdicom write the organs. `read` says how many voxels and which centre of mass each organ has
in our files, by each of the readers, and the SHA-256 of the files: the tests write them again and compare.
"""

import hashlib
import io
import json
import math
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

warnings.filterwarnings("ignore")

SIZE = [24, 24, 8]
# Name, HU, first and last voxel along i, j, k. The liver has a hole, which is the stomach and more.
ORGANS = [
    ("Liver", 100, (3, 13), (4, 15), (1, 6)),
    ("Stomach", 200, (7, 9), (8, 10), (2, 4)),
    ("Kidney_L", 300, (16, 21), (3, 8), (0, 3)),
    ("Spleen", 400, (15, 23), (17, 23), (5, 7)),
    ("Heart", 500, (0, 4), (18, 22), (2, 2)),
]
HOLE = ((6, 11), (7, 12), (1, 6))
S, C = math.sin(math.radians(12)), math.cos(math.radians(12))
# Steps along i, j, k in patient mm, and the first voxel. Pixels are square because rt-utils takes the two distances for each other.
STEPS = np.array([[2.0, 0.0, 0.0], [0.0, 2.0 * C, 2.0 * S], [0.0, 4.0 * S, -4.0 * C]])
ORIGIN = np.array([-31.5, 12.25, -208.5])


def hu():
    """[k, j, i]"""
    k, j, i = np.meshgrid(*[np.arange(n) for n in reversed(SIZE)], indexing="ij")
    inside = lambda box: np.logical_and.reduce([(a >= low) & (a <= high) for a, (low, high) in zip((i, j, k), box)])
    volume = np.full(i.shape, -1000, np.int16)
    for name, value, *box in ORGANS:
        where = inside(box) & ~inside(HOLE) if name == "Liver" else inside(box)
        volume[where] = value
    return volume


def make_ct(path):
    volume = hu()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(SIZE[2]):
            d = Dataset()
            d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"1.2.826.0.1.3680043.10.1.{k + 1}"
            d.StudyInstanceUID, d.SeriesInstanceUID = "1.2.826.0.1.3680043.10.2", "1.2.826.0.1.3680043.10.3"
            d.FrameOfReferenceUID, d.PositionReferenceIndicator = "1.2.826.0.1.3680043.10.4", ""
            d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "Phantom^Exchange", "X1", "", "O"
            d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20240229", "120000", "1", ""
            d.ReferringPhysicianName, d.Manufacturer, d.Modality = "", "", "CT"
            d.SeriesNumber, d.InstanceNumber, d.ImageType = 1, k + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
            d.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + k * STEPS[2]]
            d.ImageOrientationPatient = [f"{v:.8f}" for v in (*STEPS[0] / 2.0, *STEPS[1] / 2.0)]
            d.PixelSpacing, d.SliceThickness, d.KVP = [2.0, 2.0], 4.0, 120
            d.PatientPosition = "HFS"
            d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
            d.Rows, d.Columns, d.BitsAllocated, d.BitsStored, d.HighBit = SIZE[1], SIZE[0], 16, 16, 15
            d.PixelRepresentation, d.RescaleIntercept, d.RescaleSlope, d.RescaleType = 1, 0, 1, "HU"
            d.PixelData = volume[k].tobytes()
            d.file_meta = FileMetaDataset()
            d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            out = io.BytesIO()
            pydicom.dcmwrite(out, d, enforce_file_format=True)
            archive.writestr(zipfile.ZipInfo(f"{k + 1}.dcm"), out.getvalue(), zipfile.ZIP_DEFLATED)


def slices(archive):
    with zipfile.ZipFile(archive) as files:
        read = [pydicom.dcmread(io.BytesIO(files.read(name))) for name in files.namelist()]
    return sorted(read, key=lambda d: d.InstanceNumber)


def make_theirs(archive, rtstruct, segmentation, label_map):
    import highdicom
    from highdicom.seg import Segmentation, SegmentAlgorithmTypeValues, SegmentDescription, SegmentationTypeValues
    from pydicom.sr.codedict import codes
    from rt_utils import RTStructBuilder

    volume = hu()
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(archive).extractall(folder)
        builder = RTStructBuilder.create_new(dicom_series_path=folder)
        # rt-utils orders slices along the normal of the slices, which here is against their numbers.
        order = np.argsort([float(np.dot(np.cross(STEPS[0], STEPS[1]), ORIGIN + k * STEPS[2])) for k in range(SIZE[2])])
        for name, value, *_ in ORGANS:
            mask = np.moveaxis(volume[order] == value, 0, 2)
            builder.add_roi(mask=mask, name=name, approximate_contours=False)
        builder.save(rtstruct)
    read = slices(archive)
    types = {
        "Liver": codes.SCT.Liver,
        "Stomach": codes.SCT.Stomach,
        "Kidney_L": codes.SCT.Kidney,
        "Spleen": codes.SCT.Spleen,
        "Heart": codes.SCT.Heart,
    }
    algorithm = highdicom.AlgorithmIdentificationSequence("closed form", codes.DCM.ArtificialIntelligence, "1")
    descriptions = [
        SegmentDescription(
            segment_number=n + 1,
            segment_label=name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=types[name],
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for n, (name, *_) in enumerate(ORGANS)
    ]
    labels = np.zeros(volume.shape, np.uint8)
    for n, (_, value, *_) in enumerate(ORGANS):
        labels[volume == value] = n + 1
    for path, kind in ((segmentation, SegmentationTypeValues.BINARY), (label_map, SegmentationTypeValues.LABELMAP)):
        Segmentation(
            source_images=read,
            pixel_array=labels,
            segmentation_type=kind,
            segment_descriptions=descriptions,
            series_instance_uid=highdicom.UID(),
            series_number=2,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="closed form",
            manufacturer_model_name="reference.py",
            software_versions="1",
            device_serial_number="1",
        ).save_as(path)


def summary(mask):
    """Voxels and centre of mass in patient mm of a mask [k, j, i]."""
    k, j, i = np.nonzero(mask)
    centre = ORIGIN + np.stack([i, j, k], 1).mean(0) @ STEPS
    return {"voxels": int(len(i)), "centre": [round(float(v), 4) for v in centre]}


def by_scikit_image(dataset, read):
    """pydicom reads, scikit-image fills; contours of one slice exclude each other."""
    from skimage.draw import polygon

    found = {}
    names = {roi.ROINumber: roi.ROIName for roi in dataset.StructureSetROISequence}
    inverse = np.linalg.inv(STEPS)
    for roi in dataset.ROIContourSequence:
        mask = np.zeros(SIZE[::-1], bool)
        for contour in roi.ContourSequence:
            index = (np.array(contour.ContourData, float).reshape(-1, 3) - ORIGIN) @ inverse
            plane = np.zeros(SIZE[1::-1], bool)
            plane[polygon(index[:, 1], index[:, 0], plane.shape)] = True
            uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            k = next(n for n, d in enumerate(read) if d.SOPInstanceUID == uid)
            assert np.abs(index[:, 2] - k).max() < 1e-3, "a contour lies off its slice"
            mask[k] ^= plane
        found[names[roi.ReferencedROINumber]] = summary(mask)
    return found


def by_rt_utils(path, archive):
    """As rt-utils reads it: points are rounded to pixels and the borders belong to the structure."""
    from rt_utils import RTStructBuilder

    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(archive).extractall(folder)
        structures = RTStructBuilder.create_from(dicom_series_path=folder, rt_struct_path=path)
        return {name: int(structures.get_roi_mask_by_name(name).sum()) for name in structures.get_roi_names()}


def by_highdicom(path, read):
    import highdicom

    segmentation = highdicom.seg.segread(path)
    uids = [d.SOPInstanceUID for d in read]
    pixels = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    labels = [segmentation.get_segment_description(n).SegmentLabel for n in segmentation.segment_numbers]
    return {label: summary(pixels[..., n]) for n, label in enumerate(labels)}


def by_simpleitk(path):
    """Voxels of all segments together, as ITK's reader of multi-frame objects sees them."""
    import SimpleITK

    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
    return int((image > 0).sum())


def read_ours(archive, out, *paths):
    read = slices(archive)
    volume = hu()
    found = {"truth": {name: summary(volume == value) for name, value, *_ in ORGANS}, "files": {}}
    for path in paths:
        bytes_ = Path(path).read_bytes()
        dataset = pydicom.dcmread(path)
        entry = {"sha256": hashlib.sha256(bytes_).hexdigest()}
        if dataset.Modality == "RTSTRUCT":
            entry["scikit-image"] = by_scikit_image(dataset, read)
            entry["rt-utils"] = by_rt_utils(path, archive)
        else:
            entry["highdicom"] = by_highdicom(path, read)
            entry["SimpleITK"] = by_simpleitk(path)
        found["files"][Path(path).name] = entry
    Path(out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    {"ct": make_ct, "theirs": make_theirs, "read": read_ours}[sys.argv[1]](*sys.argv[2:])
