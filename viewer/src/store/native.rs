//! On the desktop: files in the user's own folders. A thread writes and reads them; each is written under a temporary name
//! and renamed, so that there is never half a file.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::Found;

/// Seconds after a change when edits are kept.
pub const AUTOSAVE_SECONDS: f64 = 20.0;

/// How long closing the program waits for the last file. A test waits for as long as it takes.
const LONGEST_WAIT: Duration = Duration::from_secs(if cfg!(test) { 600 } else { 5 });

/// Where things are kept.
#[derive(Debug)]
pub struct Storage {
    folders: Folders,
    jobs: Sender<Request>,
    reports: Receiver<Report>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Folders {
    preferences: PathBuf,
    edits: PathBuf,
}

enum Request {
    Write(PathBuf, String),
    Remove(PathBuf),
    Read(PathBuf, String),
    Answer(Sender<()>),
}

enum Report {
    Found(Vec<Found>),
    Failed(String),
}

impl Folders {
    /// Where each system keeps what belongs to a user; `None` where the environment does not say.
    fn of(system: &str, variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let (config, state) = match system {
            "windows" => {
                let roaming = folder("APPDATA")?;
                (roaming.clone(), folder("LOCALAPPDATA").unwrap_or(roaming))
            }
            "macos" => {
                let support = folder("HOME")?.join("Library").join("Application Support");
                (support.clone(), support)
            }
            _ => {
                let home = folder("HOME");
                let within = |path: &str| home.as_ref().map(|h| h.join(path));
                (
                    folder("XDG_CONFIG_HOME").or_else(|| within(".config"))?,
                    folder("XDG_STATE_HOME").or_else(|| within(".local/state"))?,
                )
            }
        };
        let ours = "attention-anatomy";
        Some(Self { preferences: config.join(ours).join("preferences.json"), edits: state.join(ours).join("edits") })
    }
}

impl Storage {
    /// The user's own; `None` where the system names no place for it.
    pub fn open() -> Option<Self> {
        Folders::of(std::env::consts::OS, |name| std::env::var_os(name)).and_then(Self::at)
    }

    #[cfg(test)]
    pub fn within(folder: &Path) -> Option<Self> {
        Self::at(Folders { preferences: folder.join("config/preferences.json"), edits: folder.join("edits") })
    }

    fn at(folders: Folders) -> Option<Self> {
        let (jobs, todo) = channel();
        let (report, reports) = channel();
        std::thread::Builder::new().name("store".into()).spawn(move || work(&todo, &report)).ok()?;
        Some(Self { folders, jobs, reports })
    }

    /// The preferences of last time.
    pub fn preferences(&self) -> Option<String> {
        std::fs::read_to_string(&self.folders.preferences).ok()
    }

    /// Keeps preferences.
    pub fn save_preferences_text(&self, text: String) {
        self.request(Request::Write(self.folders.preferences.clone(), text));
    }

    /// Keeps edits under a name.
    pub fn save(&self, name: &str, text: String) {
        self.request(Request::Write(self.edits(name), text));
    }

    /// Forgets what was kept under a name.
    pub fn remove(&self, name: &str) {
        self.request(Request::Remove(self.edits(name)));
    }

    /// Asks what is kept under names that begin so; [`Self::try_recv`] has it later.
    pub fn find(&self, beginning: &str) {
        self.request(Request::Read(self.folders.edits.clone(), beginning.into()));
    }

    /// What was asked for, once it is there; or what went wrong, one sentence.
    pub fn try_recv(&self) -> Option<Result<Vec<Found>, String>> {
        Some(match self.reports.try_recv().ok()? {
            Report::Found(found) => Ok(found),
            Report::Failed(message) => Err(message),
        })
    }

    /// Waits until all is written, but not for ever: before the program ends. Whether it is.
    pub fn flush(&self) -> bool {
        let (answer, done) = channel();
        self.request(Request::Answer(answer));
        done.recv_timeout(LONGEST_WAIT).is_ok()
    }

    fn edits(&self, name: &str) -> PathBuf {
        self.folders.edits.join(format!("{name}.json"))
    }

    fn request(&self, request: Request) {
        // The thread ends only with this storage.
        let _ = self.jobs.send(request);
    }
}

fn work(todo: &Receiver<Request>, report: &Sender<Report>) {
    for job in todo {
        let outcome = match job {
            Request::Write(path, text) => write(&path, &text).err().map(|e| {
                Report::Failed(format!(
                    "{} cannot be written ({e}): edits and preferences are not kept when the program ends; save them yourself",
                    path.display()
                ))
            }),
            Request::Remove(path) => {
                // What is not there need not be removed.
                let _ = std::fs::remove_file(path);
                None
            }
            Request::Read(folder, beginning) => Some(Report::Found(read(&folder, &beginning))),
            Request::Answer(answer) => {
                let _ = answer.send(());
                None
            }
        };
        if outcome.is_some_and(|o| report.send(o).is_err()) {
            return;
        }
    }
}

/// The files of a folder whose names begin so, without their ending. What cannot be read is as good as not there.
fn read(folder: &Path, beginning: &str) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let found = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_string();
        let text = name.starts_with(beginning).then(|| std::fs::read_to_string(&path).ok())??;
        Some(Found { name, text })
    });
    found.collect()
}

/// Replaces a file in one go, whoever else writes it; nobody but the user may read it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use whole_program_tests::wait;

    use super::*;

    #[test]
    fn each_system_has_its_folders() {
        let folders = |system: &str, set: &[(&str, &str)]| {
            let set: Vec<(String, String)> = set.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
            Folders::of(system, move |name| set.iter().find(|(n, _)| n == name).map(|(_, v)| v.into()))
        };
        let home = folders("linux", &[("HOME", "/home/u")]).unwrap();
        assert_eq!(home.preferences, Path::new("/home/u/.config/attention-anatomy/preferences.json"));
        assert_eq!(home.edits, Path::new("/home/u/.local/state/attention-anatomy/edits"));
        let xdg = folders("linux", &[("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s")]).unwrap();
        assert_eq!(xdg.preferences, Path::new("/c/attention-anatomy/preferences.json"));
        assert_eq!(xdg.edits, Path::new("/s/attention-anatomy/edits"));
        let mac = folders("macos", &[("HOME", "/Users/u")]).unwrap();
        assert_eq!(mac.edits, Path::new("/Users/u/Library/Application Support/attention-anatomy/edits"));
        let windows = folders("windows", &[("APPDATA", "/roaming"), ("LOCALAPPDATA", "/local")]).unwrap();
        assert_eq!(windows.preferences, Path::new("/roaming/attention-anatomy/preferences.json"));
        assert_eq!(windows.edits, Path::new("/local/attention-anatomy/edits"));
        assert_eq!(folders("linux", &[]), None);
        assert_eq!(folders("linux", &[("HOME", "relative")]), None);
    }

    #[test]
    fn what_is_kept_is_found_whole_and_what_is_forgotten_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::within(folder.path()).unwrap();
        storage.save_preferences_text("{}".into());
        storage.save("a", "one".into());
        storage.save("a", "two".into());
        storage.save("b", "three".into());
        storage.remove("b");
        storage.remove("c");
        storage.save("other", "four".into());
        for beginning in ["a", "b", ""] {
            storage.find(beginning);
        }
        let found = || wait("what is kept", || storage.try_recv()).unwrap();
        assert_eq!(found(), [Found { name: "a".into(), text: "two".into() }]);
        assert_eq!(found(), []);
        assert_eq!(found().len(), 2);
        assert_eq!(storage.try_recv(), None);
        assert_eq!(storage.preferences().as_deref(), Some("{}"));
        let left = std::fs::read_dir(folder.path().join("edits")).unwrap().count();
        assert_eq!(left, 2, "no temporary file stays");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("edits"), "a file, not a folder").unwrap();
        let storage = Storage::within(folder.path()).unwrap();
        storage.save("a", "one".into());
        let message = wait("that it cannot be written", || storage.try_recv()).unwrap_err();
        assert!(message.contains("cannot be written"), "{message}");
    }
}
