//! `attention-anatomy watch` and `listen`: a folder in which scans arrive, by whatever way or over the network.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;

use super::segment::Options;
use crate::node::{self, Node, Receiver, Reception};
use crate::watch::{Totals, Watch};
use crate::{interrupt, number, progress};

/// Outlines every scan that arrives in a folder: each folder, NIfTI, NRRD or zip file directly in it, and DICOM files that lie there loose by
/// series. What is done is kept in watch.jsonl, so that nothing is outlined twice; Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    options: Options,
}

/// Receives CT series over the network (C-STORE) into a folder, outlines them, and sends the structures to other nodes. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct ListenArgs {
    #[command(flatten)]
    folder: Folder,
    /// Address to listen on. Only this machine is heard where it is not given; 0.0.0.0:11112 hears all networks.
    #[arg(long, default_value = "127.0.0.1:11112", value_name = "HOST:PORT")]
    address: String,
    /// Titles of the nodes that may send; all where not given.
    #[arg(long, value_delimiter = ',', value_parser = node::title, value_name = "TITLE")]
    from: Vec<String>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Args)]
struct Folder {
    /// The folder.
    folder: PathBuf,
    /// Where results go, a folder for each scan; beside the scans, as NAME.outlined, where not given.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// A scan is complete when nothing of it has changed for so many seconds.
    #[arg(long, default_value = "10", value_parser = number::quiet)]
    quiet: f64,
    /// End when everything that is there is done.
    #[arg(long)]
    once: bool,
    /// Try again what could not be outlined before; it is left alone otherwise until it changes.
    #[arg(long)]
    again: bool,
    /// Nodes that get the RTSTRUCT and SEG of every scan (C-STORE).
    #[arg(long, value_delimiter = ',', value_name = "TITLE@HOST:PORT")]
    send: Vec<Node>,
    /// The application entity title of this program.
    #[arg(long, default_value = "AATTENTION", value_parser = node::title)]
    title: String,
}

impl Folder {
    fn watch(self, options: Options) -> Watch {
        Watch {
            folder: self.folder,
            output: self.output,
            quiet: Duration::from_secs_f64(self.quiet),
            once: self.once,
            again: self.again,
            nodes: self.send,
            title: self.title,
            options,
        }
    }

    /// Nodes that do not answer now may do so later.
    fn greet(&self) {
        for node in &self.send {
            if let Err(error) = node::verify(&self.title, node) {
                progress::warn(&format!("{error:#}"));
            }
        }
    }
}

/// Runs `watch`.
///
/// # Errors
/// A folder, weights or a device that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    args.folder.greet();
    Ok(code(args.folder.watch(args.options).run()?))
}

/// Runs `listen`.
///
/// # Errors
/// As [`run`], and an address that cannot be listened on.
pub fn listen(args: ListenArgs) -> Result<ExitCode> {
    std::fs::create_dir_all(&args.folder.folder)?;
    args.folder.greet();
    let stop = interrupt::flag()?;
    let reception =
        Reception { title: args.folder.title.clone(), partners: args.from, folder: args.folder.folder.clone() };
    let receiver = Receiver::start(&args.address, reception, stop.clone())?;
    progress::print_line(&format!("{} listens on {}", args.folder.title, receiver.address));
    let outcome = args.folder.watch(args.options).run();
    stop.store(true, Ordering::Relaxed);
    receiver.finish();
    Ok(code(outcome?))
}

fn code(outcome: Totals) -> ExitCode {
    progress::note(&format!("{} outlined, {} not", outcome.done, outcome.failed));
    if outcome.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
