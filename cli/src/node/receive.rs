//! Receiving: every instance becomes a file as soon as it is whole, `SERIES/INSTANCE.dcm` below a folder, named by its UIDs and by nothing
//! that tells of a patient. What was received before is replaced by the same.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use attention_anatomy::formats::dicom::{CT_CLASSES, READ_SYNTAXES, Transfer, is_uid, series_of};
use dicom_ul::ServerAssociation;
use dicom_ul::association::server::{AccessControl, ServerAssociationOptions};
use dicom_ul::pdu::{
    AssociationRJServiceUserReason, PDataValue, PDataValueType, Pdu, PresentationContextNegotiated, UserIdentity,
};

use super::message::{Command, ECHO, STORE};
use crate::output::SingleFile;
use crate::progress;

/// Verification SOP Class (PS3.4 annex A).
pub(super) const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Partners at a time; more have to wait.
const MOST_PARTNERS: usize = 16;
/// A partner that says nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(120);
/// The largest instance, bytes.
const LARGEST: usize = 1 << 30;
/// The largest command set, bytes.
const LARGEST_COMMAND: usize = 1 << 16;
/// How often is looked for a new partner, or for the end.
const LOOK: Duration = Duration::from_millis(50);

/// Answers (PS3.4 B.2.3 and PS3.7 C).
const OUT_OF_RESOURCES: u16 = 0xA700;
const NOT_OF_ITS_CLASS: u16 = 0xA900;
const NOT_UNDERSTOOD: u16 = 0xC000;
const NO_SUCH_OPERATION: u16 = 0x0211;

/// Who is let in, and where things go.
#[derive(Clone, Debug)]
pub struct Reception {
    /// The application entity title of this node.
    pub title: String,
    /// Titles of nodes that may send; all where empty.
    pub partners: Vec<String>,
    /// The folder.
    pub folder: PathBuf,
}

/// A node that listens until it is told to stop.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    thread: std::thread::JoinHandle<()>,
}

impl Receiver {
    /// Starts to listen.
    ///
    /// # Errors
    /// An address that cannot be listened on, or a folder that cannot be written into.
    pub fn start(address: &str, reception: Reception, stop: Arc<AtomicBool>) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("{address}: cannot be listened on"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let unfinished = unfinished(&reception.folder);
        // What an earlier run had not received to the end.
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).with_context(|| unfinished.display().to_string())?;
        }
        std::fs::create_dir_all(&unfinished).with_context(|| unfinished.display().to_string())?;
        let reception = Arc::new(reception);
        let thread = std::thread::spawn(move || {
            let partners = Arc::new(AtomicUsize::new(0));
            while !stop.load(Ordering::Relaxed) {
                let stream = match listener.accept() {
                    Ok((stream, _)) if partners.load(Ordering::Relaxed) < MOST_PARTNERS => stream,
                    // Closed at once: the partner tries again later.
                    Ok(_) => continue,
                    Err(error) => {
                        if error.kind() != ErrorKind::WouldBlock {
                            progress::warn(&format!("a connection failed: {error}"));
                        }
                        std::thread::sleep(LOOK);
                        continue;
                    }
                };
                partners.fetch_add(1, Ordering::Relaxed);
                let (reception, partners) = (reception.clone(), partners.clone());
                std::thread::spawn(move || {
                    // A panic of the library ends with its partner.
                    let talk = std::panic::AssertUnwindSafe(|| talk(stream, &reception));
                    match std::panic::catch_unwind(talk) {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => progress::warn(&format!("an association ended early: {error:#}")),
                        Err(_) => progress::warn("an association ended early: its messages could not be handled"),
                    }
                    partners.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Self { address, thread })
    }

    /// Waits for the end of listening.
    pub fn finish(self) {
        // Panics of partners were caught; nothing else is left to be told.
        let _ = self.thread.join();
    }
}

fn unfinished(folder: &Path) -> PathBuf {
    folder.join(".receiving")
}

/// Lets in whom the command line names.
#[derive(Clone, Debug)]
struct Door {
    partners: Vec<String>,
}

impl AccessControl for Door {
    fn check_access(
        &self,
        own: &str,
        calling: &str,
        called: &str,
        _: Option<&UserIdentity>,
    ) -> Result<(), AssociationRJServiceUserReason> {
        if called.trim() != own.trim() {
            return Err(AssociationRJServiceUserReason::CalledAETitleNotRecognized);
        }
        if !self.partners.is_empty() && !self.partners.iter().any(|partner| partner == calling.trim()) {
            return Err(AssociationRJServiceUserReason::CallingAETitleNotRecognized);
        }
        Ok(())
    }
}

/// One association, to its end.
fn talk(stream: TcpStream, reception: &Reception) -> Result<()> {
    stream.set_nonblocking(false)?;
    let mut options = ServerAssociationOptions::new()
        .ae_access_control(Door { partners: reception.partners.clone() })
        .ae_title(reception.title.as_str())
        .read_timeout(SILENCE)
        .write_timeout(SILENCE)
        .with_abstract_syntax(VERIFICATION);
    for class in CT_CLASSES {
        options = options.with_abstract_syntax(class);
    }
    for syntax in READ_SYNTAXES {
        options = options.with_transfer_syntax(syntax);
    }
    let mut association = options.establish(stream)?;
    let contexts = association.presentation_contexts().to_vec();
    let mut partner = Partner { association: &mut association, contexts, reception, command: Vec::new(), store: None };
    loop {
        match partner.association.receive()? {
            Pdu::PData { data } => data.into_iter().try_for_each(|value| partner.take(value))?,
            Pdu::ReleaseRQ => return Ok(partner.association.send(&Pdu::ReleaseRP)?),
            Pdu::AbortRQ { .. } => return Ok(()),
            other => anyhow::bail!("{} was not expected", other.short_description()),
        }
    }
}

/// What a partner is about to say.
struct Partner<'a> {
    association: &'a mut ServerAssociation<TcpStream>,
    contexts: Vec<PresentationContextNegotiated>,
    reception: &'a Reception,
    command: Vec<u8>,
    /// An instance on its way: its command, and what has come of it.
    store: Option<(Command, Vec<u8>)>,
}

impl Partner<'_> {
    fn take(&mut self, value: PDataValue) -> Result<()> {
        let context = value.presentation_context_id;
        match value.value_type {
            PDataValueType::Command => {
                anyhow::ensure!(self.command.len() + value.data.len() <= LARGEST_COMMAND, "a command is too long");
                self.command.extend(value.data);
                if !value.is_last {
                    return Ok(());
                }
                let bytes = std::mem::take(&mut self.command);
                let command = Command::read(&bytes).context("a command cannot be understood")?;
                match command.field() {
                    Some(STORE) if command.has_data() => {
                        self.store = Some((command, Vec::new()));
                        Ok(())
                    }
                    Some(ECHO) => self.answer(context, &command, 0),
                    _ => self.answer(context, &command, NO_SUCH_OPERATION),
                }
            }
            PDataValueType::Data => {
                let (command, mut data) = self.store.take().context("data came that nobody announced")?;
                anyhow::ensure!(data.len() + value.data.len() <= LARGEST, "an instance is larger than 1 GiB");
                data.extend(value.data);
                if !value.is_last {
                    self.store = Some((command, data));
                    return Ok(());
                }
                let status = self.keep(context, &command, &data);
                self.answer(context, &command, status)
            }
        }
    }

    fn answer(&mut self, context: u8, command: &Command, status: u16) -> Result<()> {
        let data = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: command.answer(status).bytes(),
        };
        Ok(self.association.send(&Pdu::PData { data: vec![data] })?)
    }

    /// Writes an instance; what is answered.
    fn keep(&self, context: u8, command: &Command, data: &[u8]) -> u16 {
        let Some(agreed) = self.contexts.iter().find(|c| c.id == context) else { return NOT_UNDERSTOOD };
        let (class, instance) = (command.class(), command.instance());
        if class != agreed.abstract_syntax || !CT_CLASSES.contains(&class.as_str()) {
            return NOT_OF_ITS_CLASS;
        }
        let received = Transfer { class, instance, syntax: agreed.transfer_syntax.clone(), data_set: data };
        let (Ok(file), true) = (received.to_file(), is_uid(&received.instance)) else { return NOT_UNDERSTOOD };
        let Some(series) = series_of(&file) else { return NOT_UNDERSTOOD };
        match self.write(&series, &received.instance, &file) {
            Ok(()) => 0,
            Err(error) => {
                progress::error(&format!("{error:#}"));
                OUT_OF_RESOURCES
            }
        }
    }

    fn write(&self, series: &str, instance: &str, file: &[u8]) -> Result<()> {
        let folder = self.reception.folder.join(series);
        let path = folder.join(format!("{instance}.dcm"));
        let cannot = || format!("{}: cannot be written", path.display());
        let mut part = SingleFile::unnamed_in(&unfinished(&self.reception.folder)).with_context(cannot)?;
        part.write_all(file).and_then(|()| part.as_file().sync_all()).with_context(cannot)?;
        std::fs::create_dir_all(&folder).with_context(cannot)?;
        part.persist(&path).with_context(cannot)?;
        Ok(())
    }
}
