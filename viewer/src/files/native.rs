//! The desktop: the system's dialogs, each in a thread of its own; paths that are dropped; files written whole or not at
//! all.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use pollster::block_on;
use rfd::{AsyncFileDialog, FileHandle};

use super::{Chosen, Dialog, Outcome, Reply};
use crate::worker::Input;

const SCANS: [&str; 6] = ["dcm", "nii", "gz", "nrrd", "zip", "json"];
const WEIGHTS: [&str; 1] = ["safetensors"];

/// Dialogs that are open, and what they answered.
#[derive(Debug)]
pub struct Platform {
    sender: Sender<Reply>,
    receiver: Receiver<Reply>,
}

impl Default for Platform {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver }
    }
}

impl Platform {
    /// Opens a dialog.
    pub fn choose(&self, dialog: Dialog, ctx: &egui::Context) {
        let window = AsyncFileDialog::new();
        let paths = |files: Option<Vec<FileHandle>>| files.unwrap_or_default();
        // Dialogs are made here and awaited elsewhere: on macOS only the main thread may make them.
        match dialog {
            Dialog::Files => {
                let asked = window
                    .set_title("Open a CT, a label map, weights or a session")
                    .add_filter("all files", &["*"])
                    .add_filter("scans, label maps, sessions", &SCANS)
                    .pick_files();
                self.when_chosen(dialog, ctx, async move { paths(asked.await) });
            }
            Dialog::Folder => {
                let asked = window.set_title("Open a DICOM folder").pick_folder();
                self.when_chosen(dialog, ctx, async move { asked.await.into_iter().collect() });
            }
            Dialog::Weights => {
                let asked = window.set_title("Open weights").add_filter("SafeTensors", &WEIGHTS).pick_file();
                self.when_chosen(dialog, ctx, async move { asked.await.into_iter().collect() });
            }
            Dialog::Reference => {
                let asked = window
                    .set_title("Open a label map to compare with")
                    .add_filter("all files", &["*"])
                    .add_filter("label maps", &SCANS)
                    .pick_files();
                self.when_chosen(dialog, ctx, async move { paths(asked.await) });
            }
        }
    }

    fn when_chosen(
        &self,
        dialog: Dialog,
        ctx: &egui::Context,
        asked: impl Future<Output = Vec<FileHandle>> + Send + 'static,
    ) {
        self.in_a_thread(ctx, move || {
            let inputs: Vec<Input> =
                block_on(asked).into_iter().map(|file| Input::Path(file.path().to_path_buf())).collect();
            (!inputs.is_empty()).then(|| Reply::Chosen(Chosen { inputs, as_what: dialog.as_what() }))
        });
    }

    /// Asks where to write the bytes, and writes them.
    pub fn save(&self, number: u64, name: String, bytes: Vec<u8>, opened: Vec<Opened>, ctx: &egui::Context) {
        let asked = AsyncFileDialog::new().set_title("Save").set_file_name(name).save_file();
        self.in_a_thread(ctx, move || {
            let file = block_on(asked)?;
            Some(Reply::Finished(Outcome { save: Some(number), said: write(file.path(), &bytes, &opened) }))
        });
    }

    fn in_a_thread(&self, ctx: &egui::Context, work: impl FnOnce() -> Option<Reply> + Send + 'static) {
        let (sender, ctx) = (self.sender.clone(), ctx.clone());
        let started = std::thread::Builder::new().name("file dialog".into()).spawn(move || {
            // A send fails only once the window is gone.
            if work().is_some_and(|reply| sender.send(reply).is_ok()) {
                ctx.request_repaint();
            }
        });
        if let Err(error) = started {
            let message = format!("no file dialog can be opened ({error}): drop files on the window instead");
            self.sender.send(Reply::Finished(Outcome::failed(message))).ok();
        }
    }

    /// Files and folders that were dropped on the window in this frame.
    pub fn dropped(&self, ctx: &egui::Context) -> Vec<Input> {
        ctx.input(|input| input.raw.dropped_files.iter().map(|f| Input::Path(f.path().to_path_buf())).collect())
    }

    /// What a dialog answered.
    pub fn try_recv(&self) -> Option<Reply> {
        self.receiver.try_recv().ok()
    }
}

/// A file or folder that was opened, and when.
type Opened = (PathBuf, SystemTime);

/// Writes a file under a temporary name and renames it, unless it would replace what was opened; its name, or what went wrong. The dialog has
/// asked whether a file that is there is to be replaced.
fn write(path: &Path, bytes: &[u8], opened: &[Opened]) -> Result<String, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if opened.iter().any(|(input, when)| is_of(path, input, *when)) {
        return Err(format!("{name} is what was opened, and is not replaced: save under another name"));
    }
    let cannot =
        |error: std::io::Error| format!("{name} cannot be written ({error}): choose another folder, or make room");
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    {
        // As any other file that a program creates, not readable by the owner alone; the umask still applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // In the same folder, so that the rename stays on one disk. Whatever goes wrong, it is removed.
    let mut file = builder.tempfile_in(folder).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    Ok(name)
}

/// Whether a file is an input, or one of those that an input folder held when it was opened. A session is a document: it is opened to be
/// saved again.
fn is_of(path: &Path, input: &Path, opened: SystemTime) -> bool {
    if input.is_file() {
        let session = input.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        return !session && same_file::is_same_file(path, input).unwrap_or(false);
    }
    let within =
        path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|folder| path.starts_with(folder)));
    // What was saved since then is no input.
    within && std::fs::metadata(path).and_then(|m| m.modified()).is_ok_and(|changed| changed <= opened)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::FileRequest;
    use crate::files::Files;
    use crate::worker::OpenAs;

    #[derive(Debug)]
    struct Dropped(PathBuf);

    impl egui::DroppedFile for Dropped {
        fn path(&self) -> &Path {
            &self.0
        }

        fn bytes(&self) -> Result<Vec<u8>, String> {
            Err("a drop is not read by the window".into())
        }
    }

    #[test]
    fn what_is_dropped_in_one_frame_is_opened_together_once() {
        let (ctx, mut files) = (egui::Context::default(), Files::default());
        let paths = ["/scans/patient", "/scans/labels.nii.gz"].map(PathBuf::from);
        let mut input = egui::RawInput::default();
        for path in paths.clone() {
            input.dropped_files.push(Arc::new(Dropped(path)));
        }
        for input in [input, egui::RawInput::default()] {
            ctx.run_ui(input, |ui| files.dropped(ui.ctx())).drop_without_applying_deltas();
        }
        let expected = Chosen { inputs: paths.map(Input::Path).into(), as_what: OpenAs::Whatever };
        assert_eq!(files.poll(), Some(expected));
        assert_eq!(files.poll(), None);
    }

    #[test]
    fn a_hint_is_drawn_only_while_files_are_held_over_the_window() {
        let (ctx, files) = (egui::Context::default(), Files::default());
        let shapes = |hovered_files: Vec<egui::HoveredFile>| {
            let input = egui::RawInput { hovered_files, ..Default::default() };
            let output = ctx.run_ui(input, |ui| files.hint(ui.ctx()));
            let drawn = output.shapes.len();
            output.drop_without_applying_deltas();
            drawn
        };
        let without = shapes(Vec::new());
        assert!(shapes(vec![egui::HoveredFile::default()]) > without);
        assert_eq!(shapes(Vec::new()), without);
    }

    #[test]
    fn a_recent_file_is_opened_without_a_dialog() {
        let mut files = Files::default();
        files.request(FileRequest::OpenRecent("/scans/one.nii".into()), &egui::Context::default());
        assert_eq!(files.poll().map(|c| c.inputs), Some(vec![Input::Path("/scans/one.nii".into())]));
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("labels.nii.gz");
        std::fs::write(&path, "old").unwrap();
        assert_eq!(write(&path, b"new contents", &[]), Ok("labels.nii.gz".into()));
        assert_eq!(std::fs::read(&path).unwrap(), b"new contents");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");

        // A folder of that name is in the way of the rename.
        let blocked = folder.path().join("blocked");
        std::fs::create_dir(&blocked).unwrap();
        std::fs::write(blocked.join("inside"), "").unwrap();
        let message = write(&blocked, b"x", &[]).unwrap_err();
        assert!(message.starts_with("blocked cannot be written ("), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
    }

    #[test]
    fn what_was_opened_is_not_replaced_by_what_is_saved() {
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["ct.nii.gz", "labels.nii.gz", "session.json", "other.nii.gz"] {
            std::fs::write(at(name), name).unwrap();
        }
        // Times of files are coarse.
        let later = SystemTime::now() + std::time::Duration::from_secs(2);
        let opened = ["ct.nii.gz", "labels.nii.gz", "session.json"].map(|name| (at(name), later));
        for name in ["ct.nii.gz", "labels.nii.gz"] {
            let message = write(&at(name), b"new", &opened).unwrap_err();
            assert!(message.starts_with(&format!("{name} is what was opened")), "{message}");
            assert_eq!(std::fs::read(at(name)).unwrap(), name.as_bytes());
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("ct.nii.gz"), at("link.nii.gz")).unwrap();
            assert!(write(&at("link.nii.gz"), b"new", &opened).is_err());
        }
        for name in ["session.json", "other.nii.gz", "new.nii.gz"] {
            assert_eq!(write(&at(name), b"new", &opened), Ok(name.into()));
        }
        // Of a folder: what it held, and not what was saved into it since.
        let slices = [(folder.path().to_path_buf(), later)];
        assert!(write(&at("ct.nii.gz"), b"new", &slices).is_err());
        let before = [(folder.path().to_path_buf(), SystemTime::UNIX_EPOCH)];
        assert!(write(&at("new.nii.gz"), b"newer", &before).is_ok());
    }
}
