//! What a list of scans will take, said before a scheduler is asked for it: slices, seconds, memory.
//!
//! Sizes come from headers where a format has one at its beginning (NIfTI, NRRD); other scans are read. Seconds come from the first scan, which is
//! segmented to measure this machine, into a folder that is thrown away: those of the network go with the slices, the rest with the
//! voxels.

use std::io::Read;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use attention_anatomy::formats::dicom::SeriesRequest;
use attention_anatomy::formats::{self, ImageHeader, ReadOptions};

use super::list::{SOME_FAILED, Task, claim};
use super::{ReadCt, Session};
use crate::{files, progress};

/// Bytes of the program, its weights and the engine's buffers, whatever the scan (measured: docs/cluster.md).
const BASE_BYTES: f64 = 260e6;
/// Bytes a voxel of the scan that the network has: HU and labels.
const VOXEL_BYTES: f64 = 3.0;
/// Bytes a voxel of the next one, which is held ready: HU.
const NEXT_VOXEL_BYTES: f64 = 2.0;
/// Bytes a voxel of the last one, which is being written: HU, labels, what the clean-up works on, the files.
const LAST_VOXEL_BYTES: f64 = 5.0;
/// A header ends within so many bytes.
const HEADER_BYTES: u64 = 1 << 16;

/// What of a scan decides what it takes.
struct Extent {
    /// Columns, rows, slices.
    size: [usize; 3],
    /// Bytes of its files.
    bytes: u64,
}

impl Extent {
    fn voxels(&self) -> f64 {
        self.size.iter().map(|&n| n as f64).product()
    }
}

/// Seconds on this machine.
struct Rate {
    a_slice: f64,
    a_voxel: f64,
}

impl Rate {
    fn seconds(&self, extent: &Extent) -> f64 {
        self.a_slice * extent.size[2] as f64 + self.a_voxel * extent.voxels()
    }
}

/// Says the cost of these scans.
///
/// # Errors
/// Where no scan can be read, or nothing can be written for the measurement.
pub fn run(tasks: &[Task], session: &mut Session) -> Result<ExitCode> {
    let asked = session.common.options.asked();
    let (mut extents, mut failed) = (Vec::new(), 0);
    for task in tasks {
        match extent(task, &asked) {
            Ok(extent) => extents.push((task, extent)),
            Err(error) => {
                failed += 1;
                progress::error(&format!("{error:#}"));
            }
        }
    }
    let (first, _) = extents.first().context("none of these scans can be read")?;
    let rate = measure(first, session)?;
    progress::print_line(&format!("{:>12}  {:>6}  {:>8}  {:>7}  scan", "voxels", "slices", "seconds", "MB"));
    for (task, extent) in &extents {
        let [nx, ny, nz] = extent.size;
        progress::print_line(&format!(
            "{:>12}  {nz:>6}  {:>8.1}  {:>7.0}  {}",
            format!("{nx}x{ny}x{nz}"),
            rate.seconds(extent),
            memory(&[extent]) / 1e6,
            task.scan.name
        ));
    }
    let all: Vec<&Extent> = extents.iter().map(|(_, extent)| extent).collect();
    let seconds: f64 = all.iter().map(|extent| rate.seconds(extent)).sum();
    progress::print_line(&format!(
        "{} scans, {} slices: {:.1} s ({:.2} h) in one task on {}, {:.0} MB",
        all.len(),
        all.iter().map(|extent| extent.size[2]).sum::<usize>(),
        seconds,
        seconds / 3600.0,
        session.device.name,
        memory(&all) / 1e6
    ));
    Ok(if failed > 0 { SOME_FAILED.into() } else { ExitCode::SUCCESS })
}

fn extent(task: &Task, asked: &SeriesRequest) -> Result<Extent> {
    let listed = files::list(&task.input)?;
    let key = listed.key()?;
    let bytes = key.bytes;
    if task.input.is_file() {
        let cannot = || format!("{}: cannot be read", task.input.display());
        let mut head = Vec::new();
        std::fs::File::open(&task.input)
            .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut head))
            .with_context(cannot)?;
        // What is wrong with a header, its reader says better.
        if let Ok(Some(header)) = formats::read_header(&head, &ReadOptions::default())
            && let Some(size) = along_patient(&header)
        {
            return Ok(Extent { size, bytes });
        }
    }
    Ok(Extent { size: ReadCt::of_listed(listed, key, &task.input, asked)?.ct.geometry.size, bytes })
}

/// Voxels with the axis last that runs most along the patient: its planes are the slices.
fn along_patient(header: &ImageHeader) -> Option<[usize; 3]> {
    let superior = header.geometry.as_ref().ok()?.affine[2];
    let spacing = header.spacing;
    let share = |axis: &usize| (superior[*axis] / spacing[*axis]).abs();
    let slices = (0..3).max_by(|a, b| share(a).total_cmp(&share(b)))?;
    let mut size = header.size;
    size.swap(slices, 2);
    Some(size)
}

/// Segments a scan into nowhere.
fn measure(task: &Task, session: &mut Session) -> Result<Rate> {
    let folder = tempfile::tempdir().context("there is no folder for temporary files")?;
    let clock = Instant::now();
    let read = ReadCt::open(&task.input, &session.common.options.asked())?;
    let size = read.ct.geometry.size;
    let output = claim(&session.common.options, folder.path(), &task.input, Default::default())?;
    let network = session.segment(read, &files::file_name(&task.input), output)?.network_seconds;
    let rest = (clock.elapsed().as_secs_f64() - network).max(0.0);
    Ok(Rate { a_slice: network / size[2] as f64, a_voxel: rest / size.iter().product::<usize>() as f64 })
}

/// Bytes that a task needs for these scans: of three in a row the last is written, the network has the middle one, and the next is held
/// ready.
fn memory(extents: &[&Extent]) -> f64 {
    let at_work = |n: usize| {
        let last = n.checked_sub(1).map_or(0.0, |last| extents[last].voxels() * LAST_VOXEL_BYTES);
        let middle = extents.get(n).map_or(0.0, |middle| middle.voxels() * VOXEL_BYTES);
        let next = extents.get(n + 1).map_or(0.0, |next| next.voxels() * NEXT_VOXEL_BYTES + next.bytes as f64);
        last + middle + next
    };
    BASE_BYTES + (0..=extents.len()).map(at_work).fold(0.0, f64::max)
}
