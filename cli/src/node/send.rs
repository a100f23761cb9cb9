//! Sending: files to another node by C-STORE, in the transfer syntax that they have.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use attention_anatomy::formats::dicom::Transfer;
use dicom_ul::ClientAssociation;
use dicom_ul::association::client::ClientAssociationOptions;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu, PresentationContextResultReason};

use super::Node;
use super::message::{ANSWER, Command, ECHO, STORE};
use super::receive::VERIFICATION;

/// How long a node may take to answer.
const SILENCE: Duration = Duration::from_secs(60);
/// How long to be reached.
const REACH: Duration = Duration::from_secs(10);
/// What every node takes (PS3.5 10.1).
const IMPLICIT: &str = "1.2.840.10008.1.2";

fn open<'a>(own: &'a str, node: &'a Node) -> ClientAssociationOptions<'a> {
    ClientAssociationOptions::new()
        .calling_ae_title(own)
        .called_ae_title(node.title.as_str())
        .connection_timeout(REACH)
        .read_timeout(SILENCE)
        .write_timeout(SILENCE)
}

/// Sends files, each a name for messages and its bytes. `own` is the application entity title of this node.
///
/// # Errors
/// A node that cannot be reached, does not take such objects, or says that it could not keep one.
pub fn send(own: &str, node: &Node, files: &[(String, Vec<u8>)]) -> Result<()> {
    let sent: Vec<Transfer> =
        files.iter().map(|(name, bytes)| Ok(Transfer::of_file(name, bytes)?)).collect::<Result<_>>()?;
    let mut kinds: Vec<(&str, &str)> = sent.iter().map(|t| (t.class.as_str(), t.syntax.as_str())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut options = open(own, node);
    for (class, syntax) in &kinds {
        options = options.with_presentation_context(*class, vec![*syntax]);
    }
    let reached = options.establish_with(&node.address);
    let mut association = reached.with_context(|| format!("{node}: cannot be reached, or does not let {own} in"))?;
    for (n, (transfer, (name, _))) in sent.iter().zip(files).enumerate() {
        store(&mut association, n as u16 + 1, transfer).with_context(|| format!("{name} to {node}"))?;
    }
    // All was kept; how the other side hangs up is its own affair.
    let _ = association.release();
    Ok(())
}

fn store(association: &mut ClientAssociation<TcpStream>, id: u16, transfer: &Transfer) -> Result<()> {
    let agreed = association.presentation_contexts().iter().find(|context| {
        context.reason == PresentationContextResultReason::Acceptance
            && context.abstract_syntax == transfer.class
            && context.transfer_syntax == transfer.syntax
    });
    let Some(context) = agreed.map(|context| context.id) else {
        bail!("the node does not take objects of class {} in transfer syntax {}", transfer.class, transfer.syntax);
    };
    ask(association, context, &Command::request(STORE, id, &transfer.class, Some(&transfer.instance)))?;
    let mut data = association.send_pdata(context);
    data.write_all(transfer.data_set)?;
    data.finish()?;
    let answer = answer(association)?;
    match answer.status() {
        // B000, B006 and B007 are kept with a warning (PS3.4 B.2.3).
        Some(0 | 0xB000..=0xBFFF) if answer.field() == Some(STORE | ANSWER) => Ok(()),
        Some(status) => bail!("the node did not keep it (status {status:04X})"),
        None => bail!("the node answered something else"),
    }
}

/// Whether a node answers (C-ECHO).
///
/// # Errors
/// A node that cannot be reached, or does not answer.
pub fn verify(own: &str, node: &Node) -> Result<()> {
    let reached = open(own, node).with_presentation_context(VERIFICATION, vec![IMPLICIT]).establish_with(&node.address);
    let mut association = reached.with_context(|| format!("{node}: cannot be reached, or does not let {own} in"))?;
    let context = association.presentation_contexts().first().map(|c| c.id).context("nothing was agreed on")?;
    ask(&mut association, context, &Command::request(ECHO, 1, VERIFICATION, None))?;
    let answer = answer(&mut association)?;
    let _ = association.release();
    if answer.status() == Some(0) { Ok(()) } else { bail!("{node}: does not answer as it should") }
}

fn ask(association: &mut ClientAssociation<TcpStream>, context: u8, command: &Command) -> Result<()> {
    let data = PDataValue {
        presentation_context_id: context,
        value_type: PDataValueType::Command,
        is_last: true,
        data: command.bytes(),
    };
    Ok(association.send(&Pdu::PData { data: vec![data] })?)
}

fn answer(association: &mut ClientAssociation<TcpStream>) -> Result<Command> {
    let mut bytes = Vec::new();
    loop {
        match association.receive()? {
            Pdu::PData { data } => {
                for value in data.into_iter().filter(|v| v.value_type == PDataValueType::Command) {
                    bytes.extend(value.data);
                    if value.is_last {
                        return Command::read(&bytes).context("the answer cannot be understood");
                    }
                }
            }
            other => bail!("the node answered with {}", other.short_description()),
        }
    }
}
