//! `cargo xtask archive`: a real archive (Orthanc, with its DICOMweb plugin) on this machine alone, with the sample CT in it and, if it is
//! built, the page on the same origin: to show an IT department, and to try things on. It lasts until it is stopped.

mod slices;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, root, succeeds};
use crate::{say, setup, web};

/// Orthanc's configuration but for its places and its port, with the plugins where Debian and its relatives have them; the tests of the
/// whole program begin with it, too. Names in other letters than Latin ones need UTF-8 as its default; the types are those that
/// browsers need.
const CONFIGURATION: &str = include_str!("orthanc.json");
/// Port where none is named.
const PORT: u16 = 8042;
/// How long Orthanc may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// Where Orthanc is not there, does not start, or does not take the sample.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let port = match arguments {
        [] => PORT,
        [port] => port.parse().with_context(|| format!("`{port}` is not a port number"))?,
        _ => bail!("`archive` takes a port or nothing"),
    };
    if !setup::has_orthanc() {
        setup::install_if_allowed(&setup::ORTHANC_PACKAGES)?;
    }
    let Some(orthanc) = setup::orthanc() else { bail!("{}", setup::HOW_TO_GET_ORTHANC) };
    say::heading("build");
    if !succeeds(&mut cargo(&["build", "--release"]))? {
        bail!("the program does not compile");
    }
    // Where it is taken, Orthanc would say so in the midst of its log.
    TcpListener::bind(("127.0.0.1", port))
        .map(drop)
        .with_context(|| format!("port {port} cannot be used; name another: cargo xtask archive PORT"))?;
    let folder = web::target()?.join("archive");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let storage = folder.join("storage");
    std::fs::create_dir_all(&storage)?;
    let page = Some(web::target()?.join("web")).filter(|page| page.join("index.html").is_file());
    let page = page.map(|page| connected(&page, &folder.join("page"))).transpose()?;
    let file = folder.join("orthanc.json");
    std::fs::write(&file, configuration(&storage, port, page.as_deref())?)?;
    say::heading("archive");
    let log = std::fs::File::create(folder.join("log"))?;
    let mut running = Command::new(&orthanc).arg(&file).stdout(Stdio::null()).stderr(log).spawn()?;
    let address = format!("http://localhost:{port}");
    let told = fill(&mut running, &folder, port, &address);
    if let Err(error) = told {
        running.kill().ok();
        running.wait().ok();
        return Err(error.context(format!("Orthanc's log is {}", folder.join("log").display())));
    }
    say::line(&format!("DICOMweb: {address}/dicom-web    Orthanc's own pages: {address}/app/explorer.html"));
    match page {
        Some(_) => say::line(&format!(
            "the page, on the same origin: {address}/viewer/index.html?StudyInstanceUIDs={}",
            slices::uid(slices::STUDY)
        )),
        None => say::line("the page is not built: cargo xtask web, then this again"),
    }
    say::line(&format!("attention-anatomy archive list {address}/dicom-web"));
    say::line(&format!(
        "attention-anatomy segment --from {address}/dicom-web --study {} --send --output out",
        slices::uid(slices::STUDY)
    ));
    say::line("(only this machine reaches it; Ctrl+C ends it)");
    let ended = running.wait()?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A copy of the page that knows the archive: what a host does by hand.
fn connected(page: &Path, copy: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(copy)?;
    for entry in std::fs::read_dir(page)? {
        let path = entry?.path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap_or_default()))?;
    }
    let config = serde_json::json!({
        "archives": [{ "name": "Orthanc", "root": "/dicom-web", "writes": ["RTSTRUCT", "SEG"] }],
    });
    std::fs::write(copy.join("config.json"), serde_json::to_string_pretty(&config)?)?;
    Ok(copy.to_path_buf())
}

/// Waits for the archive and sends it the sample, as anybody would.
fn fill(running: &mut Child, folder: &Path, port: u16, address: &str) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if running.try_wait()?.is_some() || started.elapsed() > PATIENCE {
            bail!("Orthanc does not start");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let sample = folder.join("sample");
    std::fs::create_dir_all(&sample)?;
    for (name, bytes) in slices::of_nifti(attention_anatomy_assets::SAMPLE)? {
        std::fs::write(sample.join(name), bytes)?;
    }
    let own = std::env::current_exe().context("the folder of the programs is unknown")?;
    // A debug xtask lies beside a release program.
    let binary = web::target()?.join("release").join(format!("attention-anatomy{}", std::env::consts::EXE_SUFFIX));
    let binary = if binary.is_file() { binary } else { own.with_file_name("attention-anatomy") };
    let mut send = Command::new(binary);
    send.current_dir(root()).args(["archive", "send", &format!("{address}/dicom-web")]).arg(&sample);
    send.stdout(Stdio::null());
    if !succeeds(&mut send)? {
        bail!("the sample was not kept");
    }
    std::fs::remove_dir_all(&sample)?;
    Ok(())
}

/// [`CONFIGURATION`] with its places and its port.
fn configuration(storage: &Path, port: u16, page: Option<&Path>) -> Result<String> {
    let mut all: serde_json::Value = serde_json::from_str(CONFIGURATION)?;
    all["StorageDirectory"] = serde_json::json!(storage);
    all["IndexDirectory"] = serde_json::json!(storage);
    all["HttpPort"] = port.into();
    if let Some(page) = page {
        all["ServeFolders"]["Folders"]["/viewer"] = serde_json::json!(page);
    }
    Ok(serde_json::to_string_pretty(&all)?)
}
