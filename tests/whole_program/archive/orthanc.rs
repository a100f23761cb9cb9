//! A real archive: Orthanc with its DICOMweb plugin, on loopback, where it is installed (Debian: orthanc, orthanc-dicomweb).

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use attention_anatomy::anatomy::Organ;
use base64::Engine;
use whole_program_tests::{left_out, wait};

use super::server::{SERIES, STUDY};
use super::{archive, without_proxy};
use crate::support::{Nifti, files_below, program, run, succeed, unpack_identified};

/// Its configuration as `cargo xtask archive` has it, with the plugins where Debian and its relatives have them.
const CONFIGURATION: &str = include_str!("../../../xtask/src/archive/orthanc.json");
/// How far a centre may lie from that of the label map, mm.
const CLOSE_MM: f64 = 0.01;

/// Why a test is left out.
pub const MISSING: &str = "Orthanc is not installed (Debian: apt-get install orthanc orthanc-dicomweb)";
/// The same.
pub const NO_PYDICOM: &str = "pydicom is not installed (Debian: apt-get install python3-pydicom)";

/// One that runs until it is dropped.
pub struct Orthanc {
    process: Child,
    /// The root of its DICOMweb services.
    pub root: String,
    token: PathBuf,
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Where a program lies that may be meant for root alone.
fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

impl Orthanc {
    /// `None` where there is none.
    fn start(folder: &Path) -> Option<Self> {
        Self::start_beside(folder, None)
    }

    /// With a page on the same origin, below `/viewer`, and then without asking who asks.
    pub fn start_beside(folder: &Path, page: Option<&Path>) -> Option<Self> {
        let mut configuration: serde_json::Value = serde_json::from_str(CONFIGURATION).unwrap();
        let mut plugins = configuration["Plugins"].as_array().unwrap().iter();
        let is_there = plugins.all(|plugin| Path::new(plugin.as_str().unwrap()).is_file());
        let program = found("Orthanc").filter(|_| is_there)?;
        std::fs::create_dir_all(folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        configuration["StorageDirectory"] = serde_json::json!(folder.join("storage"));
        configuration["IndexDirectory"] = configuration["StorageDirectory"].clone();
        configuration["HttpPort"] = port.into();
        match page {
            Some(page) => configuration["ServeFolders"]["Folders"]["/viewer"] = serde_json::json!(page),
            None => {
                configuration["AuthenticationEnabled"] = true.into();
                configuration["RegisteredUsers"] = serde_json::json!({ "reader": "a password" });
            }
        }
        let file = folder.join("orthanc.json");
        std::fs::write(&file, configuration.to_string()).unwrap();
        let token = folder.join("token");
        let value = base64::engine::general_purpose::STANDARD.encode("reader:a password");
        std::fs::write(&token, format!("Basic {value}\n")).unwrap();
        let mut call = Command::new(program);
        let process = call.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let orthanc = Self { process, root: format!("http://127.0.0.1:{port}/dicom-web"), token };
        wait("Orthanc listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(orthanc)
    }

    fn call(&self, command: &str) -> Command {
        let mut call = archive(command, &self.root);
        call.arg("--token-file").arg(&self.token);
        call
    }
}

/// [`centres`] of a label map by its sform, read here: the program's geometry takes no part.
fn centres_of_file(labels: &Path) -> BTreeMap<String, [f64; 4]> {
    let nifti = Nifti::read(labels);
    let affine: Vec<f64> =
        nifti.sform.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect();
    centres(nifti.size(), &nifti.voxels, |at| {
        std::array::from_fn(|axis| {
            let row = &affine[4 * axis..4 * axis + 4];
            // NIfTI counts to the right and to the front, DICOM to the left and to the back.
            let sign = if axis < 2 { -1.0 } else { 1.0 };
            sign * (row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3])
        })
    })
}

/// Voxels and centre (LPS, mm) of every organ of labels, by its TG-263 name; `place` is where an index lies.
pub fn centres(
    [nx, ny, _]: [usize; 3],
    labels: &[u8],
    place: impl Fn([f64; 3]) -> [f64; 3],
) -> BTreeMap<String, [f64; 4]> {
    let mut sums: BTreeMap<u8, [f64; 4]> = BTreeMap::new();
    for (n, &label) in labels.iter().enumerate().filter(|(_, label)| **label > 0) {
        let point = place([n % nx, n / nx % ny, n / (nx * ny)].map(|index| index as f64));
        let sum = sums.entry(label).or_default();
        sum[0] += 1.0;
        (0..3).for_each(|axis| sum[axis + 1] += point[axis]);
    }
    let named = |(label, [count, x, y, z]): (u8, [f64; 4])| {
        (Organ::from_label(label).unwrap().tg263().to_owned(), [count, x / count, y / count, z / count])
    };
    sums.into_iter().map(named).collect()
}

/// What pydicom reads of structures; `None` where it is not installed.
pub fn read_back(structures: &[PathBuf]) -> Option<serde_json::Value> {
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python).args(["-c", "import pydicom"]).output().is_ok_and(|output| output.status.success())
    })?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("whole_program/archive/read_back.py");
    let read = succeed(Command::new(python).arg(script).args(structures));
    Some(serde_json::from_str(&read.stdout).unwrap())
}

#[test]
fn a_scan_goes_through_a_real_archive_and_its_structures_come_back_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(orthanc) = Orthanc::start(&folder.path().join("orthanc")) else {
        return left_out(MISSING);
    };
    let refused = run(&mut archive("list", &orthanc.root));
    assert!(refused.code == Some(1) && refused.stderr.contains("401 Unauthorized, it takes Basic"), "{refused:?}");
    let slices = unpack_identified(&folder.path().join("ct"));
    let said = succeed(orthanc.call("send").arg(folder.path().join("ct")));
    assert_eq!(said.stdout.lines().filter(|line| line.ends_with(&orthanc.root)).count(), slices.len(), "{said:?}");
    let listed = succeed(&mut orthanc.call("list"));
    assert!(listed.stdout.contains(STUDY), "{listed:?}");
    let listed = succeed(orthanc.call("list").args(["--study", STUDY]));
    assert!(listed.stdout.contains(SERIES) && listed.stdout.contains("CT"), "{listed:?}");

    let came = folder.path().join("came");
    succeed(orthanc.call("get").args(["--study", STUDY, "--output"]).arg(&came));
    let files = files_below(&came);
    assert_eq!(files.len(), slices.len());
    for (name, slice) in files.iter().zip(&slices) {
        assert!(std::fs::read(came.join(name)).unwrap() == std::fs::read(slice).unwrap(), "{name}");
    }

    let out = folder.path().join("out");
    let mut call = without_proxy(program("segment"));
    call.args(["--from", &orthanc.root, "--study", STUDY, "--send", "--format", "rtstruct,seg", "--device", "cpu"]);
    let said = succeed(call.arg("--token-file").arg(&orthanc.token).arg("--output").arg(&out));
    assert_eq!(
        said.stdout.lines().filter(|line| line.ends_with(&format!("kept by {}", orthanc.root))).count(),
        2,
        "{said:?}"
    );
    let back = folder.path().join("back");
    succeed(orthanc.call("get").args(["--study", STUDY, "--output"]).arg(&back));
    let all = files_below(&back);
    assert_eq!(all.len(), slices.len() + 2, "{all:?}");
    let structures: Vec<PathBuf> =
        all.iter().filter(|name| !name.starts_with(SERIES)).map(|name| back.join(name)).collect();

    let Some(read) = read_back(&structures) else { return left_out(NO_PYDICOM) };
    assert_eq!(read["study"], STUDY);
    let expected = centres_of_file(&out.join("labels.nii.gz"));
    assert!(!expected.is_empty());
    for modality in ["RTSTRUCT", "SEG"] {
        let found = read[modality].as_object().unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{modality}");
        for (name, [voxels, centre @ ..]) in &expected {
            let number = |n: usize| found[name][n].as_f64().unwrap();
            let off = (0..3).map(|n| (number(n + 1) - centre[n]).abs()).fold(0.0, f64::max);
            assert!(off < CLOSE_MM, "{modality}, {name}: {off} mm off");
            // A pixel of this CT has 0.9765625 x 0.9765625 mm.
            let pixel = if modality == "SEG" { 1.0 } else { 0.976_562_5 * 0.976_562_5 };
            assert!(
                (number(0) / pixel - voxels).abs() < 1e-3 * voxels,
                "{modality}, {name}: {} of {voxels}",
                number(0)
            );
        }
    }
}
