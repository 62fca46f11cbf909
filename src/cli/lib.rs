//! The commands: arguments in, progress and output out. What a command does is done by the crates below.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this crate talks to a terminal")]

mod args;
mod connect;
mod decode;
mod logs;
mod offsets;
mod pipeline;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use args::Cli;
use args::Command;

/// Why a command failed, with its exit code.
pub(crate) struct Failed {
    code: u8,
    text: String,
}

impl Failed {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Decode(args) => decode::run(&args.files, &mut std::io::stdout().lock()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "afterimage", &mut std::io::stdout().lock());
            Ok(())
        }
        Command::Man { folder } => man(&folder),
        Command::Connect(args) => connect::run(&args),
        Command::Pipeline(args) => pipeline::run(&args),
        Command::Generate(args) => pipeline::generate(&args),
        Command::Offsets(args) => offsets::run(&args.action),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("afterimage: {}", failed.text);
            ExitCode::from(failed.code)
        }
    }
}

fn man(folder: &std::path::Path) -> Result<(), Failed> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|error| Failed::new(1, format!("{} cannot be written: {error}", folder.display())))
}
