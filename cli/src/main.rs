//! The command line of AttentionAnatomy.

mod archive;
mod commands;
mod data;
mod device;
mod evaluation;
mod files;
mod interrupt;
mod model;
mod node;
mod number;
mod output;
mod progress;
mod results;
mod series;
mod store;
mod threads;
mod training;
mod watch;
mod window;

use std::any::TypeId;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Outlines organs at risk on CT, from head to abdomen, on any GPU or the CPU. Not a medical device.
#[derive(Debug, Parser)]
#[command(name = "attention-anatomy", version, max_term_width = 110)]
struct Cli {
    /// Say more (-v, -vv).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    View(commands::view::Args),
    Segment(commands::segment::Args),
    Watch(commands::watch::Args),
    Listen(commands::watch::ListenArgs),
    Archive(commands::archive::Args),
    Demo(commands::demo::Args),
    Info(commands::info::InfoArgs),
    Devices(commands::info::DevicesArgs),
    Sheet(commands::sheet::Args),
    Prepare(commands::prepare::Args),
    Train(commands::train::Args),
    Evaluate(commands::evaluate::Args),
    Gauge(commands::gauge::Args),
    Check(commands::check::Args),
    Collect(commands::collect::Args),
    Compare(commands::compare::Args),
    Convert(commands::convert::Args),
    Crossval(commands::crossval::Args),
    Ablation(commands::ablation::Args),
    Trials(commands::trials::Args),
    Explain(commands::explain::Args),
    Figure(commands::figure::Args),
    Export(commands::interchange::ExportArgs),
    Import(commands::interchange::ImportArgs),
    Phantom(commands::phantom::Args),
    Bench(commands::bench::Args),
    #[command(hide = true)]
    BenchVolume(commands::bench::VolumeArgs),
    /// Lists every option that takes a number, for the test of their ranges.
    #[command(hide = true)]
    NumberOptions,
}

fn number_options() {
    let numbers =
        [TypeId::of::<f64>(), TypeId::of::<f32>(), TypeId::of::<u64>(), TypeId::of::<usize>()].into_iter().chain([
            TypeId::of::<u32>(),
            TypeId::of::<u16>(),
            TypeId::of::<u8>(),
            TypeId::of::<i64>(),
            TypeId::of::<i32>(),
        ]);
    let numbers: Vec<TypeId> = numbers.collect();
    for command in Cli::command().get_subcommands() {
        for option in command.get_arguments().filter(|a| a.get_action().takes_values()) {
            let is_number = numbers.iter().any(|number| option.get_value_parser().type_id() == *number);
            if let Some(name) = option.get_long().filter(|_| is_number) {
                progress::print_line(&format!("{} --{name}", command.get_name()));
            }
        }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => {
            progress::print(&help.render().to_string());
            return code(Ok(ExitCode::SUCCESS));
        }
    };
    let level = match cli.verbose {
        0 => "error",
        1 => "attention_anatomy=info,error",
        _ => "attention_anatomy=debug,warn",
    };
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).without_time().init();
    if let Err(error) = threads::start() {
        return code(Err(error));
    }
    let result = match cli.command {
        Command::View(args) => commands::view::run(args),
        Command::Segment(args) => commands::segment::run(args),
        Command::Watch(args) => commands::watch::run(args),
        Command::Listen(args) => commands::watch::listen(args),
        Command::Archive(args) => commands::archive::run(args),
        Command::Demo(args) => commands::demo::run(args),
        Command::Info(args) => commands::info::info(args),
        Command::Devices(args) => commands::info::devices(args),
        Command::Sheet(args) => commands::sheet::run(args),
        Command::Prepare(args) => commands::prepare::run(args),
        Command::Train(args) => commands::train::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Gauge(args) => commands::gauge::run(args),
        Command::Check(args) => commands::check::run(args),
        Command::Collect(args) => commands::collect::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Convert(args) => commands::convert::run(args),
        Command::Crossval(args) => commands::crossval::run(args),
        Command::Ablation(args) => commands::ablation::run(args),
        Command::Trials(args) => commands::trials::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Figure(args) => commands::figure::run(args),
        Command::Export(args) => commands::interchange::export(args),
        Command::Import(args) => commands::interchange::import(args),
        Command::Phantom(args) => commands::phantom::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::BenchVolume(args) => commands::bench::volume(args),
        Command::NumberOptions => {
            number_options();
            Ok(ExitCode::SUCCESS)
        }
    };
    code(result)
}

/// How the program ends: well only if all that it said was written.
fn code(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result.and_then(|code| progress::finish().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            progress::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
