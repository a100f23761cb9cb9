//! `segment --list`: a part of a list of scans, as a scheduler's task runs it.
//!
//! - **One result.** Each scan gets a folder in the output folder that appears whole: its files are written below `.unfinished` and the
//!   folder is renamed. A folder that is there is changed as any results are, by the guard of [`crate::output`].
//! - **Again.** A folder whose record says that it was made from the same scan, weights and options by this version is left as it is. So a
//!   part that was killed goes on, a list that grew does what is new, and two tasks on one scan do it twice at worst.
//! - **No time lost.** Weights are opened once. The network has a thread of its own: while it runs on a scan, the next one is read and
//!   brought to the model grid, and the last one is cleaned up, measured and written.
//! - **Said.** A line in `status/part-K-of-N.jsonl` for each scan that is over; how the task ends tells a scheduler what to do:
//!
//! | exit code | |
//! |---|---|
//! | 0 | every scan of the part has its folder |
//! | 1 | nothing was run: list, weights, device or output folder cannot be used |
//! | 3 | some scans failed; the others have their folders |
//! | 75 | stopped by a signal; the same command goes on |

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use attention_anatomy::cohort::{Outcome, Request, Scan, StatusLine, parse_list, status_file};
use attention_anatomy::formats::dicom::SeriesRequest;

use super::stages::{Common, Computed, Prepared};
use super::{Args, Options, REQUEST, ReadCt, STATUS, Session, Summary, cost};
use crate::output::{self, Overwrite};
use crate::{data, files, interrupt, progress};

/// Where results lie until they are whole.
const UNFINISHED: &str = ".unfinished";
/// Some scans failed.
pub const SOME_FAILED: u8 = 3;

/// A scan of this part, and where it and its results are.
#[derive(Clone, Debug)]
pub struct Task {
    /// As it stands in the list.
    pub scan: Scan,
    /// The scan, from here.
    pub input: PathBuf,
    /// Its folder of results.
    pub folder: PathBuf,
}

/// A scan on its way from one thread to the next.
pub struct Step<T> {
    pub task: Task,
    /// 0 where it could not be read.
    pub slices: usize,
    /// Seconds of work on it so far, without waiting for other scans.
    pub seconds: f64,
    /// What the last stage made of it, or why it could not; nothing where its results are there already.
    pub result: Result<Option<T>>,
}

impl<T> Step<T> {
    /// The next stage, where there is something for it.
    pub fn then<U>(self, work: impl FnOnce(&Task, T) -> Result<U>) -> Step<U> {
        let Self { task, slices, seconds, result } = self;
        let clock = Instant::now();
        let result = result.and_then(|made| made.map(|made| work(&task, made)).transpose());
        Step { seconds: seconds + clock.elapsed().as_secs_f64(), task, slices, result }
    }
}

/// The scans of the part. What the list names is relative to the list.
///
/// # Errors
/// A list that cannot be read or is not understood.
pub fn tasks(args: &Args, list: &Path) -> Result<Vec<Task>> {
    let scans = parse_list(&data::text_file(list)?).with_context(|| list.display().to_string())?;
    let own = scans.into_iter().enumerate().filter(|(place, _)| args.part.takes(*place));
    Ok(own
        .map(|(_, scan)| Task { input: data::beside(list, &scan.path), folder: args.output.join(&scan.name), scan })
        .collect())
}

/// Runs the part.
///
/// # Errors
/// What keeps all of it from being run.
pub fn run(args: &Args, list: &Path) -> Result<ExitCode> {
    let tasks = tasks(args, list)?;
    let mut session = Session::open(args.options.clone())?;
    if args.cost {
        return cost::run(&tasks, &mut session);
    }
    let part = PartRun {
        total: tasks.len(),
        status: Status::open(args)?,
        output: &args.output,
        overwrite: args.overwrite,
        failed: 0,
        kept: 0,
        done: 0,
        network_seconds: 0.0,
        clock: Instant::now(),
    };
    progress::note(&format!(
        "{} on {}: {} scans, part {} of {}",
        session.common.model.name,
        session.device.in_words(),
        tasks.len(),
        args.part,
        list.display()
    ));
    sweep(&args.output.join(UNFINISHED));
    let part = pipeline(tasks, args.overwrite, &mut session, part, PartRun::take)?;
    part.end(session.cancelled())
}

/// Brings scans through the network, and hands each to `take` with what is kept of them; gives back what was kept.
///
/// # Errors
/// Those of `take`; what keeps all scans from being run.
pub fn pipeline<K: Send>(
    tasks: Vec<Task>,
    overwrite: Overwrite,
    session: &mut Session,
    mut kept: K,
    take: impl Fn(&mut K, Step<Computed>, &Common, &Request) -> Result<()> + Send,
) -> Result<K> {
    let common = session.common.clone();
    let wanted = common.request(Default::default())?;
    let cancel = interrupt::flag()?;
    std::thread::scope(|scope| {
        // No room in between: one scan is held ready and one is written, no more.
        let (to_network, prepared) = sync_channel(0);
        let (to_disk, computed) = sync_channel(0);
        let (common, wanted, cancel) = (&*common, &wanted, &*cancel);
        scope.spawn(move || read_ahead(tasks, wanted, common, overwrite, cancel, &to_network));
        let writer = scope.spawn(move || -> Result<K> {
            for step in computed {
                take(&mut kept, step, common, wanted)?;
            }
            Ok(kept)
        });
        compute(prepared, session, &to_disk);
        drop(to_disk);
        writer.join().unwrap_or_else(|_| Err(anyhow!("the thread that writes results broke; see the message above")))
    })
}

/// Reads scans and brings them to the model grid, one ahead of the network.
fn read_ahead(
    tasks: Vec<Task>,
    wanted: &Request,
    common: &Common,
    overwrite: Overwrite,
    cancel: &AtomicBool,
    sender: &SyncSender<Step<Prepared>>,
) {
    let asked = common.options.asked();
    for task in tasks {
        if cancel.load(Ordering::Relaxed) {
            return;
        }
        let clock = Instant::now();
        let result = read(&task, wanted, &asked, overwrite);
        let slices = result.as_ref().ok().and_then(Option::as_ref).map_or(0, |read| read.ct.geometry.size[2]);
        let step = Step { seconds: clock.elapsed().as_secs_f64(), task, slices, result };
        let step = step.then(|task, ct| {
            if task.folder.exists() {
                // That it is somebody else's is said before the network has run for nothing.
                claim(&common.options, &task.folder, &task.input, overwrite)?;
            }
            caught(&task.input, || common.prepare(ct, &files::file_name(&task.input)))
                .with_context(|| task.input.display().to_string())
        });
        // Nobody takes it any more: the run was stopped.
        if sender.send(step).is_err() {
            return;
        }
    }
}

/// Runs the network on what is ready, until there is nothing more, or nobody to write it, or a signal.
fn compute(ready: Receiver<Step<Prepared>>, session: &mut Session, done: &SyncSender<Step<Computed>>) {
    for step in ready {
        if session.cancelled() {
            return;
        }
        let step = step.then(|task, prepared| {
            caught(&task.input, || session.compute(prepared)).with_context(|| task.input.display().to_string())
        });
        // What a signal has cut short is no failure.
        if (session.cancelled() && step.result.is_err()) || done.send(step).is_err() {
            return;
        }
    }
}

/// Reads a scan, unless its results are there.
fn read(task: &Task, wanted: &Request, asked: &SeriesRequest, overwrite: Overwrite) -> Result<Option<ReadCt>> {
    let made = (!overwrite.overwrite).then(|| made_from(&task.folder)).flatten();
    let made = made.filter(|made| wanted.same_but_input(made));
    let listed = files::list(&task.input)?;
    let key = listed.key()?;
    if made.as_ref().is_some_and(|made| key.untouched(&made.input)) {
        return Ok(None);
    }
    let ct = caught(&task.input, || ReadCt::of_listed(listed, key, &task.input, asked))?;
    let same = made.is_some_and(|made| ct.key.same_content(&made.input));
    Ok((!same).then_some(ct))
}

/// What the results in a folder were made from; nothing where they are not complete.
fn made_from(folder: &Path) -> Option<Request> {
    let (names, mut fields) = output::recorded(folder)?;
    let complete = names.iter().all(|name| folder.join(name).is_file());
    let request = fields.remove(REQUEST).filter(|_| complete)?;
    serde_json::from_value(request).ok()
}

/// A scan that breaks the program is a scan that failed: the others are not lost for it.
fn caught<T>(input: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(anyhow!(
            "{}: this scan breaks the program, which is a fault of the program; see the message above",
            input.display()
        ))
    })
}

/// A part under way.
struct PartRun<'a> {
    total: usize,
    status: Status,
    output: &'a Path,
    overwrite: Overwrite,
    failed: usize,
    kept: usize,
    done: usize,
    /// Of the scans that are done.
    network_seconds: f64,
    clock: Instant,
}

impl PartRun<'_> {
    /// Writes what the network has made of a scan, and says what became of it.
    fn take(&mut self, step: Step<Computed>, common: &Common, wanted: &Request) -> Result<()> {
        let Step { task, slices, seconds, result } =
            step.then(|task, computed| self.write(task, computed, common, wanted));
        match result {
            Ok(None) => {
                self.kept += 1;
                self.status.say(&task, Outcome::Kept, 0.0, 0, None)
            }
            Ok(Some(summary)) => {
                self.done += 1;
                self.network_seconds += summary.network_seconds;
                progress::print_line(&summary.line(&task.scan.name, &task.folder));
                self.status.say(&task, Outcome::Done, seconds, slices, None)
            }
            Err(error) => {
                self.failed += 1;
                let reason = format!("{error:#}");
                progress::error(&reason);
                self.status.say(&task, Outcome::Failed, seconds, slices, Some(reason))
            }
        }
    }

    fn write(&self, task: &Task, computed: Computed, common: &Common, wanted: &Request) -> Result<Summary> {
        let request = Request { input: computed.scan.key.clone(), ..wanted.clone() };
        let write = |folder: &Path, computed| write_into(folder, task, computed, common, self.overwrite);
        if task.folder.exists() {
            return write(&task.folder, computed);
        }
        let unfinished = self.output.join(UNFINISHED);
        let cannot = || format!("{}: cannot be written into", unfinished.display());
        std::fs::create_dir_all(&unfinished).with_context(cannot)?;
        // A name that no other task has: where tasks share a file system, none has to wait for another.
        let prefix = format!("{}.", task.scan.name);
        let place = tempfile::Builder::new().prefix(&prefix).tempdir_in(&unfinished).with_context(cannot)?;
        share(place.path());
        let summary = write(place.path(), computed)?;
        match std::fs::rename(place.path(), &task.folder) {
            Ok(()) => {
                // It has another name now.
                let _ = place.keep();
                Ok(summary)
            }
            // Another task was quicker. What it made is as good.
            Err(_) if made_from(&task.folder).is_some_and(|made| made == request) => Ok(summary),
            Err(error) => Err(error).with_context(|| format!("{}: cannot be made", task.folder.display())),
        }
    }

    fn end(self, stopped: bool) -> Result<ExitCode> {
        std::fs::remove_dir(self.output.join(UNFINISHED)).ok();
        if self.done > 0 {
            let seconds = self.clock.elapsed().as_secs_f64();
            progress::note(&format!(
                "{} scans in {seconds:.1} s, in {:.1} s of which the network ran ({:.2})",
                self.done,
                self.network_seconds,
                self.network_seconds / seconds
            ));
        }
        if self.kept > 0 {
            progress::note(&format!("{} of {} scans had their results already", self.kept, self.total));
        }
        if self.failed > 0 {
            progress::error(&format!(
                "{} of {} scans failed; {} says why",
                self.failed,
                self.total,
                self.status.path.display()
            ));
        }
        if stopped {
            progress::note("stopped; the same command goes on");
            return Ok(interrupt::STOPPED.into());
        }
        Ok(if self.failed > 0 { SOME_FAILED.into() } else { ExitCode::SUCCESS })
    }
}

/// Writes what the network has made of a scan.
///
/// # Errors
/// A folder that cannot be taken, a file that cannot be written, or a scan that breaks the program.
pub fn write_into(
    folder: &Path,
    task: &Task,
    computed: Computed,
    common: &Common,
    overwrite: Overwrite,
) -> Result<Summary> {
    let output = claim(&common.options, folder, &task.input, overwrite)?;
    caught(&task.input, || common.write(computed, output)).with_context(|| task.input.display().to_string())
}

/// Takes a folder for the results of a scan.
///
/// # Errors
/// As [`Session::claim`].
fn claim(options: &Options, folder: &Path, input: &Path, overwrite: Overwrite) -> Result<output::Output> {
    let read: Vec<&Path> = std::iter::once(input).chain(options.weights.as_deref()).collect();
    Session::claim(options, folder, &read, overwrite)
}

/// Removes what tasks have left that were killed: a task that lives has written there within a day.
fn sweep(unfinished: &Path) {
    let day = std::time::Duration::from_secs(86_400);
    let entries = std::fs::read_dir(unfinished).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for folder in entries {
        let changed = std::fs::symlink_metadata(&folder).ok().filter(|m| m.is_dir()).and_then(|m| m.modified().ok());
        let old = changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > day);
        if old && output::is_own(&folder) {
            std::fs::remove_dir_all(&folder).ok();
        }
    }
}

/// Temporary folders are the owner's alone; results are whoever's the output folder is, as far as the umask says.
fn share(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let above = folder.parent().and_then(|above| std::fs::metadata(above).ok());
        if let Some(above) = above {
            // What `mkdir` would have given it; where that is refused, it stays the owner's.
            let mode = above.permissions().mode() & 0o777;
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).ok();
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// The status file of a part.
struct Status {
    path: PathBuf,
    file: File,
}

impl Status {
    fn open(args: &Args) -> Result<Self> {
        let folder = args.output.join(STATUS);
        let path = folder.join(status_file(args.part));
        let cannot = || format!("{}: cannot be written", path.display());
        std::fs::create_dir_all(&folder).with_context(cannot)?;
        let file = OpenOptions::new().append(true).create(true).open(&path).with_context(cannot)?;
        Ok(Self { path, file })
    }

    /// One write a line, at the end of the file: two tasks on one part mix lines, never letters.
    fn say(
        &mut self,
        task: &Task,
        outcome: Outcome,
        seconds: f64,
        slices: usize,
        reason: Option<String>,
    ) -> Result<()> {
        let line = StatusLine {
            scan: task.scan.name.clone(),
            outcome,
            seconds: (seconds * 1000.0).round() / 1000.0,
            slices,
            reason,
            at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        };
        let cannot = || format!("{}: cannot be written", self.path.display());
        self.file.write_all(line.text().as_bytes()).with_context(cannot)
    }
}
