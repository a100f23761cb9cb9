//! The files that a path stands for: itself, or all below it.
//!
//! Archives of scans are often folders of links. A linked folder is followed, but only once: not where it leads back into what
//! is being listed or around it, because every file of a series would then be found twice, or for ever.

use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// The name and the path of a file, or of all files below a folder, named relative to it, in a stable order. What begins with a
/// dot is left out, and so are pipes, sockets and devices, which whoever read them would wait for.
///
/// # Errors
/// One sentence for a folder that cannot be read or is empty, and for a link that leads nowhere.
pub fn list(path: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    if path.is_dir() {
        return below(path);
    }
    let mut files = vec![(file_name(path), path.to_path_buf())];
    // The other half of an Analyze-style pair travels with the one that was named.
    let beside = if path.is_file() { partner(path).or_else(|| data_file(path)) } else { None };
    files.extend(beside.map(|partner| (file_name(&partner), partner)));
    Ok(files)
}

/// As [`list`], with the tables that may say what the numbers of a label map mean: those of the same name beside it, and the
/// `dataset.json` of nnU-Net in its folder or the one above.
///
/// # Errors
/// As [`list`].
pub fn list_labels(path: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let mut files = list(path)?;
    if path.is_dir() {
        return Ok(files);
    }
    let name = file_name(path);
    let stem = LABEL_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let own = TABLE_ENDINGS.iter().map(|ending| path.with_file_name(format!("{stem}.{ending}")));
    let folder = path.parent();
    let above = [folder, folder.and_then(Path::parent)].into_iter().flatten().map(|f| f.join("dataset.json"));
    let tables = own.chain(above).filter(|table| table.is_file() && table != path);
    files.extend(tables.map(|table| (file_name(&table), table)));
    Ok(files)
}

/// What a label map's name may end in.
const LABEL_ENDINGS: [&str; 8] = [".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".hdr.gz", ".hdr", ".img"];
/// What the name of a table of labels may end in.
const TABLE_ENDINGS: [&str; 7] = ["json", "ctbl", "txt", "label", "csv", "tsv", "lut"];
/// A header of NRRD ends within so many bytes.
const LONGEST_HEADER: u64 = 1 << 16;

/// The file that an NRRD header names as that of its data, relative to the header; Windows writes the path in its own way.
fn data_file(path: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(LONGEST_HEADER).read_to_end(&mut head).ok()?;
    if !head.starts_with(b"NRRD000") {
        return None;
    }
    let text = String::from_utf8_lossy(&head);
    let fields = text.lines().take_while(|line| !line.trim().is_empty()).filter_map(|line| line.split_once(':'));
    let is_data_file = |name: &str| name.replace(char::is_whitespace, "").eq_ignore_ascii_case("datafile");
    let (_, name) = fields.into_iter().find(|(name, _)| is_data_file(name))?;
    let exact = path.with_file_name(name.trim());
    let found = if exact.is_file() { exact } else { path.with_file_name(name.trim().replace('\\', "/")) };
    found.is_file().then_some(found)
}

fn below(root: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let mut listed: Vec<PathBuf> = root.canonicalize().into_iter().collect();
    let wanted = |entry: &DirEntry| {
        let is_linked_folder = entry.path_is_symlink() && entry.file_type().is_dir();
        // What was asked for is listed, whatever it is called.
        entry.depth() == 0 || (!is_hidden(entry.path()) && (!is_linked_folder || is_new(entry.path(), &mut listed)))
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(wanted) {
        match entry {
            Ok(entry) if !entry.file_type().is_file() => {}
            Ok(entry) => {
                let name = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_string_lossy().into_owned();
                files.push((name, entry.into_path()));
            }
            // A link back up; a lock of an editor, which is a hidden link to nowhere.
            Err(error) if error.loop_ancestor().is_some() || error.path().is_some_and(is_hidden) => {}
            Err(error) => return Err(unreadable(root, &error)),
        }
    }
    if files.is_empty() { Err(format!("{}: the folder is empty", root.display())) } else { Ok(files) }
}

/// Whether a linked folder holds nothing of what is listed already; it is listed from then on.
fn is_new(link: &Path, listed: &mut Vec<PathBuf>) -> bool {
    // What cannot be resolved is left to the walk, which says why.
    let Ok(target) = link.canonicalize() else { return true };
    let is_new = !listed.iter().any(|folder| target.starts_with(folder) || folder.starts_with(&target));
    if is_new {
        listed.push(target);
    }
    is_new
}

fn unreadable(root: &Path, error: &walkdir::Error) -> String {
    let path = error.path().unwrap_or(root);
    let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    match path.read_link() {
        Ok(target) if !path.exists() => {
            format!("{}: the link leads to {}, which is not there", path.display(), target.display())
        }
        _ => format!("{}: cannot be read ({why})", path.display()),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn partner(path: &Path) -> Option<PathBuf> {
    let name = file_name(path);
    [(".hdr", ".img"), (".img", ".hdr"), (".hdr.gz", ".img.gz"), (".img.gz", ".hdr.gz")]
        .into_iter()
        .filter_map(|(own, other)| name.strip_suffix(own).map(|stem| path.with_file_name(format!("{stem}{other}"))))
        .find(|p| p.exists())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
    }

    fn names(path: &Path) -> Vec<String> {
        list(path).unwrap().into_iter().map(|(name, _)| name.replace('\\', "/")).collect()
    }

    #[test]
    fn files_come_in_the_order_of_their_names_without_hidden_ones() {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &["b/2", "b/1", "c", "a", ".DS_Store", ".git/config", "b/.hidden"]);
        assert_eq!(names(folder.path()), ["a", "b/1", "b/2", "c"]);
    }

    #[test]
    fn a_folder_with_a_hidden_name_that_is_asked_for_is_listed() {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &[".scans/a"]);
        assert_eq!(names(&folder.path().join(".scans")), ["a"]);
        assert!(list(folder.path()).unwrap_err().ends_with("the folder is empty"));
    }

    #[test]
    fn both_halves_of_a_pair_come_from_either_name() {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &["scan.hdr", "scan.img", "other.nii"]);
        assert_eq!(names(&folder.path().join("scan.hdr")), ["scan.hdr", "scan.img"]);
        assert_eq!(names(&folder.path().join("scan.img")), ["scan.img", "scan.hdr"]);
        assert_eq!(names(&folder.path().join("other.nii")), ["other.nii"]);
    }

    #[test]
    fn a_header_brings_the_data_file_that_it_names() {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &["raw/voxels.raw", "scan.raw"]);
        for (name, data) in [("a.nhdr", "scan.raw"), ("b.nhdr", "raw/voxels.raw"), ("c.nhdr", "raw\\voxels.raw")] {
            let header = format!("NRRD0004\r\ntype: short\r\nData File: {data}\r\n");
            fs::write(folder.path().join(name), header).unwrap();
            let file = data.rsplit(['/', '\\']).next().unwrap();
            assert_eq!(names(&folder.path().join(name)), [name, file]);
        }
        fs::write(folder.path().join("d.nhdr"), "NRRD0004\n\ndata file: scan.raw\n").unwrap();
        assert_eq!(names(&folder.path().join("d.nhdr")), ["d.nhdr"]);
    }

    #[test]
    fn tables_of_labels_come_with_their_map() {
        let folder = TempDir::new().unwrap();
        write(folder.path(), &["labelsTr/a.nii.gz", "labelsTr/a.json", "labelsTr/b.ctbl", "dataset.json", "a.txt"]);
        let listed = list_labels(&folder.path().join("labelsTr/a.nii.gz")).unwrap();
        let names: Vec<String> = listed.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.nii.gz", "a.json", "dataset.json"]);
    }

    #[cfg(unix)]
    mod links {
        use std::os::unix::fs::symlink;

        use super::*;

        #[test]
        fn a_linked_folder_elsewhere_is_followed_once() {
            let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
            write(folder.path(), &["own"]);
            write(elsewhere.path(), &["series/1", "series/2"]);
            symlink(elsewhere.path().join("series"), folder.path().join("first")).unwrap();
            symlink(elsewhere.path().join("series"), folder.path().join("second")).unwrap();
            assert_eq!(names(folder.path()), ["first/1", "first/2", "own"]);
        }

        #[test]
        fn a_link_into_what_is_listed_or_around_it_adds_nothing() {
            let around = TempDir::new().unwrap();
            write(around.path(), &["scans/one/1", "scans/two/2", "others/3"]);
            let scans = around.path().join("scans");
            symlink(scans.join("two"), scans.join("latest")).unwrap();
            symlink(&scans, scans.join("one/up")).unwrap();
            symlink(around.path(), scans.join("everything")).unwrap();
            assert_eq!(names(&scans), ["one/1", "two/2"]);
        }

        #[test]
        fn what_is_neither_file_nor_folder_is_not_waited_for() {
            let folder = TempDir::new().unwrap();
            write(folder.path(), &["own"]);
            let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
            symlink("/dev/zero", folder.path().join("zeros")).unwrap();
            assert_eq!(names(folder.path()), ["own"]);
            drop(socket);
        }

        #[test]
        fn a_link_to_nowhere_is_named_unless_it_is_hidden() {
            let folder = TempDir::new().unwrap();
            write(folder.path(), &["own"]);
            symlink("nobody@nowhere", folder.path().join(".#own")).unwrap();
            assert_eq!(names(folder.path()), ["own"]);
            symlink("gone", folder.path().join("link")).unwrap();
            let error = list(folder.path()).unwrap_err();
            assert!(error.ends_with("link: the link leads to gone, which is not there"), "{error}");
        }
    }
}
