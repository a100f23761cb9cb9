//! `attention-anatomy convert`: structures from one format to another.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::formats::dicom::{
    Author, Deidentifier, Derivation, Moment, SeriesInfo, SeriesRequest, Uids, new_uid,
};
use attention_anatomy::formats::rtstruct::{Holes, WriteOptions};
use attention_anatomy::formats::structures::{Drawn, OtherStructure, Structure, Structures};
use attention_anatomy::formats::{self, FormatError, Reference, Rule, nifti, nrrd, rtstruct, seg};
use attention_anatomy::preprocess::Body;
use attention_anatomy::volume::Geometry;

use crate::output::{Overwrite, SingleFile};
use crate::results::inputs;
use crate::series::RepairOptions;
use crate::{data, files, progress};

/// Voxels of labels and CT may be this far apart, mm.
const SAME_GRID_MM: f64 = 0.1;

/// Converts structures between label maps (NIfTI, NRRD), RT Structure Sets and DICOM Segmentations. A label map has numbers for the 33 organs
/// alone: any other structure is written beside it, as a NIfTI mask of its own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A label map, an RTSTRUCT or SEG file, or a folder or zip that holds one of these beside its CT.
    input: PathBuf,
    /// The file to write.
    #[arg(short, long)]
    output: PathBuf,
    /// What to write, where the name does not tell: `.nii`, `.nii.gz` and `.nrrd` are label maps, `.dcm` an RTSTRUCT.
    #[arg(long, value_enum)]
    to: Option<To>,
    /// The CT that the structures were drawn on: an RTSTRUCT is drawn on its grid, and DICOM that is written refers to its
    /// slices, so that for RTSTRUCT and SEG it must be a DICOM series.
    #[arg(long)]
    reference: Option<PathBuf>,
    /// The series of `--reference`, by its number in the list of `info` or by its UID; what suits best where not given.
    #[arg(long, requires = "reference")]
    series: Option<String>,
    #[command(flatten)]
    repairs: RepairOptions,
    /// Make a structure of others, in this order: "NAME = A or B", "A and B", "A minus B", "A grow 5", "A shrink 3 left 0", with
    /// parentheses; lengths in mm. BODY is the outline of the body.
    #[arg(long, value_name = "RULE")]
    make: Vec<String>,
    /// Write only these structures, by name.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    contours: Contours,
    #[command(flatten)]
    deidentify: Deidentify,
    /// Also write the outline of the body, found in the CT of `--reference`, as BODY of type EXTERNAL; beside a label map, as a mask.
    #[arg(long, requires = "reference")]
    body: bool,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// How contours are written.
#[derive(Clone, Copy, Debug, Default, clap::Args, serde::Serialize)]
pub struct Contours {
    /// Holes in RTSTRUCT contours: joined to the contour around them, or contours of their own (CLOSEDPLANAR_XOR).
    #[arg(long, value_enum, default_value_t)]
    pub holes: HolesAs,
    /// Smooth RTSTRUCT contours between the voxels, instead of exact ones along their borders.
    #[arg(long)]
    pub smooth: bool,
}

/// How holes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
pub enum HolesAs {
    /// As a channel of no width.
    #[default]
    Keyhole,
    /// As contours of their own.
    Xor,
}

impl Contours {
    /// With the label of the structure set.
    pub fn options(self, label: &str) -> WriteOptions {
        let holes = match self.holes {
            HolesAs::Keyhole => Holes::Keyhole,
            HolesAs::Xor => Holes::Xor,
        };
        WriteOptions { holes, smooth: self.smooth, label: label.into() }
    }
}

/// Whether DICOM files name the patient.
#[derive(Clone, Copy, Debug, Default, clap::Args, serde::Serialize)]
pub struct Deidentify {
    /// Leave patient and study out of RTSTRUCT and SEG, by the basic profile of PS3.15. Identifiers are replaced; with `keep-uids` they
    /// stay, so that the file still belongs to its CT.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "basic", require_equals = true)]
    pub deidentify: Option<Identifiers>,
}

/// What becomes of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
pub enum Identifiers {
    /// Replaced.
    Basic,
    /// Kept.
    KeepUids,
}

impl Deidentify {
    /// What takes the patient out of files, where that was asked for.
    ///
    /// # Errors
    /// A system that gives no random numbers.
    pub fn open(self) -> Result<Option<Deidentifier>> {
        let uids = self.deidentify.map(|identifiers| match identifiers {
            Identifiers::Basic => Uids::Replace,
            Identifiers::KeepUids => Uids::Keep,
        });
        Ok(uids.map(Deidentifier::new).transpose()?)
    }
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum To {
    Nifti,
    Nrrd,
    Rtstruct,
    Seg,
}

impl To {
    fn of(path: &Path) -> Result<Self> {
        let name = files::file_name(path).to_lowercase();
        let ends = |suffix: &str| name.ends_with(suffix);
        Ok(match () {
            () if ends(".nii") || ends(".nii.gz") => Self::Nifti,
            () if ends(".nrrd") => Self::Nrrd,
            () if ends(".dcm") => Self::Rtstruct,
            () => bail!("{}: the name does not tell what to write; add --to", path.display()),
        })
    }
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, structures that cannot be written, an output that is there.
pub fn run(args: Args) -> Result<ExitCode> {
    let to = args.to.map_or_else(|| To::of(&args.output), Ok)?;
    let read = inputs([Some(&args.input), args.reference.as_ref()]);
    let file = SingleFile::claim(&args.output, read.clone(), args.overwrite)?;
    let rules = args.make.iter().map(|rule| Ok(Rule::parse(rule)?)).collect::<Result<Vec<Rule>>>()?;
    let request = args.repairs.request(args.series.as_deref());
    let reference = args.reference.as_deref().map(|path| data::chosen_reference(path, &request));
    let reference = reference.transpose()?;
    let contents = files::collect_labels(&args.input)?;
    let named = || args.input.display().to_string();
    // The CT may lie beside the structures.
    let needs_body = args.body || rules.iter().any(Rule::needs_body);
    let is_dicom = matches!(to, To::Rtstruct | To::Seg);
    let beside = (reference.is_none() && (is_dicom || needs_body)).then(|| contents.clone());
    let found = formats::read_structures(contents, reference.as_ref()).map_err(|error| match error {
        FormatError::NeedsReference => anyhow!("{error} (--reference)"),
        error => error.into(),
    });
    let mut found = found.with_context(named)?;
    let grid = found.labels.geometry.clone();
    let body = if needs_body { body(args.reference.as_deref(), beside.as_deref(), &request, &grid)? } else { None };
    for rule in &rules {
        rule.apply(&mut found, body.as_deref()).with_context(named)?;
    }
    keep_only(&mut found, &args.only).with_context(named)?;
    for warning in &found.warnings {
        progress::warn(&format!("{}: {warning}", named()));
    }
    let body = body.as_deref().filter(|_| args.body);
    if body.is_some() {
        // The one that was asked for takes the place of the one in the file, as a rule's structure does.
        found.others.retain(|other| !other.name.eq_ignore_ascii_case("BODY"));
    }
    if !is_dicom {
        found.others.extend(body.map(OtherStructure::body));
        return label_map(&found, to, file, &args, read);
    }
    let series = match reference {
        Some(reference) => reference.series,
        None => beside.and_then(|files| Reference::read(files).ok()).and_then(|r| r.series),
    };
    let series = series.ok_or_else(|| {
        anyhow!(
            "{}: DICOM structures refer to the slices of a CT, which a label map does not name; give its DICOM series with \
             --reference",
            named()
        )
    })?;
    let bytes = write(&found, body, &series, to, args.contours)?;
    let bytes = match args.deidentify.open()? {
        Some(deidentifier) => deidentifier.apply(&bytes)?,
        None => bytes,
    };
    file.write(&bytes)?;
    progress::print_line(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// Leaves out what is not named.
fn keep_only(found: &mut Structures, only: &[String]) -> Result<()> {
    if only.is_empty() {
        return Ok(());
    }
    let (mut organs, mut others) = (OrganSet::EMPTY, Vec::new());
    for name in only {
        match Organ::from_name(name).filter(|&organ| found.organs.contains(organ)) {
            _ if found.others.iter().any(|o| o.name == *name) => others.push(name.clone()),
            Some(organ) => {
                organs.insert(organ);
            }
            None => bail!("there is no structure {name}"),
        }
    }
    found.others.retain(|other| others.contains(&other.name));
    for voxel in &mut found.labels.voxels {
        if Organ::from_label(*voxel).is_none_or(|organ| !organs.contains(organ)) {
            *voxel = 0;
        }
    }
    found.organs = organs;
    Ok(())
}

/// Writes the organs as a label map, and beside it a mask of every structure for which it has no number. `read` is what was read.
fn label_map(found: &Structures, to: To, file: SingleFile, args: &Args, read: Vec<PathBuf>) -> Result<ExitCode> {
    let masks = formats::write_masks(&found.labels, &found.others)?;
    if found.organs.is_empty() && masks.is_empty() {
        bail!("there is nothing to write: no structure has a voxel");
    }
    let mut files = Vec::new();
    if found.organs.is_empty() {
        let output = args.output.display();
        progress::warn(&format!(
            "none of the structures is one of the 33 organs, so that there is no label map {output}"
        ));
    } else {
        let (labels, description) = (&found.labels, "AttentionAnatomy labels, not a medical device");
        let bytes = match to {
            To::Nrrd => nrrd::write_labels(labels, description)?,
            _ => nifti::write_labels(labels, description)?,
        };
        files.push((args.output.clone(), file, bytes));
    }
    for (name, bytes) in masks {
        let path = beside(&args.output, &name);
        let file = SingleFile::claim(&path, read.clone(), args.overwrite)?;
        files.push((path, file, bytes));
    }
    for (path, file, bytes) in files {
        file.write(&bytes)?;
        progress::print_line(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// The file of a mask beside a label map: `labels.nii.gz` and `GTV` are `labels.GTV.nii.gz`.
fn beside(labels: &Path, mask: &str) -> PathBuf {
    let name = files::file_name(labels);
    let lower = name.to_lowercase();
    let ending = [".nii.gz", ".nii", ".nrrd"].into_iter().find(|ending| lower.ends_with(ending)).unwrap_or_default();
    let stem = name.get(..name.len() - ending.len()).unwrap_or(&name);
    labels.with_file_name(format!("{stem}.{mask}.nii.gz"))
}

/// The body in the CT, which is the reference or lies beside the structures: 1 inside, on their grid.
fn body(
    path: Option<&Path>,
    beside: Option<&[(String, Vec<u8>)]>,
    request: &SeriesRequest,
    grid: &Geometry,
) -> Result<Option<Vec<u8>>> {
    let ct = match (path, beside) {
        (Some(path), _) => {
            let read = formats::read_ct_and_series(files::collect(path)?, request);
            read.with_context(|| path.display().to_string())?.0
        }
        (None, Some(files)) => match formats::read_ct_and_series(files.to_vec(), request) {
            // A label map is no CT.
            Ok((ct, Some(_))) => ct,
            Ok(_) | Err(_) => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    if !ct.geometry.same_grid(grid, SAME_GRID_MM) {
        if path.is_none() {
            return Ok(None);
        }
        let [[a, b, c], [x, y, z]] = [grid.size, ct.geometry.size];
        bail!(
            "the labels have {a} x {b} x {c} voxels and the CT {x} x {y} x {z}, or they lie elsewhere in the patient, so that its \
             body has no place among them; give the CT that they were drawn on"
        );
    }
    Ok(Some(Body::find(&ct).mask()))
}

fn write(found: &Structures, body: Option<&[u8]>, series: &SeriesInfo, to: To, contours: Contours) -> Result<Vec<u8>> {
    let voxels = found.labels.voxels.len();
    let masks: Vec<Vec<u8>> = found.others.iter().map(|o| o.mask(voxels)).collect();
    // Who drew them is not known here.
    let mut structures = Structure::organs(&found.labels, |_| Drawn::Unknown);
    structures.extend(found.others.iter().zip(&masks).map(|(other, mask)| Structure {
        name: &other.name,
        colour: other.colour.unwrap_or([255, 255, 0]),
        interpreted_type: &other.interpreted_type,
        drawn: Drawn::Unknown,
        code: None,
        labels: mask,
        label: 1,
    }));
    structures.extend(body.map(Structure::body));
    let author = Author { version: env!("CARGO_PKG_VERSION").into(), weights: None };
    let made = Derivation { series, author: &author, moment: Moment::now(), new_uid: &mut new_uid };
    let geometry = &found.labels.geometry;
    Ok(match to {
        To::Seg => seg::write(&structures, geometry, made)?,
        _ => rtstruct::write(&structures, geometry, &contours.options("Converted"), made)?,
    })
}
