//! What other people's files do to the program: a row for each, with the call, its exit code, what it says and what comes out.
//!
//! Files are drawn by the phantom of these tests and written by encoders of their own.

use std::io::Write;
use std::path::{Path, PathBuf};

use attention_anatomy::formats::nifti;
use attention_anatomy::volume::CtVolume;
use tempfile::TempDir;

use crate::support::{LIVER, SPLEEN, files_below, phantom, program, promised, run, write_phantom};

/// A data element in explicit little endian.
fn element(out: &mut Vec<u8>, group: u16, number: u16, vr: &str, value: &[u8]) {
    out.extend(group.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(vr.as_bytes());
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == "UI" { 0 } else { b' ' });
    }
    if vr == "OW" {
        out.extend([0, 0]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend((value.len() as u16).to_le_bytes());
    }
    out.extend(value);
}

/// How a series is written.
#[derive(Clone, Copy)]
struct Scan {
    number: usize,
    kernel: &'static str,
    image_type: &'static str,
    /// What is stored of a HU, and the intercept that is written.
    stored: fn(i16) -> i16,
    intercept: i16,
}

const PLAIN: Scan = Scan {
    number: 1,
    kernel: "B30f",
    image_type: "ORIGINAL\\PRIMARY\\AXIAL",
    stored: |hu| hu + 1024,
    intercept: -1024,
};

/// Slice `k` of a CT as a DICOM file.
fn slice(ct: &CtVolume, k: usize, scan: Scan) -> Vec<u8> {
    let [nx, ny, _] = ct.geometry.size;
    let spacing = ct.geometry.spacing();
    let origin = ct.geometry.to_patient([0.0, 0.0, k as f64]);
    let mut set = Vec::new();
    let mut put = |g, e, vr: &str, text: &str| element(&mut set, g, e, vr, text.as_bytes());
    put(0x8, 0x8, "CS", scan.image_type);
    put(0x8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put(0x8, 0x18, "UI", &format!("1.2.{}.{k}", scan.number));
    put(0x8, 0x60, "CS", "CT");
    put(0x18, 0x1210, "SH", scan.kernel);
    put(0x20, 0xd, "UI", "1.2");
    put(0x20, 0xe, "UI", &format!("1.2.{}", scan.number));
    put(0x20, 0x11, "IS", &scan.number.to_string());
    put(0x20, 0x32, "DS", &format!("{}\\{}\\{}", origin[0], origin[1], origin[2]));
    put(0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0");
    put(0x20, 0x52, "UI", "1.2.9");
    let number = |n: usize| (n as u16).to_le_bytes();
    element(&mut set, 0x28, 0x2, "US", &number(1));
    element(&mut set, 0x28, 0x4, "CS", b"MONOCHROME2");
    element(&mut set, 0x28, 0x10, "US", &number(ny));
    element(&mut set, 0x28, 0x11, "US", &number(nx));
    element(&mut set, 0x28, 0x30, "DS", format!("{}\\{}", spacing[1], spacing[0]).as_bytes());
    for (tag, n) in [(0x100, 16), (0x101, 16), (0x102, 15), (0x103, 1)] {
        element(&mut set, 0x28, tag, "US", &number(n));
    }
    element(&mut set, 0x28, 0x1052, "DS", scan.intercept.to_string().as_bytes());
    element(&mut set, 0x28, 0x1053, "DS", b"1");
    let pixels: Vec<u8> = ct.slice(k).iter().flat_map(|&hu| (scan.stored)(hu).to_le_bytes()).collect();
    element(&mut set, 0x7fe0, 0x10, "OW", &pixels);
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    element(&mut file, 2, 0x10, "UI", b"1.2.840.10008.1.2.1");
    file.extend(set);
    file
}

/// Writes the slices of a drawn scan into a folder, but for those that `change` has other bytes for.
fn write_series(folder: &Path, scan: Scan, change: impl Fn(usize, Vec<u8>) -> Option<Vec<u8>>) {
    let (ct, _) = phantom(0);
    std::fs::create_dir_all(folder).unwrap();
    for k in 0..ct.geometry.size[2] {
        if let Some(bytes) = change(k, slice(&ct, k, scan)) {
            std::fs::write(folder.join(format!("{}-{k}.dcm", scan.number)), bytes).unwrap();
        }
    }
}

fn zipped(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// The phantom as NIfTI, its header changed; not gzipped.
fn nifti_with(change: impl Fn(&mut [u8])) -> Vec<u8> {
    let (ct, _) = phantom(0);
    let mut bytes = Vec::new();
    let packed = nifti::write_ct(&ct, "drawn").unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).unwrap();
    change(&mut bytes);
    bytes
}

/// The spleen of the phantom as the liver, number 1 of a segmentation of 3D Slicer, on the grid of the phantom.
fn slicer(more: &str, value: u8) -> Vec<u8> {
    let (_, labels) = phantom(0);
    let [nx, ny, nz] = labels.geometry.size;
    let ([sx, sy, sz], [x, y, z]) = (labels.geometry.spacing(), labels.geometry.to_patient([0.0; 3]));
    let head = format!(
        "NRRD0004\ntype: unsigned char\ndimension: 3\nspace: left-posterior-superior\nsizes: {nx} {ny} {nz}\nspace directions: \
         ({sx},0,0) (0,{sy},0) (0,0,{sz})\nkinds: domain domain domain\nencoding: raw\nspace origin: ({x},{y},{z})\n{more}\n"
    );
    let voxels = labels.voxels.iter().map(|&l| if l == SPLEEN { value } else { 0 });
    head.into_bytes().into_iter().chain(voxels).collect()
}

/// The spleen of the phantom as the liver, in our numbers.
fn our_liver() -> Vec<u8> {
    let (_, labels) = phantom(0);
    let voxels = labels.voxels.iter().map(|&l| if l == SPLEEN { LIVER } else { 0 }).collect();
    nifti::write_labels(&labels.with_voxels(voxels), "AttentionAnatomy labels").unwrap()
}

/// A row: what is tried, the files in a folder of their own, the call in it, its exit code, and what it says (each of these).
struct Row {
    name: &'static str,
    write: fn(&Path),
    call: &'static [&'static str],
    code: i32,
    said: &'static [&'static str],
}

const SEGMENT: [&str; 5] = ["--all-organs", "--device", "cpu", "--output", "out"];

fn row(
    name: &'static str,
    write: fn(&Path),
    call: &'static [&'static str],
    code: i32,
    said: &'static [&'static str],
) -> Row {
    Row { name, write, call, code, said }
}

fn write(path: PathBuf, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

fn rows() -> Vec<Row> {
    vec![
        // 2: values.
        row(
            "DICOM, its intercept forgotten",
            |f| write_series(&f.join("ct"), Scan { intercept: 0, ..PLAIN }, |_, b| Some(b)),
            &["segment", "ct"],
            1,
            &["ct: the voxels do not look like CT in HU", "the rescale intercept", "insist with --assume-hu"],
        ),
        row(
            "the same, insisted on",
            |f| write_series(&f.join("ct"), Scan { intercept: 0, ..PLAIN }, |_, b| Some(b)),
            &["segment", "ct", "--assume-hu"],
            0,
            &["the voxels are taken as HU because that was asked for"],
        ),
        row(
            "DICOM, windowed to 8 bits",
            |f| {
                let stored = |hu: i16| ((i32::from(hu.clamp(-160, 240)) + 160) * 255 / 400) as i16;
                write_series(&f.join("ct"), Scan { stored, intercept: 0, ..PLAIN }, |_, b| Some(b));
            },
            &["segment", "ct"],
            1,
            &["they run from 0 to 229, as the grey values of a picture in 8 bits do"],
        ),
        row(
            "DICOM, one value everywhere",
            |f| write_series(&f.join("ct"), Scan { stored: |_| 0, ..PLAIN }, |_, b| Some(b)),
            &["segment", "ct"],
            1,
            &["every voxel holds -1024"],
        ),
        // 5: labels.
        row(
            "a liver of 3D Slicer with the number 1",
            |f| {
                write(
                    f.join("slicer.seg.nrrd"),
                    &slicer("Segment0_Name:=liver\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n", 1),
                );
                write(f.join("ours.nii.gz"), &our_liver());
            },
            &["compare", "ours.nii.gz", "slicer.seg.nrrd"],
            0,
            &["| Liver | 1 | 1.000"],
        ),
        row(
            "numbers with a table beside them",
            |f| {
                write(f.join("map.nrrd"), &slicer("", 5));
                write(f.join("map.ctbl"), b"# Color table\r\n0 Background 0 0 0 0\r\n5 Liver 1 2 3 255\r\n");
                write(f.join("ours.nii.gz"), &our_liver());
            },
            &["compare", "ours.nii.gz", "map.nrrd"],
            0,
            &["| Liver | 1 | 1.000"],
        ),
        row(
            "numbers without names",
            |f| {
                write(f.join("map.nrrd"), &slicer("", LIVER));
                write(f.join("ours.nii.gz"), &our_liver());
            },
            &["compare", "ours.nii.gz", "map.nrrd"],
            0,
            &["| Liver | 1 | 1.000", "map.nrrd: nothing names the labels of this map", "30 Liver"],
        ),
        row(
            "numbers of nobody here",
            |f| {
                write(f.join("map.nrrd"), &slicer("", 52));
                write(f.join("ours.nii.gz"), &our_liver());
            },
            &["compare", "ours.nii.gz", "map.nrrd"],
            1,
            &["map.nrrd: the label map holds the number 52, and organs are numbered 1 to 33"],
        ),
        row(
            "a fractional segmentation",
            |f| {
                let more = "Segment0_Name:=liver\nSegmentation_MasterRepresentation:=Fractional labelmap\n";
                write(f.join("map.seg.nrrd"), &slicer(more, 200));
                write(f.join("ours.nii.gz"), &our_liver());
            },
            &["compare", "ours.nii.gz", "map.seg.nrrd"],
            1,
            &["map.seg.nrrd: the segmentation is fractional"],
        ),
        // 13: small print of formats.
        row(
            "an .nhdr and its data by name",
            |f| {
                let (ct, _) = phantom(0);
                let head = String::from_utf8_lossy(&slicer("", 0)[..300]).into_owned();
                let head = head.split("\n\n").next().unwrap().replace("unsigned char", "short\r\nendian: little");
                write(f.join("scan.nhdr"), format!("{}\r\ndata file: voxels.bin\r\n", head.trim_end()).as_bytes());
                let voxels: Vec<u8> = ct.voxels.iter().flat_map(|v| v.to_le_bytes()).collect();
                write(f.join("voxels.bin"), &voxels);
            },
            &["segment", "scan.nhdr"],
            0,
            &["organs found"],
        ),
        row(
            "NIfTI in micrometres",
            |f| {
                write(
                    f.join("scan.nii"),
                    &nifti_with(|b| {
                        b[123] = 3;
                        let thousandfold = |b: &mut [u8], at: usize| {
                            let v = f32::from_le_bytes(b[at..at + 4].try_into().unwrap()) * 1000.0;
                            b[at..at + 4].copy_from_slice(&v.to_le_bytes());
                        };
                        (0..3).for_each(|n| thousandfold(b, 80 + 4 * n));
                        (0..3).for_each(|n| thousandfold(b, 268 + 4 * n));
                        (0..12).for_each(|n| thousandfold(b, 280 + 4 * n));
                    }),
                );
            },
            &["info", "scan.nii"],
            0,
            &["64 x 64 x 8 voxels of 4.000 x 4.000 x 3.000 mm"],
        ),
        row(
            "NIfTI that says metres and means millimetres",
            |f| write(f.join("scan.nii"), &nifti_with(|b| b[123] = 1)),
            &["segment", "scan.nii"],
            1,
            &["scan.nii: "],
        ),
        row(
            "an empty sform beside a qform",
            |f| write(f.join("scan.nii"), &nifti_with(|b| b[280..328].fill(0))),
            &["segment", "scan.nii"],
            0,
            &["the sform of the file is empty; its qform is used"],
        ),
        // 15: words.
        row(
            "a zip in a zip",
            |f| write(f.join("a.zip"), &zipped("inner.zip", &zipped("x", b"y"))),
            &["segment", "a.zip"],
            1,
            &["a.zip: inner.zip is a zip archive within the archive"],
        ),
        row(
            "gzipped twice",
            |f| {
                write_phantom(0, &f.join("x"));
                let once = std::fs::read(f.join("x")).unwrap();
                write(f.join("a.nii.gz"), &gzipped(&once));
            },
            &["segment", "a.nii.gz"],
            1,
            &["a.nii.gz is gzipped twice"],
        ),
        row(
            "a series of what has none",
            |f| write_phantom(0, &f.join("a.nii.gz")),
            &["segment", "a.nii.gz", "--series", "2"],
            1,
            &["a series was asked for, but these are no DICOM files"],
        ),
    ]
}

/// The folders of DICOM files.
fn folders() -> Vec<Row> {
    vec![
        row(
            "two series, the better one read and said",
            |f| {
                write_series(&f.join("ct"), Scan { number: 1, kernel: "B70f", ..PLAIN }, |_, b| Some(b));
                write_series(&f.join("ct"), Scan { number: 2, ..PLAIN }, |_, b| Some(b));
            },
            &["segment", "ct"],
            0,
            &[
                "the files hold 2 series; number 2 of them was read (8 slices, 3.00 mm apart, kernel B30f) because its kernel is soft",
            ],
        ),
        row(
            "the other one, asked for by its number",
            |f| {
                write_series(&f.join("ct"), Scan { number: 1, kernel: "B70f", intercept: 0, ..PLAIN }, |_, b| Some(b));
                write_series(&f.join("ct"), Scan { number: 2, ..PLAIN }, |_, b| Some(b));
            },
            &["segment", "ct", "--series", "1"],
            1,
            &["the rescale intercept"],
        ),
        row(
            "a number that no series has",
            |f| write_series(&f.join("ct"), PLAIN, |_, b| Some(b)),
            &["segment", "ct", "--series", "3"],
            1,
            &["there is no series number 3 among the files; the series found are: 1.2.1"],
        ),
        row(
            "the list",
            |f| {
                write_series(&f.join("ct"), PLAIN, |_, b| Some(b));
                write_series(
                    &f.join("ct"),
                    Scan { number: 2, image_type: "DERIVED\\PRIMARY\\MPR", ..PLAIN },
                    |_, b| Some(b),
                );
            },
            &["info", "ct"],
            0,
            &["1: CT series 1.2.1, 8 slices of 64 x 64, 3.00 mm apart, kernel B30f", "2: CT series 1.2.2", "DERIVED"],
        ),
        row(
            "one of the list",
            |f| {
                write_series(&f.join("ct"), PLAIN, |_, b| Some(b));
                write_series(&f.join("ct"), Scan { number: 2, ..PLAIN }, |_, b| Some(b));
            },
            &["info", "ct", "--series", "1.2.2"],
            0,
            &["2: CT series 1.2.2"],
        ),
        row(
            "a slice that became nothing",
            |f| write_series(&f.join("ct"), PLAIN, |k, b| Some(if k == 3 { vec![0; 9] } else { b })),
            &["segment", "ct"],
            1,
            &["ct: slices are missing (1 in all", "no DICOM, but perhaps meant to be: 1-3.dcm"],
        ),
        row(
            "a file copied twice",
            |f| {
                write_series(&f.join("ct"), PLAIN, |_, b| Some(b));
                write_series(&f.join("ct/again"), PLAIN, |_, b| Some(b));
            },
            &["segment", "ct"],
            0,
            &["copies of slices that are there twice were left out: 8"],
        ),
    ]
}

fn check(row: &Row) {
    let folder = TempDir::new().unwrap();
    (row.write)(folder.path());
    let (command, rest) = row.call.split_first().unwrap();
    let mut call = program(command);
    call.current_dir(folder.path()).args(rest);
    let segments = *command == "segment";
    if segments {
        call.args(SEGMENT);
    }
    let said = run(&mut call);
    assert_eq!(said.code, Some(row.code), "{}: {said:#?}", row.name);
    for sentence in row.said {
        assert!(
            said.stderr.contains(sentence) || said.stdout.contains(sentence),
            "{}, {sentence}: {said:#?}",
            row.name
        );
    }
    assert_eq!(said.errors().len(), usize::from(row.code != 0), "{}: {said:#?}", row.name);
    if segments {
        let written = files_below(&folder.path().join("out"));
        match row.code {
            // A DICOM series gets a structure set, too.
            0 => assert!(promised().is_subset(&written), "{}: {written:?}", row.name),
            _ => assert!(written.is_empty(), "{}: {written:?}", row.name),
        }
    }
}

#[test]
fn files_of_other_programs_are_read_or_refused_in_one_sentence() {
    rows().iter().for_each(check);
}

#[test]
fn folders_of_other_programs_are_read_or_refused_in_one_sentence() {
    folders().iter().for_each(check);
}
