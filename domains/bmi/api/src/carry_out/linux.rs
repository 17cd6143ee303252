//! `--start-linux`: a guest that is started with a kernel and as much memory as is asked for.

use alloc::{string::String, vec::Vec};

use cloison_abi::Name;
use cloison_ipc::{Failure, Transport};

use super::{Around, Outcome, Session, domains, show, until_unknown};
use crate::{
    State, closest,
    command::did_you_mean,
    manage::{Listed, Offered, Refusal},
};

/// Memory of a MiB, in KiB.
const MIB: u32 = 1024;

/// A kernel that a guest can be started with.
struct Offer {
    guest: Listed,
    place: u8,
    offered: Offered,
}

impl Offer {
    /// The memory of the budget that the guest takes then.
    fn needed_kib(&self, mib: u32) -> u32 {
        let beside = self.guest.kib.saturating_sub(self.offered.most_mib.saturating_mul(MIB));
        beside.saturating_add(mib.saturating_mul(MIB))
    }
}

impl<T: Transport, A: Around> Session<'_, T, A> {
    /// Starts the first guest that is not started, and can have this kernel.
    pub(super) fn start_linux(&mut self, image: Name, mib: u32) -> Outcome {
        let offers = self.offers().map_err(|error| self.failed(error))?;
        let (fitting, others): (Vec<_>, Vec<_>) =
            offers.into_iter().partition(|offer| offer.offered.image == image);
        if fitting.is_empty() {
            let names = others.iter().map(|offer| offer.offered.image.as_str());
            let meant = closest(image.as_str(), names).map(did_you_mean);
            let meant = meant.unwrap_or(String::from("the manifest says which guests there are"));
            self.complain(format_args!("no guest can be started with `{image}`; {meant}"));
            return Err(super::Status::Usage);
        }
        let Some(free) = fitting.iter().find(|offer| offer.guest.state == State::Defined) else {
            let names: Vec<_> = fitting.iter().map(|offer| offer.guest.name.as_str()).collect();
            let names = names.join(", ");
            return Err(self.failed(format_args!("every guest with `{image}` was started before: {names}")));
        };
        let (domain, Offered { least_mib, most_mib, .. }) = (free.guest.name, free.offered);
        if !(least_mib..=most_mib).contains(&mib) {
            return Err(self.failed(format_args!(
                "{domain} with `{image}` can have {least_mib} to {most_mib} MiB, and not {mib}; nothing was done"
            )));
        }
        self.say(format_args!("(bmilib) get_data({image}$)"));
        let started = match self.bmi.start_guest(domain, free.place, mib) {
            Err(Failure::Refused(refusal @ (Refusal::NoMemory | Refusal::NoPiece))) => {
                return Err(self.no_memory((domain, free.needed_kib(mib)), refusal));
            }
            started => self.judge(domain, started)?,
        };
        let digest = show::Digest(started.digest);
        self.say(format_args!(
            "{domain}: running, {mib} MiB for its guest, {} KiB, program {digest}",
            started.kib
        ));
        Ok(())
    }

    /// All kernels of all guests that are given memory when they are started.
    fn offers(&self) -> Result<Vec<Offer>, crate::ManageError> {
        let mut offers = Vec::new();
        for guest in domains(self.bmi)?.into_iter().filter(|listed| listed.is_managed) {
            let images = until_unknown(|place| self.bmi.image(guest.name, place), Refusal::UnknownImage)?;
            let images = (0..).zip(images).filter(|(_, offered)| offered.most_mib > 0);
            offers.extend(images.map(|(place, offered)| Offer { guest, place, offered }));
        }
        Ok(offers)
    }
}
