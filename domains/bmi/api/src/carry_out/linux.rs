//! `--start-linux`: a guest that is started with a kernel and as much memory as is asked for.

use alloc::{string::String, vec::Vec};

use cloison_abi::Name;
use cloison_ipc::{Failure, Transport};

use super::{Around, Outcome, Session, show};
use crate::{
    ManageError, State, Status, closest,
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

/// Whether a guest has begun.
enum Begun {
    Yes,
    NotAllowed,
}

impl Offer {
    /// The memory of the budget that the guest takes then.
    fn needed_kib(&self, mib: u32) -> u32 {
        let beside = self.guest.kib.saturating_sub(self.offered.most_mib.saturating_mul(MIB));
        beside.saturating_add(mib.saturating_mul(MIB))
    }
}

impl<T: Transport, A: Around> Session<'_, T, A> {
    /// Starts the first guest that is not started, can have this kernel, and is this client's to start.
    pub(super) fn start_linux(&mut self, image: Name, mib: u32) -> Outcome {
        let offers = self.offers().map_err(|error| self.failed(error))?;
        let (fitting, others): (Vec<_>, Vec<_>) =
            offers.into_iter().partition(|offer| offer.offered.image == image);
        if fitting.is_empty() {
            return Err(self.no_such_kernel(image, &others));
        }
        let mut kept_from = None;
        for offer in fitting.iter().filter(|offer| offer.guest.state == State::Defined) {
            self.check_range(offer, mib)?;
            if kept_from.is_none() {
                self.say(format_args!("(bmilib) get_data({image}$)"));
            }
            match self.start_guest(offer, mib)? {
                Begun::Yes => return Ok(()),
                Begun::NotAllowed => kept_from = kept_from.or(Some(offer.guest.name)),
            }
        }
        if let Some(first) = kept_from {
            return Err(self.refused(first, Refusal::NotAllowed));
        }
        let names: Vec<_> = fitting.iter().map(|offer| offer.guest.name.as_str()).collect();
        let names = names.join(", ");
        Err(self.failed(format_args!("every guest with `{image}` was started before: {names}")))
    }

    fn no_such_kernel(&mut self, image: Name, others: &[Offer]) -> Status {
        let names = others.iter().map(|offer| offer.offered.image.as_str());
        let meant = closest(image.as_str(), names).map(did_you_mean);
        let meant = meant.unwrap_or(String::from("the manifest says which guests there are"));
        self.complain(format_args!("no guest can be started with `{image}`; {meant}"));
        Status::Usage
    }

    fn check_range(&mut self, offer: &Offer, mib: u32) -> Outcome {
        let (domain, Offered { image, least_mib, most_mib }) = (offer.guest.name, offer.offered);
        if (least_mib..=most_mib).contains(&mib) {
            return Ok(());
        }
        Err(self.failed(format_args!(
            "{domain} with `{image}` can have {least_mib} to {most_mib} MiB, and not {mib}; nothing was done"
        )))
    }

    /// Starts a guest, unless it is not this client's to start.
    fn start_guest(&mut self, offer: &Offer, mib: u32) -> Result<Begun, Status> {
        let domain = offer.guest.name;
        let started = match self.bmi.start_guest(domain, offer.place, mib) {
            Err(Failure::Refused(Refusal::NotAllowed)) => return Ok(Begun::NotAllowed),
            Err(Failure::Refused(refusal @ (Refusal::NoMemory | Refusal::NoPiece))) => {
                return Err(self.no_memory((domain, offer.needed_kib(mib)), refusal));
            }
            started => self.judge(domain, started)?,
        };
        let digest = show::Digest(started.digest);
        self.say(format_args!(
            "{domain}: running, {mib} MiB for its guest, {} KiB, program {digest}",
            started.kib
        ));
        Ok(Begun::Yes)
    }

    /// All kernels of all guests that are given memory when they are started.
    fn offers(&mut self) -> Result<Vec<Offer>, ManageError> {
        let mut offers = Vec::new();
        let bmi = self.bmi;
        for guest in self.domains()?.into_iter().filter(|listed| listed.is_managed) {
            let images = self.all(|place| bmi.image(guest.name, place), Refusal::UnknownImage)?;
            let images = (0..).zip(images).filter(|(_, offered)| offered.most_mib > 0);
            offers.extend(images.map(|(place, offered)| Offer { guest, place, offered }));
        }
        Ok(offers)
    }
}
