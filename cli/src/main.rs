//! The command line of AttentionAnatomy.

mod commands;
mod device;
mod files;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Outlines organs at risk on CT, from head to abdomen, on any GPU or the CPU. Not a medical device.
#[derive(Debug, Parser)]
#[command(name = "attention-anatomy", version, about, max_term_width = 110)]
struct Cli {
    /// Say more (-v, -vv).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(commands::train::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => "warn",
        1 => "attention_anatomy=info,warn",
        _ => "attention_anatomy=debug,info",
    };
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).without_time().init();
    let result = match cli.command {
        Command::Train(args) => commands::train::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            progress::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
