//! Whatever is wrong with what a user gives, the programs say which file, row, field or flag it is and
//! end with the documented code: 1 for data and I/O, 2 for flags, 78 for recipes and model folders.
//! A panic would be code 101.

mod bench;
mod checkpoints;
mod data;
mod flags;
mod output;
mod settings;
