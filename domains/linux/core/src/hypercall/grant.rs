//! `grant_table_op(command, list, count)`: where the table of lent pages is. It lies in the pages behind the shared one.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::grant::{self, QuerySize, SetupTable};
use cloison_xen::{DOMAIN_SELF, Errno};

use super::{Answer, Arguments, Progress, Share};
use crate::grants::TABLE_FRAMES;
use crate::guest::Guest;
use crate::machine::Machine;

impl Guest {
    pub(super) fn grant_table_op(
        &mut self,
        machine: &mut impl Machine,
        a: &mut Arguments,
        share: &mut Share,
    ) -> Answer {
        let bytes = match a[0] {
            grant::QUERY_SIZE => size_of::<QuerySize>(),
            grant::SETUP_TABLE => size_of::<SetupTable>(),
            _ => return Err(Errno::NotOffered),
        };
        a[2] &= u64::from(u32::MAX);
        while a[2] != 0 {
            if !share.take() {
                return Ok(Progress::Step);
            }
            match a[0] {
                grant::QUERY_SIZE => self.query_size(machine, a[1])?,
                _ => self.setup_table(machine, a[1])?,
            }
            a[1] = a[1].wrapping_add(bytes as u64);
            a[2] -= 1;
        }
        Ok(Progress::Done(0))
    }

    fn query_size(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let query: QuerySize = self.get(machine, at)?;
        let answer = match query.domain {
            DOMAIN_SELF => {
                QuerySize { frames: TABLE_FRAMES, max_frames: TABLE_FRAMES, status: grant::OKAY, ..query }
            }
            _ => QuerySize { status: grant::BAD_DOMAIN, ..query },
        };
        self.put(machine, at, &answer)
    }

    fn setup_table(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let setup: SetupTable = self.get(machine, at)?;
        let status = match setup.domain {
            DOMAIN_SELF if setup.frames <= TABLE_FRAMES => {
                let first = machine.shared_address() / PAGE_BYTES + 1;
                for number in 0..u64::from(setup.frames) {
                    self.put(machine, setup.list.wrapping_add(number * 8), &(first + number))?;
                }
                grant::OKAY
            }
            DOMAIN_SELF => grant::GENERAL_ERROR,
            _ => grant::BAD_DOMAIN,
        };
        self.put(machine, at, &SetupTable { status, ..setup })
    }
}
