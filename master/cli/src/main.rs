//! `slapbox`: what people type to make tokens, request services and look after computers. Keys are made on this machine and stay here.

mod arguments;
mod assignment;
mod commands;
mod drawing;
mod failure;
mod home;
mod lifetime;
mod login;
mod output;
mod parameters;
mod product;
mod renewal;
mod tables;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser as _;

use crate::arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(stop) => return failure::of_arguments(&stop),
    };
    match commands::run(arguments, SystemTime::now()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::of_command(&error),
    }
}
