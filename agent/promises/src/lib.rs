//! Checks the promises of the partition that it runs in, as SlapOS's node does. The agent uses [`words`] alone; the rest is the program.

pub mod bridge;
pub mod executable;
pub mod plugin;
pub mod promise;
pub mod records;
pub mod rounds;
pub mod words;
