//! Page tables, faults and changes on a made-up machine.

mod ahead;
mod faults;
mod known;
mod model;
mod places;
mod random;
mod reach;
mod store;
mod strict;
mod updates;
