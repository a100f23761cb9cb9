"""What pydicom reads of an RTSTRUCT and a SEG: for every structure its extent in voxels or mm2 and its centre in the patient (LPS, mm), as
JSON. Contours by the areas of their polygons, segments by their pixels; nothing of this project takes part."""

import json
import sys

import pydicom


def polygon(points):
    """Area and centre of a closed planar polygon; a channel of no width, as to a hole, has no area."""
    area = x = y = 0.0
    for (x0, y0, _), (x1, y1, _) in zip(points, points[1:] + points[:1]):
        cross = x0 * y1 - x1 * y0
        area, x, y = area + cross, x + (x0 + x1) * cross, y + (y0 + y1) * cross
    return abs(area / 2), [x / (3 * area), y / (3 * area), points[0][2]]


def mean(weighted):
    total = sum(weight for weight, _ in weighted)
    return [total] + [sum(weight * at[axis] for weight, at in weighted) / total for axis in range(3)]


def structures(data):
    names = {roi.ROINumber: str(roi.ROIName) for roi in data.StructureSetROISequence}
    found = {}
    for roi in data.ROIContourSequence:
        weighted = []
        for contour in roi.ContourSequence:
            numbers = [float(number) for number in contour.ContourData]
            weighted.append(polygon([numbers[n : n + 3] for n in range(0, len(numbers), 3)]))
        found[names[roi.ReferencedROINumber]] = mean(weighted)
    return found


def segments(data):
    labels = {segment.SegmentNumber: str(segment.SegmentLabel) for segment in data.SegmentSequence}
    shared = data.SharedFunctionalGroupsSequence[0]
    row, column = [float(number) for number in shared.PixelMeasuresSequence[0].PixelSpacing]
    cosines = [float(number) for number in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    width, size = data.Columns, data.Rows * data.Columns
    found = {}
    for frame, groups in enumerate(data.PerFrameFunctionalGroupsSequence):
        label = labels[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        origin = [float(number) for number in groups.PlanePositionSequence[0].ImagePositionPatient]
        for byte in range(frame * size // 8, (frame + 1) * size // 8 + 1):
            value = data.PixelData[byte] if byte < len(data.PixelData) else 0
            for bit in range(8) if value else []:
                pixel = byte * 8 + bit - frame * size
                if value >> bit & 1 and 0 <= pixel < size:
                    j, i = divmod(pixel, width)
                    at = [origin[n] + i * column * cosines[n] + j * row * cosines[3 + n] for n in range(3)]
                    found.setdefault(label, []).append((1, at))
    return {label: mean(weighted) for label, weighted in found.items()}


out = {}
for path in sys.argv[1:]:
    data = pydicom.dcmread(path)
    out[str(data.Modality)] = structures(data) if data.Modality == "RTSTRUCT" else segments(data)
    out["study"] = str(data.StudyInstanceUID)
json.dump(out, sys.stdout)
