//! Page tables, faults and changes on a made-up machine.

mod store;
