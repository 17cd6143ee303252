//! Starts a domain that faults again and again, until a life of it ends well.

use builder_api::{GATE, State, manage::Client};
use cloison_abi::Name;
use cloison_rt::{
    log,
    sys::{Instant, info, wait},
};

use crate::{Count, Failure};

/// `NAME`.
pub fn run<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let name = words.next().and_then(Name::new).ok_or(Failure::Plan("no domain is named"))?;
    let entry = info::get().find::<info::Use>(GATE).ok_or(Failure::Plan("this domain manages nobody"))?;
    let (builder, news) = (Client::find(GATE)?, info::event_mask(entry));
    // Others have page tables from its first life on, with which they saw what it lent.
    let mut first = None;
    for life in 1.. {
        builder.start(name)?;
        wait(news, Instant::NEVER);
        let about = builder.info(name)?;
        builder.kill(name)?;
        let count = Count::take(&builder)?;
        if *first.get_or_insert(count.clone()) != count {
            log!("life {life} has left something");
            return Err(Failure::Different);
        }
        if (about.state, about.code) == (State::Ended, 0) {
            log!("{name} has had {life} lives, of which the last has left no more than the first");
            return Ok(());
        }
        log!("{name} is killed after its life {life}, which has {}", about.state);
    }
    Ok(())
}
