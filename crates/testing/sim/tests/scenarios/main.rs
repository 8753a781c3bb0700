//! Single troubles at chosen moments. `SYNOD_SIM_LOG=1` prints what happens.

mod catching_up;
mod disks;
mod leaders;
mod membership;
mod parted;
mod requests;
mod roll_backs;
mod rotation;

/// Two clients of the tables; client 0 is a stranger.
const ONE: usize = 1;
const OTHER: usize = 2;
