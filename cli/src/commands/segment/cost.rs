//! What a list of scans will take, said before a scheduler is asked for it: slices, seconds, memory.
//!
//! Sizes come from headers where a format has one at its beginning (NIfTI, NRRD); other scans are read. Seconds come from scans
//! that stand evenly spread in the list: they are segmented on this machine as the list would be, into a folder that is thrown away. Those of
//! the network go with the slices; what the list took beside them, with the voxels. No header says how much of a slice is body, so scans
//! of one size differ, and the sum is said with two standard errors of a mean over the scans that were measured.

use std::io::Read;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use attention_anatomy::cohort::{Measured, Rate};
use attention_anatomy::formats::dicom::SeriesRequest;
use attention_anatomy::formats::{self, ImageHeader, ReadOptions};

use super::list::{SOME_FAILED, Step, Task, pipeline, write_into};
use super::stages::{Common, Computed};
use super::{ReadCt, Session};
use crate::{files, interrupt, progress};

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

/// So many scans are measured.
const MEASURED: usize = 10;

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
    let count = extents.len().min(MEASURED);
    let spread = (0..count).map(|n| extents[(2 * n + 1) * extents.len() / (2 * count)].0).collect();
    let Some(rate) = measure(spread, extents.len(), session)? else {
        progress::note("stopped");
        return Ok(interrupt::STOPPED.into());
    };
    progress::print_line(&format!("{:>12}  {:>6}  {:>8}  {:>7}  scan", "voxels", "slices", "seconds", "MB"));
    for (task, extent) in &extents {
        let [nx, ny, nz] = extent.size;
        progress::print_line(&format!(
            "{:>12}  {nz:>6}  {:>8.1}  {:>7.0}  {}",
            format!("{nx}x{ny}x{nz}"),
            rate.seconds(extent.size),
            memory(&[extent]) / 1e6,
            task.scan.name
        ));
    }
    let all: Vec<&Extent> = extents.iter().map(|(_, extent)| extent).collect();
    let seconds: f64 = all.iter().map(|extent| rate.seconds(extent.size)).sum();
    let slices: usize = all.iter().map(|extent| extent.size[2]).sum();
    let within = match rate.doubt(slices) {
        0.0 => String::new(),
        seconds => format!(" ± {seconds:.1}"),
    };
    progress::print_line(&format!(
        "{} scans, {slices} slices: {seconds:.1}{within} s ({:.2} h) in one task on {}, {:.0} MB; seconds as measured on {} of them",
        all.len(),
        seconds / 3600.0,
        session.device.in_words(),
        memory(&all) / 1e6,
        rate.scans
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

/// Segments scans into nowhere; nothing where a signal has stopped it.
fn measure(tasks: Vec<&Task>, listed: usize, session: &mut Session) -> Result<Option<Rate>> {
    anyhow::ensure!(!tasks.is_empty(), "none of these scans can be read");
    let folder = tempfile::tempdir().context("there is no folder for temporary files")?;
    let into_folder = |task: &Task| Task { folder: folder.path().join(&task.scan.name), ..task.clone() };
    let tasks = tasks.into_iter().map(into_folder).collect();
    let take = |measured: &mut Vec<Measured>, step: Step<Computed>, common: &Common, _: &_| {
        let step = step.then(|task, computed: Computed| {
            let size = computed.scan.ct.geometry.size;
            let summary = write_into(&task.folder, task, computed, common, Default::default())?;
            std::fs::remove_dir_all(&task.folder)?;
            Ok(Measured { size, network_seconds: summary.network_seconds })
        });
        match step.result {
            Ok(done) => measured.extend(done),
            Err(error) => progress::error(&format!("{error:#}")),
        }
        Ok(())
    };
    let clock = Instant::now();
    let measured = pipeline(tasks, Default::default(), session, Vec::new(), take)?;
    let wall = clock.elapsed().as_secs_f64();
    if session.cancelled() {
        return Ok(None);
    }
    anyhow::ensure!(!measured.is_empty(), "none of these scans can be segmented; see above");
    Ok(Some(Rate::of(&measured, wall, listed)))
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
