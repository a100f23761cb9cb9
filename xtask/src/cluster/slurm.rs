//! A Slurm of two nodes on this machine, on loopback, started without a service manager and gone when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{captured, output, program};
use crate::{say, setup};

/// Where its daemons listen, one after the other: controller, nodes.
const PORT: u16 = 17_000;
/// Its nodes.
pub const NODES: [&str; 2] = ["n1", "n2"];
/// Where a cluster's machines have its configuration: then there is no room for this one.
const OF_THE_MACHINE: &str = "/etc/slurm/slurm.conf";
/// Where Slurm's commands look besides: Snakemake starts `srun` without the environment that would tell it.
const BY_DEFAULT: &str = "/run/slurm/conf";
/// How long anything of it may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// A running Slurm.
pub struct Slurm {
    folder: PathBuf,
    daemons: Vec<(String, Child)>,
}

impl Slurm {
    /// Installs what is missing and starts controller and nodes.
    ///
    /// # Errors
    /// Where it cannot be installed or does not come up.
    pub fn start(folder: &Path) -> Result<Self> {
        if !captured(Command::new("slurmctld").arg("-V")).is_ok_and(|(there, _)| there) {
            setup::install_if_allowed(&["slurm-wlm", "munge"])?;
        }
        if Path::new(OF_THE_MACHINE).exists() {
            bail!("{OF_THE_MACHINE}: this machine belongs to a cluster, whose Slurm this must not mix with");
        }
        std::fs::create_dir_all(folder.join("run"))?;
        std::fs::create_dir_all(folder.join("state"))?;
        let host =
            output(Command::new("hostname").arg("-s")).context("Slurm is needed: apt-get install slurm-wlm munge")?;
        std::fs::write(folder.join("slurm.conf"), configuration(folder, host.trim()))?;
        let mut slurm = Self { folder: folder.to_path_buf(), daemons: Vec::new() };
        std::fs::create_dir_all(BY_DEFAULT)?;
        output(program("ln").arg("-sf").arg(folder.join("slurm.conf")).arg(BY_DEFAULT))?;
        slurm.munge()?;
        slurm.daemon("controller", "slurmctld", &["-D"])?;
        for node in NODES {
            slurm.node(node)?;
        }
        slurm.until("the nodes come up", || {
            let states = output(slurm.call("sinfo").args(["-h", "-N", "-o", "%T"])).unwrap_or_default();
            Ok(states.lines().filter(|state| *state == "idle").count() == NODES.len())
        })?;
        Ok(slurm)
    }

    /// A munged with a key of its own, whatever the machine has: who it says somebody is matters in here alone.
    fn munge(&mut self) -> Result<()> {
        let run = self.folder.join("run");
        output(program("chmod").args(["-R", "go-w"]).arg(&self.folder))?;
        let key = run.join("munge.key");
        output(program("dd").args(["if=/dev/urandom", "bs=128", "count=1"]).arg(format!("of={}", key.display())))?;
        output(program("chmod").arg("600").arg(&key))?;
        let file = |name: &str, ending: &str| format!("--{name}={}", run.join(format!("munge.{ending}")).display());
        let files = [
            ("key-file", "key"),
            ("socket", "socket"),
            ("pid-file", "pid"),
            ("log-file", "log"),
            ("seed-file", "seed"),
        ];
        let files: Vec<String> = files.iter().map(|(name, ending)| file(name, ending)).collect();
        let arguments: Vec<&str> = std::iter::once("--foreground").chain(files.iter().map(String::as_str)).collect();
        self.daemon("munged", "munged", &arguments)?;
        self.until("munged comes up", || Ok(run.join("munge.socket").exists()))
    }

    /// A command of Slurm's.
    pub fn call(&self, name: &str) -> Command {
        let mut command = program(name);
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
        command
    }

    fn daemon(&mut self, name: &str, binary: &str, arguments: &[&str]) -> Result<()> {
        let log = std::fs::File::create(self.folder.join(format!("run/{name}.out")))?;
        let child = self
            .call(binary)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{binary} cannot be started"))?;
        self.daemons.push((name.into(), child));
        Ok(())
    }

    fn node(&mut self, node: &str) -> Result<()> {
        self.daemon(node, "slurmd", &["-D", "-N", node])
    }

    /// Ends a node's daemon as a power cut would.
    ///
    /// # Errors
    /// Where there is none.
    pub fn kill_node(&mut self, node: &str) -> Result<()> {
        let at = self.daemons.iter().position(|(name, _)| name == node).context("no such node")?;
        let (_, mut daemon) = self.daemons.remove(at);
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }

    /// Starts a node's daemon again.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn revive_node(&mut self, node: &str) -> Result<()> {
        self.node(node)
    }

    /// Submits a script; the number of the job.
    ///
    /// # Errors
    /// What sbatch refuses.
    pub fn submit(&self, folder: &Path, arguments: &[String]) -> Result<String> {
        let mut call = self.call("sbatch");
        call.current_dir(folder).arg("--parsable").args(arguments);
        Ok(output(&mut call)?.trim().to_string())
    }

    /// Waits until no task of a job is left; how long that took.
    ///
    /// # Errors
    /// Where it takes too long.
    pub fn finish(&self, job: &str) -> Result<Duration> {
        let clock = Instant::now();
        self.until("the job ends", || {
            let (_, left) = captured(self.call("squeue").args(["-h", "-r", "-j", job]))?;
            Ok(left.is_empty() || left.contains("Invalid job id"))
        })?;
        Ok(clock.elapsed())
    }

    /// Waits for something.
    ///
    /// # Errors
    /// Where it takes too long.
    pub fn until(&self, what: &str, mut there: impl FnMut() -> Result<bool>) -> Result<()> {
        let clock = Instant::now();
        while !there()? {
            if clock.elapsed() > PATIENCE {
                bail!("{what}: waited for in vain; {} has the logs", self.folder.display());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for (name, daemon) in self.daemons.iter_mut().rev() {
            if let Err(error) = daemon.kill().and_then(|()| daemon.wait().map(drop)) {
                say::error(&format!("{name} is left behind: {error}"));
            }
        }
        if let Err(error) = std::fs::remove_file(Path::new(BY_DEFAULT).join("slurm.conf")) {
            say::error(&format!("{BY_DEFAULT}: {error}"));
        }
    }
}

/// Two nodes that are both this machine; nothing is bound or isolated, so that no kernel feature is needed.
fn configuration(folder: &Path, host: &str) -> String {
    let folder = folder.display();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let node = |n: usize| {
        format!(
            "NodeName={} NodeHostname={host} NodeAddr=127.0.0.1 Port={} CPUs={cores} RealMemory=4000\n",
            NODES[n],
            PORT as usize + 1 + n
        )
    };
    format!(
        "ClusterName=attentionanatomy\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={PORT}\nAuthType=auth/munge\n\
         AuthInfo=socket={folder}/run/munge.socket\nSlurmUser=root\n\
         SlurmdUser=root\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
         SelectTypeParameters=CR_Core\nStateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool-%n\n\
         SlurmctldPidFile={folder}/run/slurmctld.pid\nSlurmdPidFile={folder}/run/slurmd-%n.pid\n\
         SlurmctldLogFile={folder}/run/slurmctld.log\nSlurmdLogFile={folder}/run/slurmd-%n.log\nReturnToService=2\nSlurmdTimeout=10\n\
         MinJobAge=3600\nJobRequeue=1\nSchedulerParameters=bf_interval=5\n{}{}PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n",
        node(0),
        node(1)
    )
}
