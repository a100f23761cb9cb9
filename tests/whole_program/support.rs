//! What the tests share: the binary, what it leaves behind, and files for it to read.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attention_anatomy::formats::{archive, nifti};
use attention_anatomy::volume::{CtVolume, Geometry, LabelVolume, Modality, Volume};

/// Label of the spleen in the anatomy table.
pub const SPLEEN: u8 = 32;
/// Label of the right kidney in the anatomy table.
pub const KIDNEY_RIGHT: u8 = 28;
/// Label of the liver in the anatomy table.
pub const LIVER: u8 = 30;

/// The files that every segmentation promises.
pub const PROMISED: [&str; 6] =
    ["attention.csv", "attention.json", "labels.nii.gz", "report.html", "run.json", "statistics.csv"];

/// Network and input of a training file that trains in seconds.
pub const SMALL_NETWORK: &str = "
[network]
base = 4
levels = 3
stack = 5
attention = true

[input]
spacing_mm = 4.0
crop = 64
slice_distance_mm = 3.0
input_fwhm_mm = 4.0
stack = 5
hu_knots = [[-1000.0, 0.0], [-500.0, 0.1], [-160.0, 0.2], [240.0, 0.85], [700.0, 0.95], [2000.0, 1.0]]
";

/// A call of the program.
pub fn program(command: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let binary = folder.join(format!("attention-anatomy{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} is not there; build the program first with `cargo build --release`",
        binary.display()
    );
    let mut call = Command::new(binary);
    call.arg(command);
    call
}

/// What a call said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// The lines that report errors.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|l| l.starts_with("error:")).collect()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let said = Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!said.stderr.contains("panicked"), "{said:#?}");
        said
    }
}

/// Runs a call to its end. A panic of the program fails the test, whatever the test is about.
pub fn run(call: &mut Command) -> Said {
    call.output().unwrap().into()
}

/// Runs a call that must succeed.
pub fn succeed(call: &mut Command) -> Said {
    let said = run(call);
    assert_eq!(said.code, Some(0), "{said:#?}");
    said
}

/// A call of `segment` that computes on the processor.
pub fn segment(input: &Path, output: &Path) -> Command {
    let mut call = program("segment");
    call.arg(input).arg("--output").arg(output).args(["--device", "cpu"]);
    call
}

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// Writes the files of an archive in `tests/data` whose names start with `prefix` into a folder; their paths.
pub fn unpack(archive: &str, prefix: &str, folder: &Path) -> Vec<PathBuf> {
    let files = archive::unzip(&std::fs::read(data(archive)).unwrap(), 1 << 30).unwrap();
    let mut paths = Vec::new();
    for (name, bytes) in files.into_iter().filter(|(name, _)| name.starts_with(prefix)) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    assert!(!paths.is_empty(), "{archive} holds nothing below `{prefix}`");
    paths
}

/// The CT of four slices in `tests/data` as a scanner would send it.
pub fn unpack_identified(folder: &Path) -> Vec<PathBuf> {
    let paths = unpack("ct-dicom-jpeg2000.zip", "", folder);
    for (n, path) in paths.iter().enumerate() {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, whole_program_tests::identified(bytes, n + 1)).unwrap();
    }
    paths
}

/// All files below a folder, relative to it, with `/` between the parts. None for a folder that is not there.
pub fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for path in entries.map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let parts = path.strip_prefix(folder).unwrap().iter();
                files.insert(parts.map(|p| p.to_string_lossy()).collect::<Vec<_>>().join("/"));
            }
        }
    }
    files
}

/// The names of [`PROMISED`].
pub fn promised() -> BTreeSet<String> {
    PROMISED.map(String::from).into()
}

/// A NIfTI-1 file, taken apart by the offsets of nifti1.h and by nothing of this project.
#[derive(Debug)]
pub struct Nifti {
    /// Number of axes, then voxels along each.
    pub dim: [i16; 8],
    /// Code of the type of a voxel.
    pub datatype: i16,
    /// qfac, then voxel distances.
    pub pixdim: [f32; 8],
    /// What the sform refers to.
    pub sform_code: i16,
    /// Rows `srow_x`, `srow_y`, `srow_z`, as stored.
    pub sform: [u8; 48],
    /// Voxels as stored.
    pub voxels: Vec<u8>,
}

impl Nifti {
    /// Reads a gzipped file, least significant byte first.
    pub fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        let i16_at = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let f32_at = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(&bytes[344..348], b"n+1\0", "{}", path.display());
        Self {
            dim: std::array::from_fn(|n| i16_at(40 + 2 * n)),
            datatype: i16_at(70),
            pixdim: std::array::from_fn(|n| f32_at(76 + 4 * n)),
            sform_code: i16_at(254),
            sform: bytes[280..328].try_into().unwrap(),
            voxels: bytes[f32_at(108) as usize..].to_vec(),
        }
    }

    /// Voxels along the three axes.
    pub fn size(&self) -> [usize; 3] {
        assert_eq!(self.dim[0], 3);
        [1, 2, 3].map(|n| usize::try_from(self.dim[n]).unwrap())
    }

    /// How many voxels of a label map (uint8) have each value.
    pub fn label_counts(&self) -> [usize; 256] {
        assert_eq!(self.datatype, 2, "a label map is stored as uint8");
        assert_eq!(self.voxels.len(), self.size().iter().product::<usize>());
        let mut counts = [0; 256];
        self.voxels.iter().for_each(|&v| counts[usize::from(v)] += 1);
        counts
    }

    /// The values that occur in a label map.
    pub fn labels(&self) -> BTreeSet<u8> {
        let counts = self.label_counts();
        (0..=u8::MAX).filter(|&v| counts[usize::from(v)] > 0).collect()
    }
}

/// A table as the program writes it: lines end in CRLF, and no field of these tables needs quotes.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file; all rows must have as many cells as the header.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with("\r\n") && !text.contains('"'), "{}", path.display());
        let mut lines = text.split_terminator("\r\n").map(|l| l.split(',').map(String::from).collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let rows: Vec<_> = lines.collect();
        assert!(rows.iter().all(|r| r.len() == header.len()), "{}: ragged", path.display());
        Self { header, rows }
    }

    /// Number of rows below the header.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.header.len()
    }

    /// A cell by row and name of its column.
    pub fn cell(&self, row: usize, column: &str) -> &str {
        let at = self.header.iter().position(|h| h == column);
        &self.rows[row][at.unwrap_or_else(|| panic!("no column `{column}` in {:?}", self.header))]
    }

    /// A cell as a number.
    pub fn number(&self, row: usize, column: &str) -> f64 {
        let cell = self.cell(row, column);
        cell.parse().unwrap_or_else(|_| panic!("row {row}, {column}: `{cell}` is not a number"))
    }

    /// Names of columns.
    pub fn columns(&self, range: std::ops::Range<usize>) -> Vec<&str> {
        self.header[range].iter().map(String::as_str).collect()
    }
}

/// A drawn body of 64 x 64 x 8 voxels of 4 x 4 x 3 mm: a disc of soft tissue with a bright ellipse on the patient's left,
/// which stands for the spleen, and a darker one on the right, which stands for the right kidney. `variant` moves both.
/// The labels hold both. No two variants are the same scan: their air differs.
pub fn phantom(variant: usize) -> (CtVolume, LabelVolume) {
    let geometry = Geometry::axial([64, 64, 8], [4.0, 4.0, 3.0], [-126.0, -126.0, 12.0]).unwrap();
    let moved = 6.0 * (variant % 5) as f64 - 12.0;
    let (mut hu, mut labels) = (Vec::new(), Vec::new());
    for k in 0..8 {
        for j in 0..64 {
            for i in 0..64 {
                let (left, posterior) = (4.0 * f64::from(i) - 126.0, 4.0 * f64::from(j) - 126.0);
                let within =
                    |x: f64, y: f64, a: f64, b: f64| ((left - x) / a).powi(2) + ((posterior - y) / b).powi(2) < 1.0;
                let (value, label) = if !within(0.0, 0.0, 105.0, 95.0) {
                    // Outside the body, where nothing looks at it.
                    (if hu.is_empty() { -1000 + variant as i16 } else { -1000 }, 0)
                } else if (1..7).contains(&k) && within(50.0, moved, 30.0, 22.0) {
                    (200, SPLEEN)
                } else if (1..7).contains(&k) && within(-50.0, -moved, 24.0, 30.0) {
                    (-60, KIDNEY_RIGHT)
                } else {
                    (40, 0)
                };
                hu.push(value);
                labels.push(label);
            }
        }
    }
    let ct = Volume::from_stored(geometry, hu, Modality::Ct).unwrap();
    let labels = ct.with_voxels(labels);
    (ct, labels)
}

/// Writes the CT of a [`phantom`].
pub fn write_phantom(variant: usize, path: &Path) {
    let (ct, _) = phantom(variant);
    std::fs::write(path, nifti::write_ct(&ct, "drawn").unwrap()).unwrap();
}

/// The type of a file of the page, by its name.
pub fn type_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
