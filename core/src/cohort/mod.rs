//! Many scans: which they are, who does which, what need not be done again, and what came of it.
//!
//! A study has ten thousand scans, and whatever runs commands on its machines (Slurm, a workflow program, a shell loop) hands parts of
//! them to this program. So a part is a command with one result, which may be killed, given again and done by two at once: nothing here
//! knows of schedulers, machines or locks.
//!
//! | file | what |
//! |---|---|
//! | `list.rs` | the scans of a list, each with a name of its own |
//! | `request.rs` | what a result was made from, so that the same is not made twice |
//! | `status.rs` | what became of each scan of a part, a line each |
//! | `collect.rs` | all organs of all scans, and which scans lie apart |
//! | `cost.rs` | what a list will take |
//! | `found.rs` | what a watched folder holds, looked into once |

mod collect;
mod cost;
mod found;
mod list;
mod request;
mod status;

pub use collect::{Collected, Distribution, FAR, Oddity, OrganRow, ScanRows, TableError, read_statistics};
pub use cost::{Measured, Rate};
pub use found::Found;
pub use list::{ListError, Scan, parse_list, stem};
pub use request::{Contents, InputKey, Request};
pub use status::{Outcome, StatusLine, status_file, status_lines};
