//! What goes wrong on a node: the master and the box say so in clear words, an innocent instance beside it answers all the time, and after
//! the fault is gone the next run comes to what is wanted.

mod bridges;
mod builds;
mod disk;
mod guests;
mod instances;
mod kills;
mod releases;
mod stage;
mod storm;
